# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a PTP/IP server listens."""

import socket
from collections.abc import Iterable
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT
from typing import NamedTuple

from appliance.errors import ApplianceError
from appliance.mtp.ptpip_packets import PORT

_BACKLOG = 32
_NOT_HERE = {EADDRNOTAVAIL, EAFNOSUPPORT}
_HINTS = {
    EADDRINUSE: "another program listens there; choose another port, or end that program",
    EADDRNOTAVAIL: "give an address of this machine, or 0.0.0.0 for all",
    EACCES: "ports below 1024 are for root; choose a higher one",
}


class Address(NamedTuple):
    """Where to listen: an address or host name, and a TCP port (0: any that is free)."""

    host: str
    port: int = PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def of(cls, name: tuple[object, ...]) -> "Address":
        """Read what the socket module gives as a TCP address."""
        return cls(str(name[0]), int(str(name[1])))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "::1" or self.host.startswith("127.")


def listen(addresses: Iterable[Address], interface: str = "") -> list[socket.socket]:
    """Listen at all addresses; raises ApplianceError where one does not work, then at none.

    With `interface`, only what comes in by that network interface is heard.
    """
    listeners: list[socket.socket] = []
    try:
        for address in addresses:
            listeners += _listen_at(address, interface)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _listen_at(address: Address, interface: str) -> list[socket.socket]:
    """Listen at all that a name stands for; what of it this machine has not does not count."""
    listeners: list[socket.socket] = []
    try:
        for family, name in _resolve(address):
            try:
                listeners.append(_listen(family, name, interface))
            except OSError as error:
                missing = error
                if error.errno not in _NOT_HERE:
                    raise
        if not listeners:
            raise missing
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise ApplianceError(
            f"cannot listen at {address}: {error.strerror}", hint=_HINTS.get(error.errno or 0, "")
        ) from error
    return listeners


def _resolve(address: Address) -> list[tuple[int, tuple[object, ...]]]:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ApplianceError(
            f"cannot listen at {address}: no such address", hint="for example 127.0.0.1:15740"
        ) from error
    return [(family, name) for family, _, _, _, name in found]


def _listen(family: int, name: tuple[object, ...], interface: str) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if interface:
            device = interface.encode() + b"\0"
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        listener.bind(name)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
