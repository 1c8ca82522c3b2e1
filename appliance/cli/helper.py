# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `helper`: what the settings page may ask of root."""

import argparse

from appliance import log

_HELP = """\
It answers at the socket that systemd hands over, for root and for the settings
page's user, and ends when nobody asks any more.
"""
_IDLE = 60.0


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `helper`."""
    parser.epilog = _HELP
    parser.set_defaults(act=_helper)
    parser.add_argument(
        "--idle", type=float, default=_IDLE, metavar="SECONDS", help="end after that (default 60)"
    )


def _helper(arguments: argparse.Namespace) -> None:
    from appliance.services.helper import run  # noqa: PLC0415 - not for --help

    log.configure(0)
    run(arguments.idle)
