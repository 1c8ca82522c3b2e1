# SPDX-License-Identifier: GPL-3.0-or-later
"""A word to systemd, if it started us and wants to hear (sd_notify(3))."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def is_heard() -> bool:
    """Whether somebody wants to hear."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(state: str) -> None:
    """Send for example `READY=1`; without systemd nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address[0] == "@":
        address = "\0" + address[1:]
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    with channel, suppress(OSError):  # nobody may listen (any more)
        channel.sendto(state.encode(), address)


@contextmanager
def notify_reloading() -> Iterator[None]:
    """Tell that the settings are being read again, until the block ends."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        yield
    finally:
        notify("READY=1")
