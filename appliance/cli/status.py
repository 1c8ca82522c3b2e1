# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `status`: what an appliance that runs is doing."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from appliance import status as contract
from appliance.cli.output import printable
from appliance.cli.screen import line, screen
from appliance.errors import ApplianceError
from appliance.services.status_file import find_status

Show = Callable[[contract.Status], None]

_HELP = """\
With --watch the screen follows what happens, until Ctrl-C; into a pipe goes a
line for each change. --json is for programs: see appliance/status.py for what
the keys mean.

exit status:
  0 it runs; 1 its status cannot be read; 3 it does not run
"""
#: Seconds between two looks at whether the file is another.
_OFTEN = 0.25
_HOME_AND_CLEAR = "\x1b[H\x1b[J"


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `status`."""
    parser.epilog = _HELP
    parser.set_defaults(act=_status)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="say it as JSON")
    how.add_argument("--watch", action="store_true", help="go on saying it whenever it changes")
    parser.add_argument("--file", type=Path, help="the status file, if not the usual one")


def _status(arguments: argparse.Namespace) -> None:
    path = arguments.file or find_status()
    if arguments.json:
        print(contract.load(path).decode(errors="replace"), end="")
    elif arguments.watch:
        _watch(path)
    else:
        print("\n".join(screen(contract.read(path), time.time())))


def _watch(path: Path) -> None:
    show = _redraw if sys.stdout.isatty() else _print_line
    first = contract.read(path)
    try:
        show(first)
        _follow(path, show, first)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:  # who read it has seen enough; nothing is to be flushed at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _follow(path: Path, show: Show, shown: contract.Status | None) -> None:
    """Show the status whenever it is another; also where the appliance ends and comes back."""
    seen = _looks(path)
    while True:
        time.sleep(_OFTEN)
        looks = _looks(path)
        if looks != seen:
            seen = looks
            shown = _show_anew(path, show, shown)


def _show_anew(path: Path, show: Show, shown: contract.Status | None) -> contract.Status | None:
    try:
        now = contract.read(path)
    except ApplianceError as error:
        if shown is not None:
            print(printable(str(error)), flush=True)
        return None
    if now != shown:
        show(now)
    return now


def _looks(path: Path) -> object:
    """Tell one state of the file from another, cheaply."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, contract.is_kept(path)


def _redraw(status: contract.Status) -> None:
    text = "\n".join(screen(status, time.time()))
    print(f"{_HOME_AND_CLEAR}{text}", flush=True)


def _print_line(status: contract.Status) -> None:
    print(line(status, time.time()), flush=True)
