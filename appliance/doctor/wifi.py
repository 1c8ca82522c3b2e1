# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of the Wi-Fi."""

import re
from collections.abc import Iterator

from appliance.doctor.findings import Finding, good, note, warning
from appliance.doctor.machine import Machine
from appliance.network.wifi import INTERFACE

_ADDRESS = re.compile(r"\binet ([0-9.]+)")


def wifi(machine: Machine) -> Iterator[Finding]:
    """See whether the network that the settings name has been joined."""
    network = machine.settings.wifi_network
    if not network:
        yield note("wifi", "is off, as the settings name no network (wifi.network)")
        return
    if not machine.exists(f"sys/class/net/{INTERFACE}"):
        advice = "a Zero without a W has none: mtp-appliance settings unset wifi.network"
        yield warning("wifi", f"there is no {INTERFACE} here", advice)
        return
    if (machine.read(f"sys/class/net/{INTERFACE}/operstate") or "").strip() != "up":
        advice = "is it in reach, and the passphrase right? mtp-appliance settings passphrase"
        yield warning("wifi", f"has not joined {network}", advice)
        return
    told = machine.run(["ip", "-o", "-4", "address", "show", "dev", INTERFACE])
    found = _ADDRESS.search(told or "")
    if found is None:
        yield warning("wifi", f"has no address in {network}", "the router there gives it by DHCP")
    else:
        yield good("wifi", f"is in {network} as {found[1]}")
