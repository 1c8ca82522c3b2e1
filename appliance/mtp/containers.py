# SPDX-License-Identifier: GPL-3.0-or-later
"""USB containers: how commands, data, responses and events lie in bulk and interrupt transfers.

Spec: USB Still Image Capture Device 1.0 section 7, MTP 1.1 appendix H.

Header of every container:

| offset | size | field                                                            |
|--------|------|------------------------------------------------------------------|
| 0      | 4    | length of the whole container; 0xFFFFFFFF where it does not fit  |
| 4      | 2    | type: 1 command, 2 data, 3 response, 4 event                     |
| 6      | 2    | operation, response or event code                                |
| 8      | 4    | transaction id                                                   |
| 12     | 4·n  | parameters (n ≤ 5, events n ≤ 3), or the payload of a data phase |
"""

import struct

from appliance.enums import Enum, IntEnum
from appliance.mtp.codes import EventCode, OperationCode
from appliance.mtp.transaction import Reply, Request
from appliance.values import dataclass

HEADER = struct.Struct("<IHHI")
HEADER_SIZE = HEADER.size
MAX_COMMAND_SIZE = HEADER_SIZE + 5 * 4
UNKNOWN_LENGTH = 0xFFFFFFFF
_WRAP = 1 << 32


class ContainerType(IntEnum):
    """What a container holds."""

    COMMAND = 1
    DATA = 2
    RESPONSE = 3
    EVENT = 4


class ContainerError(ValueError):
    """Bytes that are no container of the kind that may come now."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first 12 bytes of a container."""

    length: int
    type: int
    code: int
    transaction_id: int


def decode_header(transfer: bytes | memoryview) -> Header:
    """Read a header from the front of a transfer."""
    if len(transfer) < HEADER_SIZE:
        raise ContainerError(f"{len(transfer)} bytes are no container")
    return Header(*HEADER.unpack_from(transfer))


def decode_command(transfer: bytes | memoryview) -> Request:
    """Read a command container that fills the whole transfer."""
    header = decode_header(transfer)
    size = len(transfer)
    if header.type != ContainerType.COMMAND:
        raise ContainerError(f"container type {header.type} instead of a command")
    if header.length != size or size > MAX_COMMAND_SIZE or size % 4:
        raise ContainerError(f"command of length {header.length} in {size} bytes")
    parameters = struct.unpack_from(f"<{(size - HEADER_SIZE) // 4}I", transfer, HEADER_SIZE)
    return Request(OperationCode(header.code), header.transaction_id, parameters)


def encode_data_header(request: Request, length: int) -> bytes:
    """Build the header of a data phase with `length` bytes of payload."""
    whole = min(HEADER_SIZE + length, UNKNOWN_LENGTH)
    return HEADER.pack(whole, ContainerType.DATA, request.code, request.transaction_id)


def encode_response(request: Request, reply: Reply) -> bytes:
    """Build a response container."""
    return _block(ContainerType.RESPONSE, reply.code, request.transaction_id, reply.parameters)


def encode_event(code: EventCode, transaction_id: int, parameters: tuple[int, ...]) -> bytes:
    """Build an event container; for the interrupt endpoint."""
    return _block(ContainerType.EVENT, code, transaction_id, parameters)


def _block(kind: ContainerType, code: int, transaction: int, parameters: tuple[int, ...]) -> bytes:
    size = HEADER_SIZE + 4 * len(parameters)
    return HEADER.pack(size, kind, code, transaction) + struct.pack(
        f"<{len(parameters)}I", *parameters
    )


def needs_zero_packet(total: int, packet_size: int) -> bool:
    """Whether a transfer to the host of `total` bytes must be ended by a zero-length packet."""
    return total > 0 and total % packet_size == 0


def last_packet(transfer: memoryview, packet_size: int) -> memoryview:
    """Cut out the short packet that ended a transfer; empty where a full packet ended it."""
    return transfer[len(transfer) - len(transfer) % packet_size :]


class Progress(Enum):
    """Where an incoming data phase stands after a transfer."""

    MORE = "more is to come"
    PAUSED = "all that was announced is here: silence or a zero-length packet ends it"
    WHOLE = "ended, and complete"
    TORN = "ended too soon"
    SUPERSEDED = "given up by the host: a new command came instead"


class DataPhase:
    """Puts an incoming data phase together from transfers; decides when it is over.

    The length field cannot be trusted: for 4 GiB and more two widespread libraries write it modulo
    2^32 and others write 0xFFFFFFFF, one of them truncates the object's announced size as well,
    and a client that is killed leaves the phase open for the next client's first command to run
    into. What ends a phase is a short packet. So that the phase of a host that sends no
    zero-length packet also ends, reads are sized to stop where the data may be over.

    The transport reads transfers of at most `next_read()` bytes, in order, and gives each to
    `feed`, which returns its payload. After PAUSED it waits a moment: silence means `settle()`.
    """

    def __init__(self, request: Request, expected: int | None, packet_size: int) -> None:
        self._request = request
        self._expected = expected
        self._packet_size = packet_size
        self._header: Header | None = None
        self.received = 0
        self.command: Request | None = None

    @property
    def started(self) -> bool:
        """Whether the data container's header has come."""
        return self._header is not None

    def next_read(self, largest: int, ahead: int = 0) -> int:
        """Bytes to ask for next when `ahead` bytes are asked for already; at most `largest`.

        0: nothing can be asked for before what is under way has come. `largest` is a multiple of
        the packet size, and so is the answer, for a host may always send a full packet.
        """
        if self._header is None:
            return 0 if ahead else self._packet_size
        position = HEADER_SIZE + self.received
        rest = self._boundary(position) - position - ahead
        if rest <= 0:
            return 0 if ahead else self._packet_size
        packets = -(-rest // self._packet_size)
        return min(packets * self._packet_size, largest)

    def feed(self, transfer: memoryview, asked: int) -> tuple[memoryview, Progress]:
        """Take one transfer that was read into a request of `asked` bytes."""
        short = len(transfer) < asked or len(transfer) % self._packet_size != 0
        if self._header is None:
            return self._begin(transfer, short=short)
        if short and self._is_command(transfer):
            return transfer[:0], Progress.SUPERSEDED
        self.received += len(transfer)
        return transfer, self._progress(short=short)

    def settle(self) -> Progress:
        """Say what silence after PAUSED means."""
        return Progress.WHOLE if self._consistent() else Progress.TORN

    def _begin(self, transfer: memoryview, *, short: bool) -> tuple[memoryview, Progress]:
        if not transfer:
            return transfer, Progress.MORE  # a zero-length packet left over from before
        if self._is_command(transfer):
            return transfer[:0], Progress.SUPERSEDED
        header = decode_header(transfer)
        if header.type != ContainerType.DATA:
            raise ContainerError(f"container type {header.type} instead of data")
        self._header = header
        payload = transfer[HEADER_SIZE:]
        self.received = len(payload)
        empty = header.length == HEADER_SIZE and not self._expected
        split = len(transfer) == HEADER_SIZE and not empty
        return payload, self._progress(short=short and not split)

    def _progress(self, *, short: bool) -> Progress:
        if short:
            return self.settle()
        position = HEADER_SIZE + self.received
        if position == self._boundary(position) and self._consistent():
            return Progress.PAUSED
        return Progress.MORE

    def _said(self) -> int | None:
        """Length of the container as the host gave it, perhaps modulo 2^32; None: it did not."""
        if self._header is not None and self._header.length != UNKNOWN_LENGTH:
            return self._header.length
        return HEADER_SIZE + self._expected if self._expected else None

    def _exact(self, said: int) -> int:
        """Length of the container by the announced size where the two agree, else 0."""
        exact = HEADER_SIZE + (self._expected or 0)
        return exact if (exact - said) % _WRAP == 0 else 0

    def _boundary(self, position: int) -> int:
        """Where, at `position` or later, the container may be over."""
        said = self._said()
        if said is None:
            return position + _WRAP
        exact = self._exact(said)
        if position <= exact:
            return exact
        wraps = max(0, position - said + _WRAP - 1) // _WRAP
        return said + wraps * _WRAP

    def _consistent(self) -> bool:
        """Whether what has come may be all of it."""
        said = self._said()
        if self._header is None or said is None:
            return self._header is not None
        position = HEADER_SIZE + self.received
        return (position - said) % _WRAP == 0 and position >= self._exact(said)

    def _is_command(self, transfer: memoryview) -> bool:
        """Whether a short transfer ends in the first command of another client.

        A read of many packets may hold data of the first client before it. Only where the data is
        not complete without it, for a file may end in such bytes.
        """
        tail = last_packet(transfer, self._packet_size)
        if not HEADER_SIZE <= len(tail) <= MAX_COMMAND_SIZE:
            return False
        if self._header is not None and self._completes(len(transfer)):
            return False
        try:
            self.command = decode_command(tail)
        except ContainerError:
            return False
        return True

    def _completes(self, size: int) -> bool:
        """Whether `size` more bytes make it whole, where it is known what is whole."""
        self.received += size
        try:
            return self._said() is not None and self._consistent()
        finally:
            self.received -= size
