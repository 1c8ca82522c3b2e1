# SPDX-License-Identifier: GPL-3.0-or-later
"""PTP/IP packets over one TCP connection; what goes wrong with it is PeerGoneError."""

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EINVAL, EIO, ENOSYS, EOPNOTSUPP, EOVERFLOW, ESTALE

from appliance.mtp.ptpip_packets import PREFIX, PacketError
from appliance.sockets import keep_alive
from appliance.values import dataclass

#: Bytes of payload of a packet that is no data; the longest is an initiator's name.
MAX_PAYLOAD = 1024
#: Bytes of data that are taken out of the connection at once.
PIECE_SIZE = 256 * 1024
#: Seconds that the kernel waits for what it has sent to be acknowledged.
_USER_TIMEOUT = 60
#: Errors of sendfile that are the file's and not the connection's.
_FILE_ERRORS = {EINVAL, EIO, ENOSYS, EOPNOTSUPP, EOVERFLOW, ESTALE}


class PeerGoneError(Exception):
    """The connection is closed, broken or too slow; nothing more can be said on it."""


@dataclass(frozen=True, slots=True)
class Head:
    """A packet's first 8 bytes: its type, and how many bytes of payload follow."""

    type: int
    size: int


@contextmanager
def _peer_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PeerGoneError(error.strerror or str(error)) from None


class Channel:
    """One TCP connection, packet by packet. For one thread, but for `shut_down`."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._head: Head | None = None
        self._outgoing = bytearray()
        self._buffer: memoryview | None = None
        self._deadline: float | None = None
        self._closing = threading.Lock()
        with _peer_errors():
            _configure(connection)

    def fileno(self) -> int:
        """Give the descriptor, to wait for."""
        return self._socket.fileno()

    def limit(self, seconds: float | None) -> None:
        """Let everything from now on take `seconds` at most; None lifts the limit."""
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._socket.settimeout(seconds)

    def shut_down(self) -> None:
        """End both directions; from any thread. Whoever waits here gets PeerGoneError."""
        with self._closing, suppress(OSError):  # it may be shut down or closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection. Unread bytes are dropped first, lest they reset it."""
        with suppress(OSError):
            self._socket.setblocking(False)
            self._socket.recv(1 << 16)
        with self._closing:
            self._socket.close()

    # Packets from the peer

    def ready(self, seconds: float = 0.0) -> bool:
        """Whether something of a packet is there, or comes within `seconds`."""
        if self._head is not None:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def wait_for_reader(self) -> None:
        """Have the kernel keep what is sent until it is read, and not only `_USER_TIMEOUT`.

        To it a peer that reads nothing for so long is as good as gone.
        """
        with _peer_errors():
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)

    def acknowledge(self) -> None:
        """Acknowledge what has come, now and not in 40 ms.

        An initiator that leaves Nagle's algorithm on, as libgphoto2 does, holds back its next small
        packet until then.
        """
        with _peer_errors():
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def head(self) -> Head:
        """Wait for the next packet; the same one until its payload has been taken."""
        if self._head is None:
            length, kind = PREFIX.unpack(self._receive(PREFIX.size))
            if length < PREFIX.size:
                raise PacketError(f"packet of {length} bytes")
            self._head = Head(kind, length - PREFIX.size)
        return self._head

    def payload(self) -> bytes:
        """Take the payload of the packet; more than MAX_PAYLOAD is a PacketError."""
        head = self.head()
        if head.size > MAX_PAYLOAD:
            raise PacketError(f"packet of type {head.type} with {head.size} bytes")
        self._head = None
        return self._receive(head.size)

    def data(self) -> tuple[int, Iterator[memoryview]]:
        """Take a data packet: its transaction id, and its data in pieces.

        All pieces are to be taken. Each is valid until the next one.
        """
        size = self.head().size
        if size < 4:
            raise PacketError(f"data packet with {size} bytes")
        self._head = None
        return int.from_bytes(self._receive(4), "little"), self._pieces(size - 4)

    def skip(self) -> None:
        """Drop the packet, of whatever type and size it is."""
        size, self._head = self.head().size, None
        for _ in self._pieces(size):
            pass

    def _pieces(self, rest: int) -> Iterator[memoryview]:
        if self._buffer is None:
            self._buffer = memoryview(bytearray(PIECE_SIZE))
        while rest:
            piece = self._buffer[: min(rest, PIECE_SIZE)]
            self._receive_into(piece)
            rest -= len(piece)
            yield piece

    def _receive(self, size: int) -> bytes:
        data = bytearray(size)
        self._receive_into(memoryview(data))
        return bytes(data)

    def _receive_into(self, view: memoryview) -> None:
        while view:
            with _peer_errors():
                self._keep_deadline()
                count = self._socket.recv_into(view, len(view), socket.MSG_WAITALL)
            if not count:
                raise PeerGoneError("closed by the initiator")
            view = view[count:]

    def _keep_deadline(self) -> None:
        if self._deadline is not None:
            rest = self._deadline - time.monotonic()
            if rest <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(rest)

    # Packets to the peer

    def put(self, data: bytes | memoryview) -> None:
        """Collect bytes for the peer; `flush` sends them."""
        self._outgoing += data

    def flush(self, *, more: bool = False) -> None:
        """Send what is collected; `more` if data follows at once."""
        data, self._outgoing = self._outgoing, bytearray()
        if data:
            with _peer_errors():
                self._keep_deadline()
                self._socket.sendall(data, socket.MSG_MORE if more else 0)

    def send(self, data: bytes) -> None:
        """Send a packet."""
        self.put(data)
        self.flush()

    def send_some(self, data: bytes) -> int:
        """Send as much as goes without waiting; how many bytes that was."""
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise PeerGoneError(error.strerror) from None

    def send_piece(self, data: memoryview) -> None:
        """Send what is collected, and data."""
        self.flush(more=True)
        with _peer_errors():
            self._socket.sendall(data)

    def send_file(self, fd: int, offset: int, count: int) -> int:
        """Send what is collected, and a part of a file; how many bytes of it there were.

        Fewer than `count` where the file ends, cannot be read, or is of a kind without sendfile.
        """
        self.flush(more=True)
        sent = 0
        while sent < count:
            try:
                part = os.sendfile(self._socket.fileno(), fd, offset + sent, count - sent)
            except OSError as error:
                if error.errno in _FILE_ERRORS:
                    break
                raise PeerGoneError(error.strerror) from None
            if not part:
                break
            sent += part
        return sent


def _configure(connection: socket.socket) -> None:
    tcp = socket.IPPROTO_TCP
    connection.setsockopt(tcp, socket.TCP_NODELAY, 1)
    keep_alive(connection)
    connection.setsockopt(tcp, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT * 1000)


def send_refusal(connection: socket.socket, packet: bytes) -> None:
    """Send a last packet without waiting, as far as it can be, and close."""
    with suppress(OSError):
        connection.send(packet, socket.MSG_DONTWAIT)
    connection.close()
