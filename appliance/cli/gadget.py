# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `gadget`: the USB device as the kernel has it."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance import log, places
from appliance.cli.output import print_json, printable, say
from appliance.gadget.identity import device_identity
from appliance.services import gadget
from appliance.services.gadget_status import GadgetStatus, NetworkStatus, look
from appliance.settings.schema import Settings
from appliance.settings.store import SettingsFile

_HELP = """\
`up` makes the gadget and mounts its FunctionFS at
/run/mtp-appliance-gadget/functionfs; what serves there binds it:
  mtp-appliance serve --functionfs DIR --bind mtp-appliance
Both may be done twice. Only root may do them.
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `gadget`."""
    parser.epilog = _HELP
    verbs = parser.add_subparsers(metavar="WHAT", dest="verb", required=True)
    up = _verb(verbs, "up", _up, "make the gadget, unless it is there")
    up.add_argument("--user", default="", help="who serves it, if not root")
    _verb(verbs, "down", _down, "remove the gadget")
    status = _verb(verbs, "status", _status, "show gadget, controller and network")
    status.add_argument("--json", action="store_true", help="say it as JSON")


def _verb(verbs: Any, name: str, act: Any, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=f"{what}.")
    parser.set_defaults(act=act)
    parser.add_argument("--settings", type=Path, default=places.SETTINGS, metavar="FILE")
    parser.add_argument("--root", type=Path, default=gadget.ROOT, help=argparse.SUPPRESS)
    return parser


def settings_of(path: Path) -> Settings:
    """Read settings; the defaults where there is no file, or none that can be read."""
    return SettingsFile(path, places.STATE, keeps=False).read().settings


def _up(arguments: argparse.Namespace) -> None:
    log.configure(0)
    settings = settings_of(arguments.settings)
    wanted = gadget.gadget_settings(settings, device_identity(arguments.root))
    made = gadget.up(wanted, gadget.owner_named(arguments.user), arguments.root)
    say(f"The gadget {gadget.GADGET} is {'up' if made else 'up already'}.")


def _down(arguments: argparse.Namespace) -> None:
    log.configure(0)
    gadget.prepare(arguments.root)
    there = gadget.down(arguments.root)
    say(f"The gadget {gadget.GADGET} is {'removed' if there else 'not there'}.")


def _status(arguments: argparse.Namespace) -> None:
    found = look(settings_of(arguments.settings), arguments.root)
    if arguments.json:
        print_json(asdict(found))
        return
    for label, text in [*_gadget_lines(found), *_network_lines(found.network)]:
        print(f"{label:<11} {printable(text)}")


def _gadget_lines(found: GadgetStatus) -> list[tuple[str, str]]:
    there = ("bound" if found.bound else "not bound") if found.there else "not there"
    lines = [("Gadget", f"{found.name}, {there}")]
    if found.functions:
        lines.append(("Functions", ", ".join(found.functions)))
    if not found.controller:
        return [*lines, ("Controller", "none: on a Raspberry Pi dtoverlay=dwc2 in config.txt")]
    speed = f", {found.speed}" if found.speed else ""
    held = f", in use by {found.holder}" if found.holder not in {"", found.name} else ""
    return [*lines, ("Controller", f"{found.controller}, {found.state}{speed}{held}")]


def _network_lines(network: NetworkStatus | None) -> list[tuple[str, str]]:
    if network is None:
        return [("Network", "none")]
    first, last = network.pc_addresses[0], network.pc_addresses[-1]
    return [
        ("Network", f"{network.function}, {network.interface}, {network.device_address}"),
        ("PC", f"{first} to {last} by DHCP, {network.pc_mac}"),
        ("Page", " or ".join(network.urls)),
    ]
