# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `serve`: folders, over the roads that its options name."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError, ExitStatus
from appliance.values import dataclass

if TYPE_CHECKING:
    from appliance.settings.guest_places import GuestPlace

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 15740
_READ_ONLY = ":ro"
_NAME_LENGTH = 100

_EPILOG = """\
FOLDER is a path, or NAME=PATH to say under which name it is seen; with :ro
behind it nothing in it can be changed. Without --usb, --functionfs or
--usbredir the folders are served over PTP/IP at 127.0.0.1:15740, for this
machine only.
PTP/IP has no passwords: whoever reaches the address that --listen names may
read and change the folders.

examples:
  mtp-appliance serve ~/share
  mtp-appliance serve Music=/srv/music:ro Inbox=/srv/inbox --listen 0.0.0.0
  sudo mtp-appliance serve --usb /srv/share
  mtp-appliance serve ~/share --usbredir unix:/run/user/1000/share.sock
  mtp-appliance serve --settings /etc/mtp-appliance/settings.toml

SIGHUP reads the settings file again.

exit status:
  0 ended by SIGINT or SIGTERM; 1 failed; 2 called wrongly; 4 only root may
  do that; 5 there is no USB device controller
"""


@dataclass(frozen=True, slots=True)
class FolderArgument:
    """A folder to serve; a name of "" stands for the folder's own."""

    path: Path
    name: str = ""
    read_only: bool = False


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `serve`."""
    parser.epilog = _EPILOG
    parser.set_defaults(act=_serve)
    add = parser.add_argument
    add("folders", metavar="FOLDER", nargs="*", type=parse_folder, help="what to serve")
    add("--settings", type=Path, metavar="FILE",
        help="serve what this file says (TOML), and change with it")  # fmt: skip
    add("--name", type=parse_name, metavar="FRIENDLY",
        help="what the device is called until a PC gives it another name")  # fmt: skip
    add("--no-trash", action="store_true", help="delete for good what a PC deletes")
    add("--allow-format", action="store_true", help="let a PC delete all of a storage at once")
    add("--hide-hidden", action="store_true", help="hide names that begin with a dot")
    add("--state-dir", type=Path, metavar="DIR",
        help="where to keep what a PC has set (the systemd unit's, or ~/.local/state/mtp-appliance)")  # fmt: skip  # noqa: E501
    add("--listen", action="append", type=parse_address, default=[], metavar="ADDRESS[:PORT]",
        help="serve over PTP/IP at this address; may be repeated")  # fmt: skip
    add("--usbredir", action="append", type=parse_guest_place, default=[], metavar="PLACE",
        help="serve virtual machines: unix:PATH or tcp:HOST:PORT, with connect: before "
             "it where QEMU listens; may be repeated")  # fmt: skip
    usb = parser.add_mutually_exclusive_group()
    usb.add_argument("--usb", action="store_true", help="make a USB gadget and serve over it")
    usb.add_argument("--functionfs", type=Path, metavar="MOUNTPOINT",
                     help="serve on a FunctionFS that is mounted already")  # fmt: skip
    add("--bind", metavar="GADGET",
        help="with --functionfs: bind this gadget, and again whenever it was lost")  # fmt: skip
    add("--udc", metavar="NAME",
        help="with --usb or --bind: the USB device controller, if not the first")  # fmt: skip
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


def parse_address(text: str) -> tuple[str, int]:
    """Read ADDRESS[:PORT]."""
    from appliance.settings import addresses  # noqa: PLC0415 - seldom needed

    try:
        return addresses.parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_guest_place(text: str) -> "GuestPlace":
    """Read where virtual machines are met."""
    from appliance.settings import guest_places  # noqa: PLC0415 - seldom needed

    try:
        return guest_places.parse_guest_place(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_name(text: str) -> str:
    """Read a friendly name."""
    from appliance.settings.state import is_name  # noqa: PLC0415 - seldom needed

    if not is_name(text):
        raise argparse.ArgumentTypeError(f"{text!a} is no name of 1 to 254 characters")
    return text


def _serve(arguments: argparse.Namespace) -> None:
    """Serve what the command line says."""
    if bool(arguments.folders) == bool(arguments.settings):
        what = "name a FOLDER to serve, or --settings FILE; not both"
        hint = "mtp-appliance serve --help"
        raise ApplianceError(what, hint=hint, status=ExitStatus.USAGE)
    _require_companion(arguments)
    from appliance.cli.start import start  # noqa: PLC0415 - not for --help
    from appliance.services.mtpd import Options  # noqa: PLC0415
    from appliance.storage import Folder  # noqa: PLC0415

    elsewhere = arguments.usb or arguments.functionfs is not None or arguments.usbredir
    default = () if elsewhere else ((DEFAULT_HOST, DEFAULT_PORT),)
    show_hidden = not arguments.hide_hidden
    start(
        Options(
            folders=tuple(
                Folder(each.path, each.name or storage_name(each.path), each.read_only, show_hidden)
                for each in arguments.folders
            ),
            listen=tuple(arguments.listen),
            usbredir=tuple(arguments.usbredir),
            usb=arguments.usb,
            udc=arguments.udc,
            functionfs=arguments.functionfs,
            bind=arguments.bind or "",
            name=arguments.name or "",
            state_directory=arguments.state_dir,
            settings=arguments.settings,
            default_listen=default,
            trash=not arguments.no_trash,
            allow_format=arguments.allow_format,
            verbosity=arguments.verbose - arguments.quiet,
        )
    )


def _require_companion(arguments: argparse.Namespace) -> None:
    if arguments.udc and not (arguments.usb or arguments.bind):
        raise ApplianceError("--udc goes with --usb", hint="add --usb", status=ExitStatus.USAGE)
    if arguments.bind and not arguments.functionfs:
        what, hint = "--bind goes with --functionfs", "add --functionfs MOUNTPOINT"
        raise ApplianceError(what, hint=hint, status=ExitStatus.USAGE)


def storage_name(path: Path) -> str:
    """Name a storage after its folder."""
    name = os.fsencode(path.resolve().name).decode("utf-8", "replace")
    return name[:_NAME_LENGTH] or "Files"
