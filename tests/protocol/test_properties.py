# SPDX-License-Identifier: GPL-3.0-or-later
"""Object properties."""

from pathlib import Path

import pytest

from appliance.mtp.codes import OperationCode, ResponseCode
from appliance.mtp.wire import Reader
from tests.fakes.client import ConnectClient
from tests.protocol.initiator import Initiator

Op = OperationCode
Response = ResponseCode


def test_every_property_that_is_listed_is_described_and_has_a_value(pc: Initiator) -> None:
    for form in (0x3000, 0x3001, 0x3004, 0xB215):
        reader = Reader(pc.data(Op.GET_OBJECT_PROPS_SUPPORTED, form))
        codes = reader.array(reader.u16)
        assert {0xDC01, 0xDC02, 0xDC03, 0xDC04, 0xDC07, 0xDC09, 0xDC0B, 0xDC41, 0xDC44} <= set(
            codes
        )
        for code in codes:
            assert Reader(pc.data(Op.GET_OBJECT_PROP_DESC, code, form)).u16() == code
            for handle in pc.handles(0):
                assert pc.data(Op.GET_OBJECT_PROP_VALUE, handle, code)


def test_the_size_is_64_bit_and_the_name_can_be_set(pc: Initiator) -> None:
    size = Reader(pc.data(Op.GET_OBJECT_PROP_DESC, 0xDC04, 0x3000))
    assert (size.u16(), size.u16(), size.u8()) == (0xDC04, 0x0008, 0)
    name = Reader(pc.data(Op.GET_OBJECT_PROP_DESC, 0xDC07, 0x3000))
    assert (name.u16(), name.u16(), name.u8()) == (0xDC07, 0xFFFF, 1)


def test_renaming(pc: Initiator, share: Path) -> None:
    top = pc.names()
    identity = pc.data(Op.GET_OBJECT_PROP_VALUE, top["Docs"], 0xDC41)
    assert pc.rename(top["Docs"], "Dokumente 📁").code == Response.OK
    assert (share / "Dokumente 📁" / "a.txt").exists()
    assert pc.names()["Dokumente 📁"] == top["Docs"]
    assert pc.data(Op.GET_OBJECT_PROP_VALUE, top["Docs"], 0xDC41) == identity
    assert pc.rename(top["Docs"], "Dokumente 📁").code == Response.OK
    assert pc.rename(top["Docs"], "root.bin").code == Response.INVALID_OBJECT_PROP_VALUE
    assert (share / "root.bin").stat().st_size == 1024


@pytest.mark.parametrize(
    ("code", "data", "response"),
    [
        (0xDC04, bytes(8), Response.ACCESS_DENIED),
        (0xDC41, bytes(16), Response.ACCESS_DENIED),
        (0xDCFF, b"\0", Response.OBJECT_PROP_NOT_SUPPORTED),
        (0x1234, b"\0", Response.INVALID_OBJECT_PROP_CODE),
        (0xDC07, b"", Response.INVALID_OBJECT_PROP_FORMAT),
        (0xDC07, b"\x05A", Response.INVALID_OBJECT_PROP_FORMAT),
        (0xDC07, b"\x02A\0\0\0tail", Response.INVALID_OBJECT_PROP_FORMAT),
        (0xDC07, bytes(100_000), Response.INVALID_OBJECT_PROP_VALUE),
    ],
)
def test_a_property_that_cannot_be_set_so(
    pc: Initiator, code: int, data: bytes, response: Response
) -> None:
    handle = pc.names()["root.bin"]
    assert pc.refused(Op.SET_OBJECT_PROP_VALUE, handle, code, data=data) == response
    assert "root.bin" in pc.names()


def test_unique_ids_stay_with_the_object(share: Path, connect: ConnectClient) -> None:
    def identities() -> dict[str, bytes]:
        with connect(share) as client:
            pc = Initiator(client).open()
            return {
                pc.info(each).name: pc.data(Op.GET_OBJECT_PROP_VALUE, each, 0xDC41)
                for each in pc.handles(0)
            }

    before = identities()
    assert len(set(before.values())) == len(before)
    (share / "root.bin").rename(share / "Docs" / "other.bin")
    after = identities()
    assert after.pop("other.bin") == before.pop("root.bin")
    assert after == before


def test_hidden_names(pc: Initiator) -> None:
    for name, hidden in ((".profile", 1), ("profile", 0), ("a.b", 0)):
        handle = pc.put(name, b"")
        assert Reader(pc.data(Op.GET_OBJECT_PROP_VALUE, handle, 0xDC0D)).u16() == hidden
