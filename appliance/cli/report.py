# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `report`: what others need to find out what is wrong, in one file."""

import argparse
import sys
from pathlib import Path

from appliance import places

_HELP = """\
The file holds logs, settings, status and what the doctor finds. It holds no file
of yours, no name of one, no password and no whole serial number; README.txt in it
says what there is. Look into it before you give it to others.
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `report`."""
    parser.epilog = _HELP
    parser.set_defaults(act=_report)
    parser.add_argument("file", metavar="FILE.zip", help="where to; - for standard output")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument("--settings", type=Path, default=places.SETTINGS, metavar="FILE")
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)


def _report(arguments: argparse.Namespace) -> None:
    from appliance.services.machine import look_at  # noqa: PLC0415 - not for --help
    from appliance.services.report import make_report, write_report  # noqa: PLC0415

    data = make_report(look_at(arguments.settings, arguments.root))
    if arguments.file == "-":
        sys.stdout.buffer.write(data)
        return
    write_report(data, Path(arguments.file), force=arguments.force)
    print(f"{arguments.file}: {len(data) // 1000} KB. README.txt in it says what is in it.")
