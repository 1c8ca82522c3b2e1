# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions, and what the device says of itself."""

import random
from pathlib import Path

import pytest

from appliance.mtp.codes import OperationCode, ResponseCode
from appliance.mtp.wire import Reader, encode_string
from tests.fakes.client import ConnectClient
from tests.protocol.initiator import ROOT, STORAGE, Initiator

Op = OperationCode
Response = ResponseCode


def test_device_info_needs_no_session(share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client)
        assert {0x1001, 0x1002, 0x1003, 0x1007, 0x9803} <= pc.supported()
        pc.open()
        assert 0x1001 in pc.supported()


def test_without_a_session_nothing_else_is_done(share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client)
        for code in sorted(pc.supported() - {Op.GET_DEVICE_INFO, Op.OPEN_SESSION}):
            assert pc.refused(code, 1, 1, 1) == Response.SESSION_NOT_OPEN, Op(code)


def test_opening_and_closing(share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client)
        assert pc.refused(Op.OPEN_SESSION, 0) == Response.INVALID_PARAMETER
        pc.open(0xDEADBEEF)
        again = pc.call(Op.OPEN_SESSION, 2)
        assert (again.code, again.parameters) == (Response.SESSION_ALREADY_OPEN, (0xDEADBEEF,))
        pc.ask(Op.CLOSE_SESSION, 1)
        assert pc.refused(Op.CLOSE_SESSION) == Response.SESSION_NOT_OPEN
        pc.open(2)
        pc.ask(Op.RESET_DEVICE)
        pc.open(3)


def test_what_is_advertised_is_done_and_nothing_else(pc: Initiator) -> None:
    supported = pc.supported()
    for code in (*range(0x1000, 0x1030), *range(0x9800, 0x9830), *range(0x95C0, 0x95C8), 0x9999):
        if code in (Op.CLOSE_SESSION, Op.RESET_DEVICE):
            continue
        answer = pc.call(code, 0xFFFFFFF0, 0xFFFFFFF0)
        not_there = answer.code == Response.OPERATION_NOT_SUPPORTED
        assert not_there == (code not in supported), Op(code)


def test_an_unsupported_operation_with_data_is_drained(pc: Initiator) -> None:
    code = next(
        each for each in (Op.SET_OBJECT_REFERENCES, Op(0x9FFF)) if each not in pc.supported()
    )
    assert pc.refused(code, 1, data=bytes(100_000)) == Response.OPERATION_NOT_SUPPORTED
    assert pc.names()


@pytest.mark.parametrize("name", ["Kamera 📷", "x" * 254])
def test_the_friendly_name_is_set_and_reset(pc: Initiator, name: str) -> None:
    default = Reader(pc.data(Op.GET_DEVICE_PROP_VALUE, 0xD402)).string()
    assert default
    pc.ask(Op.SET_DEVICE_PROP_VALUE, 0xD402, data=encode_string(name))
    assert Reader(pc.data(Op.GET_DEVICE_PROP_VALUE, 0xD402)).string() == name
    reader = Reader(pc.data(Op.GET_DEVICE_PROP_DESC, 0xD402))
    assert (reader.u16(), reader.u16(), reader.u8()) == (0xD402, 0xFFFF, 1)
    assert (reader.string(), reader.string()) == (default, name)
    pc.ask(Op.RESET_DEVICE_PROP_VALUE, 0xD402)
    assert Reader(pc.data(Op.GET_DEVICE_PROP_VALUE, 0xD402)).string() == default


@pytest.mark.parametrize(
    ("code", "data", "response"),
    [
        (0x5FFF, "02 4100 0000", Response.DEVICE_PROP_NOT_SUPPORTED),
        (0xFFFFFFFE, "02 4100 0000", Response.DEVICE_PROP_NOT_SUPPORTED),
        (0xD407, "05000000", Response.ACCESS_DENIED),
        (0xD402, "", Response.INVALID_DEVICE_PROP_FORMAT),
        (0xD402, "05 4100", Response.INVALID_DEVICE_PROP_FORMAT),
        (0xD402, "02 4100 0000 00", Response.INVALID_DEVICE_PROP_FORMAT),
        (0xD402, "02 3dd8 0000", Response.INVALID_DEVICE_PROP_FORMAT),
        (0xD402, "00", Response.INVALID_DEVICE_PROP_VALUE),
        (0xD402, "00" * 70_000, Response.INVALID_DEVICE_PROP_VALUE),
    ],
)
def test_a_device_property_that_cannot_be_set_so(
    pc: Initiator, code: int, data: str, response: Response
) -> None:
    before = pc.data(Op.GET_DEVICE_PROP_VALUE, 0xD402)
    assert pc.refused(Op.SET_DEVICE_PROP_VALUE, code, data=bytes.fromhex(data)) == response
    assert pc.data(Op.GET_DEVICE_PROP_VALUE, 0xD402) == before


def test_every_listed_device_property_can_be_described_and_read(pc: Initiator) -> None:
    reader = Reader(pc.data(Op.GET_DEVICE_INFO))
    reader.take(8)
    reader.string()
    reader.u16()
    codes = [reader.array(reader.u16) for _ in range(3)][2]
    for code in codes:
        assert Reader(pc.data(Op.GET_DEVICE_PROP_DESC, code)).u16() == code
        assert pc.data(Op.GET_DEVICE_PROP_VALUE, code)


@pytest.mark.parametrize("seed", range(20))
def test_no_parameters_end_the_session(pc: Initiator, seed: int) -> None:
    chance = random.Random(seed)
    keep = {Op.CLOSE_SESSION, Op.RESET_DEVICE, Op.DELETE_OBJECT, Op.MOVE_OBJECT, Op.COPY_OBJECT}
    codes = sorted(pc.supported() - keep)
    interesting = [0, 1, 2, 5, STORAGE, ROOT, 0x7FFFFFFF, 0xDC04, 0xDC07, 0xD402, 0x3001]
    for _ in range(60):
        code = chance.choice(codes)
        parameters = [chance.choice(interesting) for _ in range(chance.randrange(6))]
        data = (
            chance.randbytes(chance.randrange(200))
            if code in (0x100C, 0x100D, 0x1016, 0x9804)
            else None
        )
        pc.call(code, *parameters, data=data)
    assert len(pc.names()) >= 2
