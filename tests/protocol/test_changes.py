# SPDX-License-Identifier: GPL-3.0-or-later
"""Making folders, deleting, moving and copying."""

from pathlib import Path

import pytest

from appliance.mtp.codes import FormatCode, OperationCode, ResponseCode
from tests.fakes.client import ConnectClient
from tests.protocol.initiator import ROOT, STORAGE, Initiator

Op = OperationCode
Response = ResponseCode


def test_making_folders(pc: Initiator, share: Path) -> None:
    made = pc.mkdir("Neu 😀")
    assert made.code == Response.OK
    assert (share / "Neu 😀").is_dir()
    assert pc.names()["Neu 😀"] == made.parameters[2]
    assert pc.mkdir("Neu 😀").parameters[2] == made.parameters[2]
    pc.ask(Op.SEND_OBJECT, data=b"")
    pc.put("inside", b"1", parent=made.parameters[2])
    assert (share / "Neu 😀" / "inside").read_bytes() == b"1"


def test_deleting_a_file_and_a_folder_with_all_in_it(pc: Initiator, share: Path) -> None:
    (share / "Docs" / "link").symlink_to(share.parent)
    top = pc.names()
    inside = pc.handles(top["Docs"])
    pc.ask(Op.DELETE_OBJECT, top["root.bin"], 0)
    pc.ask(Op.DELETE_OBJECT, top["Docs"], 0)
    assert pc.names() == {}
    assert [each for each in share.iterdir() if not each.name.startswith(".mtp")] == []
    for handle in (*top.values(), *inside):
        assert pc.refused(Op.GET_OBJECT_INFO, handle) == Response.INVALID_OBJECT_HANDLE


def test_deleting_everything_and_everything_of_a_format(pc: Initiator, share: Path) -> None:
    assert pc.refused(Op.DELETE_OBJECT, ROOT, 0x1234) == Response.INVALID_OBJECT_FORMAT_CODE
    pc.ask(Op.DELETE_OBJECT, ROOT, FormatCode.TEXT)
    assert not (share / "Docs" / "a.txt").exists()
    assert (share / "Docs" / "deep" / "b.jpg").exists()
    pc.ask(Op.DELETE_OBJECT, ROOT, 0)
    assert pc.handles(0) == []
    assert share.is_dir()


def test_moving_keeps_handles(pc: Initiator, share: Path) -> None:
    top = pc.names()
    inside = pc.names(top["Docs"])
    pc.ask(Op.MOVE_OBJECT, inside["deep"], STORAGE, 0)
    pc.ask(Op.MOVE_OBJECT, top["root.bin"], STORAGE, inside["deep"])
    assert (share / "deep" / "root.bin").stat().st_size == 1024
    assert pc.names()["deep"] == inside["deep"]
    moved = pc.info(top["root.bin"])
    assert (moved.parent, moved.name) == (inside["deep"], "root.bin")
    assert set(pc.names(inside["deep"])) == {"b.jpg", "root.bin"}


def test_copying(pc: Initiator, share: Path) -> None:
    top = pc.names()
    target = pc.mkdir("copies").parameters[2]
    copied = pc.ask(Op.COPY_OBJECT, top["Docs"], STORAGE, target).parameters[0]
    assert copied not in top.values()
    assert pc.names(target) == {"Docs": copied}
    assert (share / "copies/Docs/deep/b.jpg").read_bytes() == b"not really a picture"
    assert (share / "Docs/deep/b.jpg").exists()
    file = pc.ask(Op.COPY_OBJECT, top["root.bin"], STORAGE, target).parameters[0]
    assert pc.data(Op.GET_OBJECT, file) == pc.data(Op.GET_OBJECT, top["root.bin"])


@pytest.mark.parametrize("code", [Op.MOVE_OBJECT, Op.COPY_OBJECT])
def test_where_nothing_can_be_moved_or_copied(pc: Initiator, share: Path, code: Op) -> None:
    top = pc.names()
    inside = pc.names(top["Docs"])
    (share / "Docs" / "root.bin").write_bytes(b"other")
    file, folder = top["root.bin"], top["Docs"]
    assert pc.refused(code, file, STORAGE, folder) == Response.ACCESS_DENIED
    assert (share / "Docs" / "root.bin").read_bytes() == b"other"
    assert pc.refused(code, folder, STORAGE, inside["deep"]) == Response.INVALID_PARENT_OBJECT
    assert pc.refused(code, folder, STORAGE, folder) == Response.INVALID_PARENT_OBJECT
    assert pc.refused(code, folder, STORAGE, file) == Response.INVALID_PARENT_OBJECT
    assert pc.refused(code, file, 0x00090001, 0) == Response.INVALID_STORAGE_ID
    assert pc.refused(code, 0x7FFFFFFF, STORAGE, 0) == Response.INVALID_OBJECT_HANDLE


def test_between_storages(tmp_path: Path, connect: ConnectClient) -> None:
    first, second = tmp_path / "One", tmp_path / "Two"
    (first / "tree" / "sub").mkdir(parents=True)
    (first / "tree" / "sub" / "f").write_bytes(b"content")
    second.mkdir()
    with connect(first, second) as client:
        pc = Initiator(client).open()
        tree = pc.names(storage=0x00010001)["tree"]
        sub = pc.names(tree)["sub"]
        pc.ask(Op.COPY_OBJECT, tree, 0x00020001, 0)
        assert (second / "tree/sub/f").read_bytes() == b"content"
        pc.ask(Op.DELETE_OBJECT, pc.names(storage=0x00020001)["tree"])
        pc.ask(Op.MOVE_OBJECT, tree, 0x00020001, 0)
        assert not (first / "tree").exists()
        assert pc.info(sub).storage_id == 0x00020001
        assert pc.data(Op.GET_OBJECT, pc.names(sub)["f"]) == b"content"


def test_a_read_only_storage_stays_as_it_is(tmp_path: Path, connect: ConnectClient) -> None:
    folder = tmp_path / "Fixed"
    (folder / "sub").mkdir(parents=True)
    (folder / "f").write_bytes(b"content")
    with connect(folder, read_only={folder}) as client:
        pc = Initiator(client).open()
        top = pc.names()
        assert pc.data(Op.GET_OBJECT, top["f"]) == b"content"
        refusals = [
            pc.refused(Op.DELETE_OBJECT, top["f"]),
            pc.refused(Op.MOVE_OBJECT, top["f"], STORAGE, top["sub"]),
            pc.refused(Op.COPY_OBJECT, top["f"], STORAGE, top["sub"]),
            pc.announce("x", 1).code,
            pc.mkdir("x").code,
            pc.rename(top["f"], "g").code,
        ]
    assert refusals == [Response.STORE_READ_ONLY] * len(refusals)
    assert sorted(each.name for each in folder.rglob("*")) == ["f", "sub"]


def test_what_is_protected_stays_when_its_folder_is_deleted(pc: Initiator, share: Path) -> None:
    docs = pc.names()["Docs"]
    inside = pc.names(docs)
    pc.ask(Op.SET_OBJECT_PROTECTION, inside["a.txt"], 1)
    assert pc.refused(Op.DELETE_OBJECT, docs) == Response.PARTIAL_DELETION
    assert (share / "Docs" / "a.txt").read_bytes() == b"hello a"
    assert not (share / "Docs" / "deep").exists()
    assert pc.names(docs) == {"a.txt": inside["a.txt"]}
