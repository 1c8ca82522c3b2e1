# SPDX-License-Identifier: GPL-3.0-or-later
"""PTP/IP on the Wi-Fi, and nowhere else: for as long as its interface is there.

The socket is tied to the interface, so that neither the USB network nor any other reaches it. An
interface that goes and comes back is another one to the kernel: then it is listened there anew.
"""

import logging
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.mtp.ptpip_packets import PORT
from appliance.mtp.responder import Responder
from appliance.network.wifi import INTERFACE
from appliance.services.background import Background
from appliance.transports.ptpip import PtpIpServer
from appliance.transports.ptpip_listen import Address

log = logging.getLogger(__name__)

#: Seconds between two looks for the interface.
_LOOK = 2.0
#: Not in /proc/net: the responder's unit sees of /proc no more than its processes.
_IPV6 = Path("/proc/self/net/if_inet6")


class WifiServer(Background):
    """Serves where the interface is, for as long as it is there."""

    def __init__(self, responder: Responder, interface: str = INTERFACE, port: int = PORT) -> None:
        super().__init__("wifi")
        self._responder = responder
        hosts = ("0.0.0.0", "::") if _IPV6.exists() else ("0.0.0.0",)
        self._addresses = [Address(host, port) for host in hosts]
        self._interface = interface
        self._changed = threading.Condition()
        self._serving: list[Address] = []
        self._told = ""

    def wait(self, seconds: float) -> list[Address]:
        """Wait until it serves; where."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._serving), seconds)
            return self._serving

    def _work(self) -> None:
        with ExitStack() as stack:
            served = 0
            while True:
                index = interface_index(self._interface)
                if index != served:
                    stack.close()
                    self._now([])
                    served = index if index and self._serve(stack) else 0
                if self._over.wait(_LOOK):
                    return

    def _server(self) -> PtpIpServer:
        return PtpIpServer(self._responder, self._addresses, interface=self._interface)

    def _serve(self, stack: ExitStack) -> bool:
        try:
            server = stack.enter_context(self._server())
        except ApplianceError as error:
            if str(error) != self._told:
                log.warning("WI-FI   %s", error)
            self._told = str(error)
            return False
        self._told = ""
        log.warning("WI-FI   who is in that network may read and change it all: no login")
        self._now(server.addresses)
        return True

    def _now(self, addresses: list[Address]) -> None:
        with self._changed:
            self._serving = addresses
            self._changed.notify_all()


def interface_index(name: str) -> int:
    """Give the kernel's number of a network interface; 0 where there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0
