# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `mtp-appliance`. What it does is imported when it is asked for."""

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from appliance import __version__
from appliance.errors import ApplianceError, ExitStatus

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 15740
_READ_ONLY = ":ro"
_INTERRUPTED = 130
_NAME_LENGTH = 100

_EPILOG = """\
FOLDER is a path, or NAME=PATH to say under which name it is seen; with :ro
behind it nothing in it can be changed. Without --usb or --functionfs the
folders are served over PTP/IP at 127.0.0.1:15740, for this machine only.
PTP/IP has no passwords: whoever reaches the address that --listen names may
read and change the folders.

examples:
  mtp-appliance serve ~/share
  mtp-appliance serve Music=/srv/music:ro Inbox=/srv/inbox --listen 0.0.0.0
  sudo mtp-appliance serve --usb /srv/share

exit status:
  0 ended by SIGINT or SIGTERM; 1 failed; 2 called wrongly; 4 only root may
  do that; 5 there is no USB device controller
"""


class FolderArgument(NamedTuple):
    """A folder to serve; a name of "" stands for the folder's own."""

    path: Path
    name: str = ""
    read_only: bool = False


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help of one width: to ask the terminal would cost an import at every start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=78)


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Complain."""
        raise ApplianceError(message, hint=f"{self.prog} --help", status=ExitStatus.USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    try:
        arguments = make_parser().parse_args(argv)
        serve(arguments)
    except ApplianceError as error:
        print(f"mtp-appliance: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return _INTERRUPTED
    return ExitStatus.OK


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = Parser(
        prog="mtp-appliance",
        description="Serve folders as an MTP device.",
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(
        commands.add_parser(
            "serve",
            help="serve folders over PTP/IP or USB",
            description="Serve folders as an MTP device, over PTP/IP or USB, until interrupted.",
            epilog=_EPILOG,
            formatter_class=Formatter,
            allow_abbrev=False,
        )
    )
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folders", metavar="FOLDER", nargs="+", type=parse_folder, help="what to serve")
    add("--name", type=parse_name, metavar="FRIENDLY",
        help="what the device is called until a PC gives it another name")  # fmt: skip
    add("--hide-hidden", action="store_true", help="hide names that begin with a dot")
    add("--state-dir", type=Path, metavar="DIR",
        help="where to keep what a PC has set (the systemd unit's, or ~/.local/state/mtp-appliance)")  # fmt: skip  # noqa: E501
    add("--listen", action="append", type=parse_address, default=[], metavar="ADDRESS[:PORT]",
        help="serve over PTP/IP at this address; may be repeated")  # fmt: skip
    usb = parser.add_mutually_exclusive_group()
    usb.add_argument("--usb", action="store_true", help="make a USB gadget and serve over it")
    usb.add_argument("--functionfs", type=Path, metavar="MOUNTPOINT",
                     help="serve on a FunctionFS that is mounted already")  # fmt: skip
    add("--udc", metavar="NAME", help="with --usb: the USB device controller, if not the first")
    tell = parser.add_mutually_exclusive_group()
    tell.add_argument("-v", "--verbose", action="count", default=0, help="tell more")
    tell.add_argument("-q", "--quiet", action="count", default=0, help="tell of trouble only")


def parse_folder(text: str) -> FolderArgument:
    """Read FOLDER: the first reading whose path exists, or else the one that reads most into it."""
    readings = list(_readings(text))
    if not readings:
        raise argparse.ArgumentTypeError(f"{text!r} names no folder")
    return next((each for each in readings if each.path.exists()), readings[-1])


def _readings(text: str) -> Iterator[FolderArgument]:
    name, equals, path = text.partition("=")
    for prefix, rest in [("", text), (name, path)] if equals and name and path else [("", text)]:
        if rest:
            yield FolderArgument(Path(rest), prefix)
        if rest.endswith(_READ_ONLY) and rest != _READ_ONLY:
            yield FolderArgument(Path(rest.removesuffix(_READ_ONLY)), prefix, read_only=True)


_ADDRESS = re.compile(
    r"\[(?P<six>[^\[\]]+)\](:(?P<a>\d+))?|(?P<bare>[^\[\]]*:[^\[\]]*:[^\[\]]*)|(?P<host>[^:\[\]]+)(:(?P<b>\d+))?"
)


def parse_address(text: str) -> tuple[str, int]:
    """Read ADDRESS[:PORT]; an IPv6 address with a port stands in brackets."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no ADDRESS[:PORT], such as 0.0.0.0:15740")
    host = match["six"] or match["bare"] or match["host"]
    port = int(match["a"] or match["b"] or DEFAULT_PORT)
    if port > 0xFFFF:
        raise argparse.ArgumentTypeError(f"{port} is no TCP port: the last one is 65535")
    return host, port


def parse_name(text: str) -> str:
    """Read a friendly name."""
    from appliance.settings.state import is_name  # noqa: PLC0415 - seldom needed

    if not is_name(text):
        raise argparse.ArgumentTypeError(f"{text!a} is no name of 1 to 254 characters")
    return text


def serve(arguments: argparse.Namespace) -> None:
    """Serve."""
    if arguments.udc and not arguments.usb:
        raise ApplianceError("--udc goes with --usb", hint="add --usb", status=ExitStatus.USAGE)
    from appliance import log  # noqa: PLC0415 - not for --help
    from appliance.services import mtpd  # noqa: PLC0415
    from appliance.storage import Folder  # noqa: PLC0415

    log.configure(arguments.verbose - arguments.quiet)
    by_usb = arguments.usb or arguments.functionfs is not None
    default = () if by_usb else ((DEFAULT_HOST, DEFAULT_PORT),)
    show_hidden = not arguments.hide_hidden
    mtpd.serve(
        mtpd.Options(
            folders=tuple(
                Folder(each.path, each.name or storage_name(each.path), each.read_only, show_hidden)
                for each in arguments.folders
            ),
            listen=tuple(arguments.listen) or default,
            usb=arguments.usb,
            udc=arguments.udc,
            functionfs=arguments.functionfs,
            name=arguments.name or "",
            state_directory=arguments.state_dir,
        ),
        announce,
    )


def storage_name(path: Path) -> str:
    """Name a storage after its folder."""
    name = os.fsencode(path.resolve().name).decode("utf-8", "replace")
    return name[:_NAME_LENGTH] or "Files"


def announce(line: str) -> None:
    """Tell the person who called; one who does not listen is no reason to end."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = None
