# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `update`: signed bundles, and which version of the program runs."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance import places
from appliance.cli.output import print_json, printable, say, size
from appliance.errors import ApplianceError

_HELP = """\
A bundle (*.mtp-update) holds the program, signed. It is installed beside what
runs and started with the next start of the appliance; where its services do
not come up, the version before runs again by itself. Files and settings stay.

Without FILE, `check` and `install` take the bundle that lies in the share.

exit status: 1 the bundle is refused, the reason is said; 4 only root may do
that
"""
_LATER = "it runs from the next start on; to start it now: --restart"


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `update`."""
    parser.epilog = _HELP
    verbs = parser.add_subparsers(metavar="WHAT", dest="verb", required=True)
    status = _verb(verbs, "status", _status, "show which versions there are, and which runs")
    check = _verb(verbs, "check", _check, "say whether a bundle is good, and what is in it")
    install = _verb(verbs, "install", _install, "install a bundle")
    back = _verb(verbs, "rollback", _roll_back, "go back to the version before")
    _verb(verbs, "confirm", _confirm, "take the version that is on trial for good now")
    trust = _verb(verbs, "trust", _trust, "trust a key: take updates that are signed with it")
    trust.add_argument("key", metavar="KEY.pub", type=Path)
    for each in (status, check):
        each.add_argument("--json", action="store_true", help="say it as JSON")
    for each in (check, install):
        each.add_argument("file", metavar="FILE", type=Path, nargs="?")
        each.add_argument("--settings", type=Path, default=places.SETTINGS, help=argparse.SUPPRESS)
    install.add_argument("--older", action="store_true", help="also one that is not newer")
    for each in (install, back):
        each.add_argument("--restart", action="store_true", help="start the services anew")


def _verb(verbs: Any, name: str, act: Any, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=f"{what}.")
    parser.set_defaults(act=act)
    return parser


def _status(arguments: argparse.Namespace) -> None:
    from appliance.services import updating  # noqa: PLC0415 - not for --help

    found = updating.status()
    if arguments.json:
        print_json(asdict(found))
        return
    trial = f", on trial, start {found.starts}" if found.trial else ""
    if found.chosen != found.running:
        trial = ", from the next start on"
    lines = [("Running", found.running), ("Image", found.image or "none: this is no appliance")]
    if found.image:
        lines.append(("Chosen", f"{found.chosen}{trial}"))
    lines += [("Installed", each) for each in found.installed]
    lines += [("Taken back", found.last)] if found.last else []
    lines += [("Key", each) for each in found.keys]
    for label, text in lines:
        print(f"{label:<11} {printable(text)}")


def _check(arguments: argparse.Namespace) -> None:
    from appliance.services import updating  # noqa: PLC0415
    from appliance.services.update_verbs import told  # noqa: PLC0415

    path = _file(arguments)
    found = told(str(path), updating.check(path))
    if arguments.json:
        print_json(found)
        return
    older = ", not newer than what runs" if found["older"] else ""
    print(f"{printable(path.name)}: version {found['version']}{older}, {size(found['size'])}")
    print(f"signed with {printable(found['key'])}")
    print("\n".join(map(printable, found["notes"].splitlines())))


def _install(arguments: argparse.Namespace) -> None:
    from appliance.services import updating  # noqa: PLC0415

    found = updating.install(_file(arguments), older=arguments.older)
    _activate(arguments, f"Installed {found.manifest.version}")


def _roll_back(arguments: argparse.Namespace) -> None:
    from appliance.services import updating  # noqa: PLC0415

    _activate(arguments, f"Back to {updating.roll_back()}")


def _activate(arguments: argparse.Namespace, done: str) -> None:
    from appliance.services import updating  # noqa: PLC0415

    if arguments.restart:
        updating.restart()
        say(done, "the services start anew")
    else:
        say(done, _LATER)


def _confirm(_: argparse.Namespace) -> None:
    from appliance.services import updating  # noqa: PLC0415

    updating.confirm()
    say("The version that runs is taken for good.")


def _trust(arguments: argparse.Namespace) -> None:
    from appliance.services import updating  # noqa: PLC0415

    key = printable(str(updating.trust(arguments.key)))
    say(f"Updates signed with {key} are taken from now on.")


def _file(arguments: argparse.Namespace) -> Path:
    """Give the bundle that is meant: the one that is named, or the only one in the share."""
    if arguments.file is not None:
        path: Path = arguments.file
        return path
    from appliance.services import updating  # noqa: PLC0415
    from appliance.services.update_verbs import storage_roots  # noqa: PLC0415

    found = updating.find(storage_roots(arguments.settings))
    if len(found) == 1:
        return Path(found[0].path)
    if not found:
        raise ApplianceError("no update lies in the share", hint="name one: update check FILE")
    names = ", ".join(each.path for each in found)
    raise ApplianceError(f"several updates lie in the share: {names}", hint="name one of them")
