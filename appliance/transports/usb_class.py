# SPDX-License-Identifier: GPL-3.0-or-later
"""The class requests of endpoint 0: cancel, reset, status, extended event data.

Spec: USB Still Image Capture Device 1.0 section 5.2.
"""

import struct
from collections.abc import Sequence

from appliance.enums import IntEnum
from appliance.mtp.codes import EventCode, ResponseCode
from appliance.mtp.transaction import Event
from appliance.values import dataclass

#: bmRequestType of a class request to the interface, in either direction.
TO_DEVICE = 0x21
TO_HOST = 0xA1

_CANCEL = struct.Struct("<HI")
_STATUS = struct.Struct("<HH")
_EXTENDED_EVENT = struct.Struct("<HIH")
_EVENT_PARAMETER = struct.Struct("<HI")


class ClassRequest(IntEnum):
    """bRequest."""

    CANCEL = 0x64
    GET_EXTENDED_EVENT_DATA = 0x65
    RESET = 0x66
    GET_DEVICE_STATUS = 0x67


@dataclass(frozen=True, slots=True)
class Setup:
    """The eight bytes of a control transfer's set-up stage."""

    request_type: int
    request: int
    value: int
    index: int
    length: int

    @property
    def class_request(self) -> ClassRequest | None:
        """Which of ours it is, in the right direction; None where it is none of them."""
        try:
            request = ClassRequest(self.request)
        except ValueError:
            return None
        to_device = request in {ClassRequest.CANCEL, ClassRequest.RESET}
        return request if self.request_type == (TO_DEVICE if to_device else TO_HOST) else None


def decode_cancel(data: bytes) -> int | None:
    """Read the data of a cancel: the transaction's id; None where it is malformed.

    | offset | size | field                  |
    |--------|------|------------------------|
    | 0      | 2    | cancellation code 4001 |
    | 2      | 4    | transaction id         |
    """
    if len(data) != _CANCEL.size:
        return None
    code, transaction_id = _CANCEL.unpack(data)
    return int(transaction_id) if code == EventCode.CANCEL_TRANSACTION else None


CANCEL_SIZE = _CANCEL.size


def encode_status(*, busy: bool, halted: Sequence[int] = ()) -> bytes:
    """Build the device status; `halted` are the addresses of stalled endpoints.

    | offset | size | field                                     |
    |--------|------|-------------------------------------------|
    | 0      | 2    | length of the whole                       |
    | 2      | 2    | OK, DeviceBusy or TransactionCancelled    |
    | 4      | 4·n  | the stalled endpoints of a cancelled one  |
    """
    code = ResponseCode.DEVICE_BUSY if busy else ResponseCode.OK
    if halted:
        code = ResponseCode.TRANSACTION_CANCELLED
    size = _STATUS.size + 4 * len(halted)
    return _STATUS.pack(size, code) + struct.pack(f"<{len(halted)}I", *halted)


def encode_extended_event(event: Event | None) -> bytes:
    """Build the extended event data of the last event, all zero where there was none.

    | offset | size | field                                            |
    |--------|------|--------------------------------------------------|
    | 0      | 2    | event code                                       |
    | 2      | 4    | transaction id                                   |
    | 6      | 2    | number of parameters                             |
    | 8      | 6·n  | for each its size in bytes (2), always 4, and it |
    """
    if event is None:
        return _EXTENDED_EVENT.pack(0, 0, 0)
    head = _EXTENDED_EVENT.pack(event.code, event.transaction_id, len(event.parameters))
    return head + b"".join(_EVENT_PARAMETER.pack(4, value) for value in event.parameters)
