# SPDX-License-Identifier: GPL-3.0-or-later
"""PTP/IP packets, byte for byte."""

import pytest

from appliance.mtp.codes import EventCode, ResponseCode
from appliance.mtp.ptpip_packets import (
    FailReason,
    PacketError,
    PacketType,
    decode_init_command,
    decode_init_event,
    decode_operation,
    decode_start_data,
    decode_transaction_id,
    encode,
    encode_data_prefix,
    encode_event,
    encode_init_command_ack,
    encode_init_command_request,
    encode_init_fail,
    encode_response,
    encode_start_data,
)
from appliance.mtp.transaction import Reply, Request

GUID = bytes(range(16))
REQUEST = Request(ResponseCode.OK, 0x01020304)  # type: ignore[arg-type]  # only its id counts


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (encode(PacketType.INIT_EVENT_ACK), "08000000 04000000"),
        (encode(PacketType.PROBE_RESPONSE), "08000000 0e000000"),
        (encode_init_fail(FailReason.BUSY), "0c000000 05000000 02000000"),
        (
            encode_init_command_ack(7, GUID, "ä"),
            "24000000 02000000 07000000 000102030405060708090a0b0c0d0e0f e4000000 00000100",
        ),
        (
            encode_init_command_request(GUID, "\ud800"),
            "20000000 01000000 000102030405060708090a0b0c0d0e0f 3f000000 00000100",
        ),
        (
            encode_response(REQUEST, Reply(ResponseCode.OK, (5, 6))),
            "16000000 07000000 0120 04030201 05000000 06000000",
        ),
        (
            encode_event(EventCode.OBJECT_ADDED, 0xFFFFFFFF, (9,)),
            "12000000 08000000 0240 ffffffff 09000000",
        ),
        (encode_start_data(REQUEST, 5 << 32), "14000000 09000000 04030201 0000000005000000"),
        (encode_data_prefix(PacketType.DATA, REQUEST, 3), "0f000000 0a000000 04030201"),
        (encode_data_prefix(PacketType.END_DATA, REQUEST, 0), "0c000000 0c000000 04030201"),
    ],
)
def test_packets(packet: bytes, expected: str) -> None:
    assert packet == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("tail", "name"),
    [
        ("7600 6d00 0000 00000100", "vm"),  # as libgphoto2 sends it
        ("7600 6d00 0000", "vm"),
        ("0000 00000100", ""),
        ("3dd8 00dd 0000 00000100", "\U0001f500"),
        ("3dd8 0000 00000100", "\ufffd"),
    ],
)
def test_init_command(tail: str, name: str) -> None:
    command = decode_init_command(GUID + bytes.fromhex(tail))
    assert (command.guid, command.name, command.version) == (GUID, name, 0x10000)


@pytest.mark.parametrize("payload", ["", "00" * 17, "00" * 16 + "7600 6d00", "01" * 40, "01" * 41])
def test_bad_init_command(payload: str) -> None:
    with pytest.raises(PacketError):
        decode_init_command(bytes.fromhex(payload))


@pytest.mark.parametrize(
    ("payload", "sends_data", "parameters"),
    [
        ("01000000 0210 07000000 01000000", False, (1,)),
        ("02000000 0d10 07000000", True, ()),
        ("00000000 0d10 07000000", None, ()),
        ("01000000 0210 07000000" + "01000000" * 5, False, (1,) * 5),
    ],
)
def test_operation(payload: str, sends_data: bool | None, parameters: tuple[int, ...]) -> None:
    operation = decode_operation(bytes.fromhex(payload))
    assert operation.sends_data is sends_data
    assert operation.request.transaction_id == 7
    assert operation.request.parameters == parameters
    assert not operation.complaint


@pytest.mark.parametrize("tail", ["01", "0100000001", "01000000" * 6])
def test_operation_with_bad_parameters_can_still_be_answered(tail: str) -> None:
    operation = decode_operation(bytes.fromhex("02000000 0210 07000000" + tail))
    assert operation.complaint
    assert (operation.request.code, operation.request.transaction_id) == (0x1002, 7)
    assert operation.sends_data is True


@pytest.mark.parametrize(
    ("decode", "payload"),
    [
        (decode_operation, ""),
        (decode_operation, "01000000 0210 0700"),
        (decode_init_event, "010000"),
        (decode_transaction_id, "010000"),
        (decode_start_data, "01000000 00000000"),
    ],
)
def test_too_short(decode: object, payload: str) -> None:
    with pytest.raises(PacketError):
        decode(bytes.fromhex(payload))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("payload", "total"),
    [
        ("07000000 0000000005000000", 5 << 32),
        ("07000000 ffffffff00000000", 0xFFFFFFFF),
        ("07000000 ffffffffffffffff", None),
    ],
)
def test_start_data(payload: str, total: int | None) -> None:
    assert decode_start_data(bytes.fromhex(payload)) == (7, total)
