# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line, by argparse. Only the command that is asked for is described."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from appliance import __version__
from appliance.cli import COMMANDS
from appliance.errors import ApplianceError, ExitStatus

_PROGRAM = "mtp-appliance"


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help of one width: to ask the terminal would cost an import at every start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=78)


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Complain."""
        raise ApplianceError(message, hint=f"{self.prog} --help", status=ExitStatus.USAGE)


def run(words: Sequence[str]) -> None:
    """Do what the command line says; what the system refuses is told as all else is."""
    arguments = parse(words)
    try:
        arguments.act(arguments)
        if sys.stdout is not None:  # somebody still listens
            sys.stdout.flush()
    except EOFError:  # Ctrl-D in the place of an answer
        print(file=sys.stderr)
        raise ApplianceError("there was no answer", hint="nothing was changed") from None
    except OSError as error:
        if _cannot_say():
            if not isinstance(error, BrokenPipeError):  # who read it has seen enough
                raise ApplianceError(f"standard output: {error.strerror}") from None
        elif error.filename is None:
            raise
        else:
            raise ApplianceError(f"{error.filename}: {error.strerror}") from None


def _cannot_say() -> bool:
    """Whether what there was to say cannot be written; then it is not tried at the end either."""
    if sys.stdout is None:
        return False
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line; `act` of what is given does what it says."""
    name = words[0] if words else ""
    if name not in COMMANDS:
        return _refuse(words)
    what = COMMANDS[name]
    parser = _parser(f"{_PROGRAM} {name}", f"{what[0].upper()}{what[1:]}.")
    import_module(f"appliance.cli.{name}").describe(parser)
    return parser.parse_args(words[1:])


def _refuse(words: Sequence[str]) -> NoReturn:
    """Show what there is where that is asked for, or complain."""
    parser = _parser(_PROGRAM, "Serve folders as an MTP device.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, what in COMMANDS.items():
        commands.add_parser(name, help=what)
    parser.parse_args(words)
    parser.error("COMMAND comes first")


def _parser(program: str, description: str) -> Parser:
    return Parser(
        prog=program, description=description, formatter_class=Formatter, allow_abbrev=False
    )
