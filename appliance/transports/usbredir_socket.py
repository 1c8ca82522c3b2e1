# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's socket, the bell that ends a wait for it, and the buffers that go through it."""

import contextlib
import os
import select
import socket
import threading
from collections import deque
from itertools import islice

from appliance.sockets import keep_alive
from appliance.transports.usbredir_bulk import Part

#: Parts that the kernel is given at once.
_PARTS = 512
#: Bytes that the kernel is asked to keep for the guest.
_BUFFER = 1 << 20


#: Buffers that are kept for the next use, and the bytes of each.
_KEPT = 16
LARGEST = 256 * 1024


class WireClosedError(Exception):
    """The guest is gone."""


class Buffers:
    """Buffers on loan, used anew once the kernel has taken what is in them.

    A new one costs as much as the file's content that is read into it: the kernel clears its pages.
    """

    def __init__(self) -> None:
        self._free: list[bytearray] = []
        self._leaving: bytearray | None = None

    def lend(self) -> memoryview:
        """Lend a buffer of `LARGEST` bytes, whatever is in it."""
        return memoryview(self._free.pop() if self._free else bytearray(LARGEST))

    def gone(self, part: Part) -> None:
        """Note that a part has gone. They go in their order: what was before it is free."""
        owner = part.obj if isinstance(part, memoryview) else None
        if isinstance(owner, bytearray) and owner is not self._leaving:
            if self._leaving is not None and len(self._free) < _KEPT:
                self._free.append(self._leaving)
            self._leaving = owner


class Wire:
    """A socket that never blocks but in `wait`; `ring` and `shut_down` are for any thread.

    Raises OSError where the guest is gone already, or no descriptor is left.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keep_alive(connection)  # and no TCP_USER_TIMEOUT: a guest may be paused for days
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._socket = connection
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        self._poll.register(connection, select.POLLIN)
        self._awaited = select.POLLIN
        self._guard = threading.Lock()
        self._is_open = True
        self.buffers = Buffers()

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
                if len(parts) == 1:
                    count = self._socket.send(parts[0])
                else:
                    count = self._socket.sendmsg(list(islice(parts, _PARTS)))
                self._drop(parts, count)
                sent = True
        except BlockingIOError:
            pass
        except OSError as error:
            raise WireClosedError(error.strerror) from error
        return sent

    def _drop(self, parts: deque[Part], count: int) -> None:
        """Take `count` bytes from the front."""
        while parts and count >= len(parts[0]):
            count -= len(parts[0])
            self.buffers.gone(parts.popleft())
        if count:
            parts[0] = memoryview(parts[0])[count:]

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
