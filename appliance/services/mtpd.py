# SPDX-License-Identifier: GPL-3.0-or-later
"""The MTP service: folders, responder and transports, wired together until a signal ends it."""

import logging
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.gadget.identity import device_identity
from appliance.mtp.device import Device
from appliance.mtp.ptpip_packets import PORT
from appliance.mtp.responder import Responder
from appliance.services.host import LinuxHost
from appliance.services.notify import notify
from appliance.settings.state import State, state_directory
from appliance.storage import Catalogue, Folder

if TYPE_CHECKING:
    from appliance.transports.functionfs import FunctionFsTransport
    from appliance.transports.ptpip_listen import Address

log = logging.getLogger(__name__)

#: What `announce` is told, line by line, when all is ready.
Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What to serve, and over which roads; no road by itself.

    `listen` are hosts with TCP ports. With `usb` a gadget is made on the controller named `udc`,
    None for the first one; `functionfs` is where somebody else has mounted FunctionFS.
    `name` is the friendly name where no PC has given another, "" for the model's.
    """

    folders: tuple[Folder, ...]
    listen: tuple[tuple[str, int], ...] = ()
    usb: bool = False
    udc: str | None = None
    functionfs: Path | None = None
    name: str = ""
    state_directory: Path | None = None


class Stop:
    """Waits for SIGINT or SIGTERM. A second one ends the process at once."""

    def __init__(self) -> None:
        self._bell = os.eventfd(0, os.EFD_CLOEXEC)
        self._asked = False
        self._action: Callable[[], None] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the signals inside the block."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._signalled) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._bell)

    def call(self, action: Callable[[], None]) -> None:
        """Let a signal call `action` too; also if it has come already."""
        self._action = action
        if self._asked:
            action()

    def wait(self) -> None:
        """Wait."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        poll.poll()

    def _signalled(self, number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._asked = True
        os.eventfd_write(self._bell, 1)
        if self._action is not None:
            self._action()


def serve(options: Options, announce: Announce) -> None:
    """Serve until a signal; raises ApplianceError where that cannot begin."""
    stop = Stop()
    with stop.listening(), ExitStack() as stack:
        responder = stack.enter_context(_responder(options))
        lines = _folder_lines(options.folders)
        if options.listen:
            lines += serve_ptpip(responder, options, stack)
        usb = None
        if options.usb or options.functionfs is not None:
            usb = serve_usb(responder, options, stack)
            stop.call(usb.stop)
            lines.append("Ready over USB.")
        notify("READY=1")
        for line in lines:
            announce(line)
        if usb is not None:
            usb.serve()
        else:
            stop.wait()
        log.info("STOP")
        notify("STOPPING=1")


@contextmanager
def _responder(options: Options) -> Iterator[Responder]:
    directory = options.state_directory or state_directory()
    device = Device(device_identity(), State(directory, default_name=options.name), LinuxHost())
    with Catalogue(options.folders) as catalogue:
        yield Responder(device, catalogue)


def _folder_lines(folders: tuple[Folder, ...]) -> list[str]:
    return [
        f'Serving {folder.path} as "{folder.name}"{", read-only" if folder.read_only else ""}.'
        for folder in folders
    ]


def serve_ptpip(responder: Responder, options: Options, stack: ExitStack) -> list[str]:
    """Serve over PTP/IP until `stack` is left; what to tell a person about it."""
    # Over USB alone this is not needed.
    from appliance.transports.ptpip import PtpIpServer  # noqa: PLC0415
    from appliance.transports.ptpip_listen import Address  # noqa: PLC0415

    server = PtpIpServer(responder, [Address(*each) for each in options.listen])
    stack.enter_context(server)
    for address in server.addresses:
        if not address.is_loopback:
            log.warning("who reaches %s may read and change it all: PTP/IP has no login", address)
    return _address_lines(server.addresses)


def _address_lines(addresses: "list[Address]") -> list[str]:
    lines = [f"Ready over PTP/IP at {', '.join(map(str, addresses))}."]
    known_to_gphoto2 = [address for address in addresses if ":" not in address.host]
    if known_to_gphoto2:
        lines += ["To look at it:", f"  {_gphoto2(known_to_gphoto2[0])}"]
    return lines


def _gphoto2(address: "Address") -> str:
    host = "127.0.0.1" if address.host == "0.0.0.0" else address.host
    # It takes the port once for each of its two connections.
    ports = "" if address.port == PORT else f":{address.port}:{address.port}"
    return f'gphoto2 --port ptpip:{host}{ports} --camera "PTP/IP Camera" --list-files'


def serve_usb(responder: Responder, options: Options, stack: ExitStack) -> "FunctionFsTransport":
    """Make ready for a USB host until `stack` is left; `serve` of what is given does the rest."""
    # Over PTP/IP alone this is not needed, and python-functionfs may not be there.
    from appliance.services.usb import UsbOptions, usb_transport  # noqa: PLC0415

    choice = UsbOptions(functionfs=options.functionfs, controller=options.udc)
    identity = responder.device.identity
    return stack.enter_context(usb_transport(responder, identity, choice))
