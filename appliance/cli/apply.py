# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `apply`: the settings, put into force."""

import argparse
from functools import partial
from pathlib import Path

from appliance import log, places
from appliance.services.apply import USER, Applier, need_root, note_look, note_refusal
from appliance.services.gadget import ROOT
from appliance.settings.store import SettingsFile

_HELP = """\
The appliance does this by itself, at its start with --boot and whenever the
settings file has changed. Only what has changed is done: host name, network,
gadget, and restart or reload of the services. Only root may do it.
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `apply`."""
    parser.epilog = _HELP
    parser.set_defaults(act=_apply)
    parser.add_argument(
        "--boot", action="store_true", help="do all of it, from the boot partition's settings on"
    )
    parser.add_argument("--settings", type=Path, default=places.SETTINGS, metavar="FILE")
    parser.add_argument("--user", default=USER, help="who serves the gadget")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)


def _apply(arguments: argparse.Namespace) -> None:
    log.configure(0)
    need_root(arguments.root)
    if arguments.boot:
        from appliance.settings.boot import (  # noqa: PLC0415 - at a start only
            separate_secrets,
            take_over_boot_file,
        )

        separate_secrets(arguments.settings, places.STATE, places.PAGE_STATE)
        refuse = partial(note_refusal, root=arguments.root)
        refuse("")
        take_over_boot_file(
            places.BOOT_SETTINGS, arguments.settings, places.STATE, places.CARD, refuse
        )
    file = SettingsFile(arguments.settings, places.STATE, keeps=False)
    note_look((file.path, places.SECRETS), arguments.root)
    reading = file.read()
    errors = reading.findings.errors
    applier = Applier(reading.settings, arguments.user, arguments.root, errors=errors)
    applier.apply(boot=arguments.boot)
