# SPDX-License-Identifier: GPL-3.0-or-later
"""A PTP/IP initiator of its own making: it shares no code with the server that it tests."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from appliance.mtp.responder import Responder
from appliance.transports.ptpip import PtpIpServer
from appliance.transports.ptpip_listen import Address
from tests.fakes.client import Answer, Client, Heard
from tests.fakes.device import responder_for

INIT_COMMAND, INIT_COMMAND_ACK, INIT_EVENT, INIT_EVENT_ACK, INIT_FAIL = 1, 2, 3, 4, 5
REQUEST, RESPONSE, EVENT, START_DATA, DATA, CANCEL, END_DATA, PROBE, PONG = range(6, 15)

#: Seconds after which a test fails instead of waiting on; nothing here takes as long.
PATIENCE = 10.0
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as it came."""

    kind: int
    payload: bytes

    @property
    def number(self) -> int:
        """The 32-bit number at the front of the payload."""
        return int(struct.unpack_from("<I", self.payload)[0])


class Wire:
    """One TCP connection, packet by packet or byte by byte."""

    def __init__(self, address: Address, *, receive_buffer: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(tuple(address))

    def __del__(self) -> None:
        self.socket.close()

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Send a packet."""
        self.raw(struct.pack("<II", 8 + len(payload), kind) + payload)

    def bytes(self, size: int) -> bytes:
        """Receive so many bytes; fewer where the connection ends."""
        data = b""
        while len(data) < size and (part := self.socket.recv(min(size - len(data), 1 << 20))):
            data += part
        return data

    def receive(self) -> Packet | None:
        """Receive a packet; None where the connection has ended."""
        try:
            prefix = self.bytes(8)
        except ConnectionError:
            return None
        if not prefix:
            return None
        length, kind = struct.unpack("<II", prefix)
        return Packet(kind, self.bytes(length - 8))

    def expect(self, kind: int) -> Packet:
        """Receive a packet that must be of one type."""
        packet = self.receive()
        assert packet is not None, "the connection has ended"
        assert packet.kind == kind, f"packet of type {packet.kind} instead of {kind}"
        return packet

    def is_over(self) -> bool:
        """Wait until the responder closes the connection; False where it says something instead."""
        return self.receive() is None

    def close(self) -> None:
        """Close in good order."""
        self.socket.close()

    def kill(self) -> None:
        """Close as a killed process with unread data does: by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def init_command(name: str = "tester", guid: bytes = bytes(16), version: int = 0x10000) -> bytes:
    """Payload of an Init Command Request."""
    return guid + f"{name}\0".encode("utf-16-le") + struct.pack("<I", version)


class PtpIpClient:
    """An initiator with its two connections."""

    def __init__(self, address: Address, *, events: bool = True, receive_buffer: int = 0) -> None:
        self.address = address
        self._receive_buffer = receive_buffer
        self.transaction_id = 0
        self.command = Wire(address, receive_buffer=receive_buffer)
        self.command.send(INIT_COMMAND, init_command())
        ack = self.command.expect(INIT_COMMAND_ACK)
        self.number = ack.number
        self.responder_guid = ack.payload[4:20]
        self.responder_name = ack.payload[20:-4].decode("utf-16-le").rstrip("\0")
        self._event: Wire | None = None
        if events:
            self.connect_events()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def event(self) -> Wire:
        """The event connection."""
        assert self._event is not None
        return self._event

    def connect_events(self) -> None:
        """Make the event connection."""
        self._event = Wire(self.address, receive_buffer=self._receive_buffer)
        self._event.send(INIT_EVENT, struct.pack("<I", self.number))
        assert self._event.expect(INIT_EVENT_ACK).payload == b""

    def close(self) -> None:
        """Close both connections."""
        self.command.close()
        if self._event is not None:
            self._event.close()

    def kill(self) -> None:
        """End as a killed process does."""
        self.command.kill()
        if self._event is not None:
            self._event.kill()

    # One step of a transaction after the other

    def request(self, code: int, *parameters: int, phase: int = 1) -> int:
        """Send an operation request; its transaction id."""
        self.transaction_id += 1
        head = struct.pack("<IHI", phase, code, self.transaction_id)
        self.command.send(REQUEST, head + struct.pack(f"<{len(parameters)}I", *parameters))
        return self.transaction_id

    def start_data(self, total: int) -> None:
        """Announce data."""
        self.command.send(START_DATA, struct.pack("<IQ", self.transaction_id, total))

    def data(self, data: bytes, *, last: bool = False) -> None:
        """Send a data packet."""
        payload = struct.pack("<I", self.transaction_id) + data
        self.command.send(END_DATA if last else DATA, payload)

    def cancel(self, *wires: Wire) -> None:
        """Cancel the transaction on these connections."""
        for wire in wires:
            wire.send(CANCEL, struct.pack("<I", self.transaction_id))

    def response(self) -> tuple[int, tuple[int, ...]]:
        """Receive the response of the transaction."""
        return self._decode(self.command.expect(RESPONSE))

    def received(self) -> tuple[int, bytes]:
        """Receive a data phase: the total that was announced, and the data."""
        start = self.command.expect(START_DATA)
        return int(struct.unpack_from("<Q", start.payload, 4)[0]), self._data_after(start)

    def _decode(self, packet: Packet) -> tuple[int, tuple[int, ...]]:
        code, transaction_id = struct.unpack_from("<HI", packet.payload)
        assert transaction_id == self.transaction_id
        return code, struct.unpack_from(f"<{(len(packet.payload) - 6) // 4}I", packet.payload, 6)

    # A whole transaction

    def call(self, code: int, *parameters: int, data: bytes | None = None) -> Answer:
        """Run an operation; data of no bytes is sent as libgphoto2 does, without an end."""
        self.request(code, *parameters, phase=1 if data is None else 2)
        if data is not None:
            self.start_data(len(data))
            for at in range(0, len(data), _PIECE):
                self.data(data[at : at + _PIECE], last=at + _PIECE >= len(data))
        first = self.command.receive()
        assert first is not None, "the connection has ended"
        if first.kind == RESPONSE:
            return Answer(*self._decode(first))
        received = self._data_after(first)
        return Answer(*self.response(), received)

    def heard(self) -> Heard:
        """Receive an event."""
        payload = self.event.expect(EVENT).payload
        code, _transaction = struct.unpack_from("<HI", payload)
        return Heard(code, struct.unpack_from(f"<{(len(payload) - 6) // 4}I", payload, 6))

    def _data_after(self, start: Packet) -> bytes:
        assert (start.kind, start.number) == (START_DATA, self.transaction_id)
        received = bytearray()
        while (packet := self.command.receive()) is not None:
            assert packet.kind in (DATA, END_DATA), packet.kind
            assert packet.number == self.transaction_id
            received += packet.payload[4:]
            if packet.kind == END_DATA:
                return bytes(received)
        raise AssertionError("the connection has ended")


class TcpClient:
    """The `Client` of the tests, over TCP; those that `another` made end with the first."""

    def __init__(
        self, address: Address, ended_by: ExitStack, responder: Responder | None = None
    ) -> None:
        self._responder = responder
        self._address = address
        self._ended_by = ended_by
        self._wire = ended_by.enter_context(PtpIpClient(address))

    def call(self, code: int, *parameters: int, data: bytes | None = None) -> Answer:
        return self._wire.call(code, *parameters, data=data)

    def event(self) -> Heard:
        return self._wire.heard()

    def another(self) -> "TcpClient":
        return TcpClient(self._address, self._ended_by, self._responder)

    @property
    def responder(self) -> Responder:
        assert self._responder is not None, "the responder is another process"
        return self._responder


@contextmanager
def connect_ptpip(
    *folders: Path,
    read_only: frozenset[Path] | set[Path] = frozenset(),
    allow_format: bool = False,
) -> Iterator[Client]:
    """Serve folders to a client over TCP."""
    with (
        responder_for(folders, read_only=read_only, allow_format=allow_format) as responder,
        PtpIpServer(responder, [Address("127.0.0.1", 0)]) as server,
        ExitStack() as clients,
    ):
        yield TcpClient(server.addresses[0], clients, responder)
