# SPDX-License-Identifier: GPL-3.0-or-later
"""References between objects, as playlists have them."""

from pathlib import Path

from appliance.mtp.codes import OperationCode, ResponseCode
from appliance.mtp.wire import Reader, encode_u32_array
from tests.fakes.client import ConnectClient
from tests.protocol.initiator import STORAGE, Initiator

Op = OperationCode


def references(pc: Initiator, handle: int) -> list[int]:
    reader = Reader(pc.data(Op.GET_OBJECT_REFERENCES, handle))
    found = list(reader.array(reader.u32))
    assert reader.rest == 0
    return found


def refer(pc: Initiator, handle: int, *targets: int) -> None:
    pc.ask(Op.SET_OBJECT_REFERENCES, handle, data=encode_u32_array(targets))


def every(pc: Initiator) -> dict[str, int]:
    return {pc.info(each).name: each for each in pc.handles(0)}


def test_references_are_kept(share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client).open()
        playlist = pc.put("list.pla", b"")
        names = every(pc)
        assert references(pc, playlist) == []
        refer(pc, playlist, names["root.bin"], names["a.txt"], names["root.bin"])
        expected = [names["root.bin"], names["a.txt"], names["root.bin"]]
        assert references(pc, playlist) == expected
        pc.rename(playlist, "renamed.pla")
        pc.ask(Op.MOVE_OBJECT, names["a.txt"], STORAGE, 0)
        assert references(pc, playlist) == expected
    (share / "root.bin").rename(share / "Docs" / "moved meanwhile.bin")
    with connect(share) as client:
        pc = Initiator(client).open()
        names = every(pc)
        found = references(pc, names["renamed.pla"])
        moved = names["moved meanwhile.bin"]
        assert found == [moved, names["a.txt"], moved]


def test_what_is_gone_is_not_referred_to(pc: Initiator) -> None:
    playlist = pc.put("list.pla", b"")
    names = every(pc)
    refer(pc, playlist, names["root.bin"], names["a.txt"])
    pc.ask(Op.DELETE_OBJECT, names["root.bin"])
    assert references(pc, playlist) == [names["a.txt"]]
    refer(pc, playlist)
    assert references(pc, playlist) == []


def test_a_bad_reference_changes_nothing(pc: Initiator) -> None:
    playlist = pc.put("list.pla", b"")
    names = every(pc)
    refer(pc, playlist, names["root.bin"])
    data = encode_u32_array([names["a.txt"], 0xFFFFFFF0])
    refused = pc.refused(Op.SET_OBJECT_REFERENCES, playlist, data=data)
    assert refused == ResponseCode.INVALID_OBJECT_REFERENCE
    assert references(pc, playlist) == [names["root.bin"]]
