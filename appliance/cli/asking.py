# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs that an appliance that runs is asked to carry out."""

import argparse
from pathlib import Path
from typing import Any

from appliance import control
from appliance.services.status_file import find_status


def verbs(parser: argparse.ArgumentParser, epilog: str) -> Any:
    """Begin the verbs of a command that speaks to an appliance that runs."""
    parser.epilog = epilog
    return parser.add_subparsers(metavar="WHAT", dest="verb", required=True)


def verb(verbs: Any, name: str, act: Any, what: str) -> argparse.ArgumentParser:
    """Add a verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=f"{what}.")
    parser.set_defaults(act=act)
    parser.add_argument("--socket", type=Path, help="where the appliance listens, if not as usual")
    if name == "list":
        parser.add_argument("--json", action="store_true", help="say it as JSON")
    return parser


def ask(arguments: argparse.Namespace, verb: str, **values: Any) -> Any:
    """Ask the appliance; what it says. It is the one whose status is shown, too."""
    socket = arguments.socket or find_status().with_name(control.SOCKET_NAME)
    return control.ask(socket, verb, **values)
