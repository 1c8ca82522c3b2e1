# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual machine's side of usbredir, of its own making: it shares no code with what it tests.

`Guest` is the protocol, packet by packet, as QEMU speaks it; `RedirectedClient` an initiator on it.
"""

import itertools
import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.mtp.codes import SENDS_DATA
from appliance.mtp.responder import Responder
from appliance.transports.usb_descriptors import Description
from appliance.transports.usbredir import UsbRedirServer
from appliance.transports.usbredir_places import Place
from tests.fakes.client import Answer, Client, Heard
from tests.fakes.device import responder_for

HELLO, CONNECT, DISCONNECT, RESET, INTERFACES, ENDPOINTS, SET_CONFIG, GET_CONFIG = range(8)
CONFIG_STATUS, SET_ALT, GET_ALT, ALT_STATUS, START_ISO, STOP_ISO, ISO_STATUS = range(8, 15)
START_INTERRUPT, STOP_INTERRUPT, INTERRUPT_STATUS, ALLOC_STREAMS, FREE_STREAMS = range(15, 20)
STREAMS_STATUS, CANCEL, REJECT, FILTER, DISCONNECT_ACK, START_BULK, STOP_BULK = range(20, 27)
BULK_STATUS, CONTROL, BULK, ISO, INTERRUPT, BUFFERED = 27, *range(100, 105)

SUCCESS, CANCELLED, INVALID, IO_ERROR, STALL = range(5)
BULK_IN, BULK_OUT, EVENTS = 0x81, 0x02, 0x83
#: What QEMU 7.2 says that it can.
QEMU = 0b1111_0111
OLDEST = 0
DESCRIPTION = Description("Maker", "Model", "0123456789")

#: Seconds after which a test fails instead of waiting on; nothing here takes as long.
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as it came."""

    kind: int
    number: int
    body: bytes


class Guest:
    """One connection. `capabilities` decides, with the peer's, how packets look."""

    def __init__(self, connection: socket.socket, capabilities: int | None = QEMU) -> None:
        connection.settimeout(PATIENCE)
        self.socket = connection
        self._numbers = itertools.count(1)
        self._early: deque[Packet] = deque()
        self.wide = self.large = False
        if capabilities is None:  # migrated here: it has said hello to somebody else
            self.wide = self.large = True
            return
        try:
            self.send(HELLO, b"a test".ljust(64, b"\0") + struct.pack("<I", capabilities), number=0)
            hello = self._receive()
        except ConnectionError:
            self.close()
            raise
        assert hello.kind == HELLO
        theirs = struct.unpack_from("<I", hello.body, 64)[0]
        self.common = capabilities & theirs
        self.wide, self.large = bool(self.common & 1 << 5), bool(self.common & 1 << 6)

    def close(self) -> None:
        """Go away."""
        self.socket.close()

    # Packets

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def send(self, kind: int, fields: bytes = b"", data: bytes = b"", number: int = -1) -> int:
        """Send a packet; its id."""
        number = next(self._numbers) if number < 0 else number
        head = struct.pack("<II", kind, len(fields) + len(data))
        self.raw(head + struct.pack("<Q" if self.wide else "<I", number) + fields + data)
        return number

    def _bytes(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and (part := self.socket.recv(size - len(data))):
            data += part
        return bytes(data)

    def _receive(self) -> Packet:
        size = 16 if self.wide else 12
        head = self._bytes(size)
        if len(head) < size:
            raise ConnectionResetError("the device is gone")
        kind, length = struct.unpack_from("<II", head)
        number = struct.unpack_from("<Q" if self.wide else "<I", head, 8)[0]
        return Packet(kind, number, self._bytes(length))

    def receive(self, kind: int, number: int | None = None) -> Packet:
        """Receive the next packet of a type, and with an id; others are kept for later."""
        for packet in self._early:
            if packet.kind == kind and number in (None, packet.number):
                self._early.remove(packet)
                return packet
        while True:
            packet = self._receive()
            if packet.kind == kind and number in (None, packet.number):
                return packet
            self._early.append(packet)

    def is_over(self) -> bool:
        """Wait until the device's side has closed the connection."""
        try:
            while True:
                self._receive()
        except ConnectionError:
            return True

    def silent(self, seconds: float = 0.2) -> bool:
        """Whether nothing more comes for a while."""
        self.socket.settimeout(seconds)
        try:
            self._early.append(self._receive())
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)
        return False

    # USB

    def plug(self) -> tuple[bytes, bytes, bytes]:
        """Wait for the device: its endpoints, its interface, and itself."""
        endpoints, interfaces = self.receive(ENDPOINTS), self.receive(INTERFACES)
        return endpoints.body, interfaces.body, self.receive(CONNECT).body

    def configure(self, value: int = 1) -> bytes:
        """Choose a configuration; status and configuration."""
        return self.receive(CONFIG_STATUS, self.send(SET_CONFIG, bytes([value]))).body

    def control(
        self, kind: int, request: int, value: int = 0, index: int = 0, data: bytes | int = b""
    ) -> tuple[int, bytes]:
        """Make a control transfer: bytes to send, or a count to ask for; status and data."""
        length = data if isinstance(data, int) else len(data)
        fields = struct.pack("<BBBBHHH", kind & 0x80, request, kind, 0, value, index, length)
        number = self.send(CONTROL, fields, b"" if isinstance(data, int) else data)
        body = self.receive(CONTROL, number).body
        return body[3], body[10:]

    def bulk_fields(self, endpoint: int, length: int) -> bytes:
        """Lay out a bulk transfer."""
        fields = struct.pack("<BBHI", endpoint, 0, length & 0xFFFF, 0)
        return fields + struct.pack("<H", length >> 16) if self.large else fields

    def bulk_answer(self, number: int) -> tuple[int, int, bytes]:
        """Receive the answer to a bulk transfer: status, length, data."""
        body = self.receive(BULK, number).body
        length = struct.unpack_from("<H", body, 2)[0]
        if self.large:
            length |= struct.unpack_from("<H", body, 8)[0] << 16
        return body[1], length, body[10 if self.large else 8 :]

    def write(self, data: bytes) -> None:
        """Send a transfer, and wait until it has gone."""
        number = self.send(BULK, self.bulk_fields(BULK_OUT, len(data)), data)
        assert self.bulk_answer(number) == (SUCCESS, len(data), b"")

    def ask(self, size: int) -> int:
        """Ask for data; the id."""
        return self.send(BULK, self.bulk_fields(BULK_IN, size))

    def read(self, size: int = 1 << 15) -> bytes:
        """Ask for data, and wait for it."""
        status, length, data = self.bulk_answer(self.ask(size))
        assert (status, length) == (SUCCESS, len(data))
        return data

    def listen(self) -> None:
        """Ask for events."""
        number = self.send(START_INTERRUPT, bytes([EVENTS]))
        assert self.receive(INTERRUPT_STATUS, number).body == bytes([SUCCESS, EVENTS])


class RedirectedClient:
    """An initiator in a guest; those that `another` made have guests of their own."""

    def __init__(
        self, path: Path, ended_by: ExitStack, responder: Responder, piece: int = 1 << 15
    ) -> None:
        self.responder = responder
        self._path = path
        self._ended_by = ended_by
        self._piece = piece
        self._transaction_id = 0
        self.guest = Guest(dial(path))
        ended_by.callback(self.guest.close)
        self.guest.plug()
        assert self.guest.configure() == bytes([SUCCESS, 1])
        self.guest.listen()

    def another(self) -> "RedirectedClient":
        return RedirectedClient(self._path, self._ended_by, self.responder)

    def command(self, code: int, *parameters: int) -> None:
        """Send a command."""
        self._transaction_id += 1
        self.guest.write(self._container(1, code, struct.pack(f"<{len(parameters)}I", *parameters)))

    def _container(self, kind: int, code: int, payload: bytes) -> bytes:
        return struct.pack("<IHHI", 12 + len(payload), kind, code, self._transaction_id) + payload

    def call(self, code: int, *parameters: int, data: bytes | None = None) -> Answer:
        self.command(code, *parameters)
        if data is None and code in SENDS_DATA:  # over USB, no command says that there is none
            data = b""
        if data is not None:
            self.send_data(code, data)
        first = self.read_transfer()
        if struct.unpack_from("<H", first, 4)[0] == 3:
            return self._answer(first)
        answer = self._answer(self.read_transfer())
        return Answer(answer.code, answer.parameters, first[12:])

    def send_data(self, code: int, data: bytes) -> None:
        """Send a data phase."""
        whole = self._container(2, code, data)
        for at in range(0, len(whole), self._piece):
            self.guest.write(whole[at : at + self._piece])
        if len(whole) % 512 == 0:
            self.guest.write(b"")

    def read_transfer(self) -> bytes:
        """Read up to a short packet."""
        parts = [self.guest.read(self._piece)]
        while len(parts[-1]) == self._piece:
            parts.append(self.guest.read(self._piece))
        return b"".join(parts)

    def _answer(self, container: bytes) -> Answer:
        size, kind, code, number = struct.unpack_from("<IHHI", container)
        assert (size, kind, number) == (len(container), 3, self._transaction_id)
        return Answer(code, struct.unpack_from(f"<{(size - 12) // 4}I", container, 12))

    def event(self) -> Heard:
        body = self.guest.receive(INTERRUPT).body
        assert body[0] == EVENTS
        _size, kind, code, _ = struct.unpack_from("<IHHI", body, 4)
        assert kind == 4
        return Heard(code, struct.unpack_from(f"<{(len(body) - 16) // 4}I", body, 16))


def dial(path: Path) -> socket.socket:
    """Connect to a server's socket."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    connection.connect(str(path))
    return connection


@contextmanager
def serving(*folders: Path, **how: bool | frozenset[Path]) -> Iterator[tuple[Responder, Path]]:
    """Serve folders to virtual machines; the responder, and its socket."""
    path = folders[0].parent / "guest.sock"
    with (
        responder_for(folders, **how) as responder,  # type: ignore[arg-type]
        UsbRedirServer(responder, [Place(path)], DESCRIPTION),
    ):
        yield responder, path


@contextmanager
def connect_usbredir(
    *folders: Path,
    read_only: frozenset[Path] | set[Path] = frozenset(),
    allow_format: bool = False,
) -> Iterator[Client]:
    """Serve folders to a client in a virtual machine."""
    with (
        serving(*folders, read_only=frozenset(read_only), allow_format=allow_format) as served,
        ExitStack() as clients,
    ):
        responder, path = served
        yield RedirectedClient(path, clients, responder)
