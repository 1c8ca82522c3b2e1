# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's socket, and the bell that ends a wait for it."""

import contextlib
import os
import select
import socket
import threading
from collections import deque
from itertools import islice

from appliance.transports.usbredir_bulk import Part

#: Parts that the kernel is given at once.
_PARTS = 512
#: Bytes that the kernel is asked to keep for the guest.
_BUFFER = 1 << 20


class WireClosedError(Exception):
    """The guest is gone."""


class Wire:
    """A socket that never blocks but in `wait`; `ring` and `shut_down` are for any thread."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._socket = connection
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        self._poll.register(connection, select.POLLIN)
        self._awaited = select.POLLIN
        self._guard = threading.Lock()
        self._is_open = True

    def ring(self) -> None:
        """End a wait."""
        with self._guard:
            if self._is_open:
                os.eventfd_write(self._bell, 1)

    def shut_down(self) -> None:
        """End the connection."""
        with self._guard, contextlib.suppress(OSError):  # the guest was faster
            if self._is_open:
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of socket and bell."""
        with self._guard:
            self._is_open = False
            self._socket.close()
            os.close(self._bell)

    def receive(self, space: memoryview) -> int:
        """Receive what is there, perhaps nothing."""
        try:
            count = self._socket.recv_into(space)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise WireClosedError(error.strerror) from error
        if not count:
            raise WireClosedError("it has closed the connection")
        return count

    def send(self, parts: deque[Part]) -> bool:
        """Send from the front of `parts` what the kernel takes; whether that was anything."""
        sent = False
        try:
            while parts:
                _drop(parts, self._socket.sendmsg(list(islice(parts, _PARTS))))
                sent = True
        except BlockingIOError:
            pass
        except OSError as error:
            raise WireClosedError(error.strerror) from error
        return sent

    @staticmethod
    def unsent(parts: deque[Part]) -> int:
        """Bytes that wait for the kernel to take them."""
        return sum(map(len, parts))

    def wait(self, timeout: float | None, *, writing: bool, reading: bool) -> bool:
        """Wait until one can go on; False after `timeout` seconds."""
        awaited = select.POLLIN * reading | select.POLLOUT * writing
        if awaited != self._awaited:
            self._poll.modify(self._socket, awaited)
            self._awaited = awaited
        happened = self._poll.poll(None if timeout is None else timeout * 1000)
        if any(fd == self._bell for fd, _ in happened):
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._bell)
        return bool(happened)


def _drop(parts: deque[Part], count: int) -> None:
    """Take `count` bytes from the front."""
    while parts and count >= len(parts[0]):
        count -= len(parts.popleft())
    if count:
        parts[0] = memoryview(parts[0])[count:]
