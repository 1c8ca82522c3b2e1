# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks, in the order in which a person reads them, and how they are made."""

from collections.abc import Iterator, Sequence

from appliance.doctor import folders, system, usb, wifi
from appliance.doctor.findings import Check, Finding, Grade
from appliance.doctor.machine import Machine

CHECKS: Sequence[Check] = (
    system.software,
    system.settings,
    usb.modules,
    usb.configfs,
    usb.controller,
    usb.gadget,
    usb.functionfs,
    usb.cable,
    usb.network,
    usb.name,
    wifi.wifi,
    folders.storages,
    system.services,
    system.failures,
    system.running,
    system.clock,
    system.watches,
    system.card,
)


def examine(machine: Machine, checks: Sequence[Check] = CHECKS) -> Iterator[Finding]:
    """Make all checks; one that fails itself is no reason not to make the others."""
    for check in checks:
        try:
            yield from check(machine)
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            about = check.__name__
            text = f"could not be looked at: {type(error).__name__}: {error}"
            yield Finding(about, Grade.UNKNOWN, text, "tell the project: mtp-appliance report")
