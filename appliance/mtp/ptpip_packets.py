# SPDX-License-Identifier: GPL-3.0-or-later
"""PTP/IP packets.

Spec: CIPA DC-005 (PTP-IP) section 2.3. All integers are little-endian.

| offset | size | field                                    |
|--------|------|------------------------------------------|
| 0      | 4    | length of the packet, these 8 bytes with |
| 4      | 4    | packet type                              |
| 8      | …    | payload by type                          |
"""

import struct

from appliance.enums import IntEnum
from appliance.mtp.codes import EventCode, OperationCode
from appliance.mtp.transaction import Reply, Request
from appliance.mtp.wire import Reader, WireError
from appliance.values import dataclass

PORT = 15740
PREFIX = struct.Struct("<II")
DATA_PREFIX = struct.Struct("<III")
PROTOCOL_VERSION = 0x00010000
#: Total of a data phase whose length is not known.
UNKNOWN_TOTAL = 0xFFFFFFFFFFFFFFFF
_GUID_SIZE = 16


class PacketType(IntEnum):
    """Packet types (section 2.3.1)."""

    INIT_COMMAND_REQUEST = 1
    INIT_COMMAND_ACK = 2
    INIT_EVENT_REQUEST = 3
    INIT_EVENT_ACK = 4
    INIT_FAIL = 5
    OPERATION_REQUEST = 6
    OPERATION_RESPONSE = 7
    EVENT = 8
    START_DATA = 9
    DATA = 10
    CANCEL = 11
    END_DATA = 12
    PROBE_REQUEST = 13
    PROBE_RESPONSE = 14


class FailReason(IntEnum):
    """Why a connection is refused (section 2.3.7)."""

    REJECTED_INITIATOR = 1
    BUSY = 2
    UNSPECIFIED = 3


class DataPhaseInfo(IntEnum):
    """What an operation request says about its data phase (section 2.3.8)."""

    UNKNOWN = 0
    NO_DATA_OR_DATA_IN = 1
    DATA_OUT = 2


class PacketError(Exception):
    """Bytes that are no packet of the kind that may come now."""


@dataclass(frozen=True, slots=True)
class InitCommand:
    """An initiator's first packet: who it is."""

    guid: bytes
    name: str
    version: int


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """A request, and whether data follows it; None where the initiator does not say.

    `complaint` is what is wrong with the parameters, if anything; then the request has none.
    """

    request: Request
    sends_data: bool | None
    complaint: str = ""


def encode(kind: PacketType, payload: bytes = b"") -> bytes:
    """Build a packet."""
    return PREFIX.pack(PREFIX.size + len(payload), kind) + payload


def encode_init_command_ack(connection: int, guid: bytes, name: str) -> bytes:
    """Build the answer to an Init Command Request; `guid` has 16 bytes."""
    payload = struct.pack("<I", connection) + guid + _name(name)
    return encode(PacketType.INIT_COMMAND_ACK, payload + struct.pack("<I", PROTOCOL_VERSION))


def encode_init_command_request(guid: bytes, name: str) -> bytes:
    """Build an Init Command Request; `guid` has 16 bytes."""
    payload = guid + _name(name) + struct.pack("<I", PROTOCOL_VERSION)
    return encode(PacketType.INIT_COMMAND_REQUEST, payload)


def encode_init_fail(reason: FailReason) -> bytes:
    """Build a refusal."""
    return encode(PacketType.INIT_FAIL, struct.pack("<I", reason))


def encode_response(request: Request, reply: Reply) -> bytes:
    """Build an Operation Response."""
    return encode(
        PacketType.OPERATION_RESPONSE, _block(reply.code, request.transaction_id, reply.parameters)
    )


def encode_event(code: EventCode, transaction_id: int, parameters: tuple[int, ...]) -> bytes:
    """Build an Event."""
    return encode(PacketType.EVENT, _block(code, transaction_id, parameters))


def encode_start_data(request: Request, total: int) -> bytes:
    """Build the start of a data phase of `total` bytes."""
    return encode(PacketType.START_DATA, struct.pack("<IQ", request.transaction_id, total))


def encode_data_prefix(kind: PacketType, request: Request, length: int) -> bytes:
    """Build what stands before `length` bytes of a Data or End Data packet."""
    return DATA_PREFIX.pack(DATA_PREFIX.size + length, kind, request.transaction_id)


def _name(name: str) -> bytes:
    return f"{name}\0".encode("utf-16-le", "replace")


def _block(code: int, transaction_id: int, parameters: tuple[int, ...]) -> bytes:
    return struct.pack(f"<HI{len(parameters)}I", code, transaction_id, *parameters)


def decode_init_command(payload: bytes) -> InitCommand:
    """Read an Init Command Request; a missing version counts as 1.0."""
    if len(payload) < _GUID_SIZE + 2:
        raise PacketError(f"init command request of {len(payload)} bytes")
    guid, rest = payload[:_GUID_SIZE], payload[_GUID_SIZE:]
    end = next((i for i in range(0, len(rest) - 1, 2) if rest[i : i + 2] == b"\0\0"), None)
    if end is None:
        raise PacketError("init command request with an endless name")
    name = rest[:end].decode("utf-16-le", "replace")
    version = rest[end + 2 : end + 6]
    return InitCommand(guid, name, int.from_bytes(version, "little") or PROTOCOL_VERSION)


def decode_init_event(payload: bytes) -> int:
    """Read an Init Event Request: the connection number."""
    return _read(payload).u32()


def decode_operation(payload: bytes) -> OperationRequest:
    """Read an Operation Request; PacketError where not even its transaction can be told."""
    reader = _read(payload)
    try:
        phase, code, transaction_id = reader.u32(), reader.u16(), reader.u32()
    except WireError as error:
        raise PacketError(str(error)) from None
    sends_data = None if phase == DataPhaseInfo.UNKNOWN else phase == DataPhaseInfo.DATA_OUT
    if reader.rest % 4 or reader.rest > 5 * 4:
        request = Request(OperationCode(code), transaction_id)
        return OperationRequest(request, sends_data, f"{reader.rest} bytes of parameters")
    parameters = tuple(reader.u32() for _ in range(reader.rest // 4))
    return OperationRequest(Request(OperationCode(code), transaction_id, parameters), sends_data)


def decode_transaction_id(payload: bytes) -> int:
    """Read the transaction id at the front of Cancel, Data and End Data."""
    return _read(payload[:4]).u32()


def decode_start_data(payload: bytes) -> tuple[int, int | None]:
    """Read Start Data: transaction id, and the total in bytes, None where it is not known."""
    reader = _read(payload)
    try:
        transaction_id, total = reader.u32(), reader.u64()
    except WireError as error:
        raise PacketError(str(error)) from None
    return transaction_id, None if total == UNKNOWN_TOTAL else total


def _read(payload: bytes) -> Reader:
    if len(payload) < 4:
        raise PacketError(f"packet with {len(payload)} bytes of payload")
    return Reader(payload)
