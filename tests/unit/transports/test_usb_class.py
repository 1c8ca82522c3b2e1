# SPDX-License-Identifier: GPL-3.0-or-later
"""Class requests as bytes."""

import pytest

from appliance.mtp.codes import EventCode
from appliance.mtp.transaction import Event
from appliance.transports.usb_class import (
    ClassRequest,
    Setup,
    decode_cancel,
    encode_extended_event,
    encode_status,
)


@pytest.mark.parametrize(
    ("kind", "number", "expected"),
    [
        (0x21, 0x64, ClassRequest.CANCEL),
        (0xA1, 0x65, ClassRequest.GET_EXTENDED_EVENT_DATA),
        (0x21, 0x66, ClassRequest.RESET),
        (0xA1, 0x67, ClassRequest.GET_DEVICE_STATUS),
        (0xA1, 0x64, None),
        (0x21, 0x67, None),
        (0xC0, 0x67, None),
        (0x21, 0x68, None),
        (0x02, 0x01, None),
    ],
)
def test_which_request(kind: int, number: int, expected: ClassRequest | None) -> None:
    assert Setup(kind, number, 0, 0, 4).class_request is expected


@pytest.mark.parametrize(
    ("data", "transaction"),
    [
        (b"\x01\x40\x05\0\0\0", 5),
        (b"\x01\x40\xff\xff\xff\xff", 0xFFFFFFFF),
        (b"\x02\x40\x05\0\0\0", None),
        (b"\x01\x40\x05\0\0", None),
        (b"", None),
    ],
)
def test_cancel(data: bytes, transaction: int | None) -> None:
    assert decode_cancel(data) == transaction


def test_status() -> None:
    assert encode_status(busy=False).hex() == "04000120"
    assert encode_status(busy=True).hex() == "04001920"
    assert encode_status(busy=False, halted=(0x81,)).hex() == "08001f2081000000"


def test_extended_event() -> None:
    assert encode_extended_event(None) == bytes(8)
    event = Event(EventCode.OBJECT_ADDED, (7, 8), 9)
    assert encode_extended_event(event).hex() == "0240090000000200040007000000040008000000"
