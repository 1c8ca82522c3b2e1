# SPDX-License-Identifier: GPL-3.0-or-later
"""Where virtual machines are met: sockets of this machine, and TCP ports, listened at or called."""

import os
import socket
import stat
from collections.abc import Iterable
from errno import EACCES, EADDRINUSE, ENOENT
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.transports.ptpip_listen import Address
from appliance.transports.ptpip_listen import listen as listen_tcp
from appliance.values import dataclass, replace

#: Owner and group may connect: a socket is as good as a cable to the folders.
_MODE = 0o660
_BACKLOG = 8
#: Seconds that a TCP connection may take to come about.
_PATIENCE = 10.0
_HINTS = {
    ENOENT: "make its directory first",
    EACCES: "choose a directory that this user may write to",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A socket's path, or a TCP address; `calls`: the guest's program listens there, not we."""

    path: Path | None = None
    address: Address | None = None
    calls: bool = False

    def __str__(self) -> str:
        where = f"tcp:{self.address}" if self.path is None else f"unix:{self.path}"
        return f"connect:{where}" if self.calls else where


def listen(places: Iterable[Place]) -> dict[Place, socket.socket]:
    """Listen everywhere; raises ApplianceError where that cannot be, then nowhere.

    The keys have the ports that were found, where any was asked for.
    """
    listeners: dict[Place, socket.socket] = {}
    try:
        for place in places:
            if place.path is not None:
                listeners[place] = _listen_unix(place.path)
            elif place.address is not None:
                for each in listen_tcp([place.address]):
                    listeners[replace(place, address=Address.of(each.getsockname()))] = each
    except ApplianceError:
        close(listeners)
        raise
    return listeners


def close(listeners: dict[Place, socket.socket]) -> None:
    """Listen no longer, and leave no path behind."""
    for place, listener in listeners.items():
        if place.path is not None:
            place.path.unlink(missing_ok=True)
        listener.close()


def _listen_unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        os.fchmod(listener.fileno(), _MODE)  # what it is made with, less the umask
        listener.bind(os.fsencode(path))
        path.chmod(_MODE)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)  # a path too long has no number
        raise ApplianceError(
            f"cannot listen at {path}: {reason}", hint=_HINTS.get(error.errno or 0, "")
        ) from error
    except ApplianceError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket that its process has left behind; anything else there stays."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(EADDRINUSE, "there is something else of that name")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fsencode(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise ApplianceError(
                f"another program listens at {path}", hint="end it, or choose another path"
            )


def connect(place: Place) -> socket.socket:
    """Connect to a guest's program; raises OSError where it is not there."""
    if place.address is not None:
        return socket.create_connection(place.address, _PATIENCE)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.fsencode(place.path or ""))
    except OSError:
        connection.close()
        raise
    return connection
