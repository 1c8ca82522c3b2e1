# SPDX-License-Identifier: GPL-3.0-or-later
"""Content: downloading and uploading."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.mtp.codes import FormatCode, OperationCode, ResponseCode
from appliance.mtp.datasets import ObjectInfo
from tests.protocol.initiator import ROOT, STORAGE, Initiator

Op = OperationCode
Response = ResponseCode


def visible(folder: Path) -> list[str]:
    """Names of all that lies in a folder at any depth, but for the responder's own workplace."""
    paths = (each.relative_to(folder) for each in folder.rglob("*"))
    return sorted(each.name for each in paths if each.parts[0] != ".mtp-appliance")


@pytest.mark.parametrize("size", [0, 1, 499, 500, 512, 1012, 65536, 1 << 20, (1 << 20) + 1])
def test_content_both_ways(pc: Initiator, share: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    handle = pc.put("new.bin", content)
    assert (share / "new.bin").read_bytes() == content
    assert pc.data(Op.GET_OBJECT, handle) == content
    assert pc.info(handle).size == size
    assert pc.names()["new.bin"] == handle


@pytest.mark.parametrize(
    ("offset", "most", "expected"),
    [
        (0, 10, 10),
        (1000, 100, 24),
        (1023, 1, 1),
        (1024, 5, 0),
        (5000, 5, 0),
        (0, ROOT, 1024),
        (7, 0, 0),
    ],
)
def test_a_part_of_an_object(pc: Initiator, offset: int, most: int, expected: int) -> None:
    whole = bytes(range(256)) * 4
    answer = pc.ask(Op.GET_PARTIAL_OBJECT, pc.names()["root.bin"], offset, most)
    assert answer.data == whole[offset : offset + expected]
    assert answer.parameters == (expected,)


def test_a_folder_has_no_content(pc: Initiator) -> None:
    folder = pc.names()["Docs"]
    assert pc.refused(Op.GET_OBJECT, folder) == Response.INVALID_OBJECT_HANDLE
    assert pc.refused(Op.GET_PARTIAL_OBJECT, folder, 0, 5) == Response.INVALID_OBJECT_HANDLE


def test_the_response_to_an_announcement_says_where_the_object_will_be(pc: Initiator) -> None:
    folder = pc.names()["Docs"]
    answer = pc.announce("x", 1, parent=folder, storage=0)
    assert answer.parameters[:2] == (STORAGE, folder)
    assert pc.refused(Op.GET_OBJECT_INFO, answer.parameters[2]) == Response.INVALID_OBJECT_HANDLE
    for root in (0, ROOT):
        assert pc.announce("y", 1, parent=root, storage=0).parameters[0] == STORAGE


def test_an_upload_keeps_the_date_that_the_pc_says(pc: Initiator, share: Path) -> None:
    pc.announce("dated", 3, modified=1_234_567_890)
    pc.ask(Op.SEND_OBJECT, data=b"abc")
    assert (share / "dated").stat().st_mtime == 1_234_567_890


def test_an_upload_replaces_a_file_of_its_name_at_the_end_only(pc: Initiator, share: Path) -> None:
    old = pc.names()["root.bin"]
    answer = pc.announce("root.bin", 4)
    assert (share / "root.bin").stat().st_size == 1024
    assert pc.data(Op.GET_PARTIAL_OBJECT, old, 0, 1) == b"\0"
    answer = pc.announce("root.bin", 4)
    pc.ask(Op.SEND_OBJECT, data=b"new!")
    assert (share / "root.bin").read_bytes() == b"new!"
    assert pc.names()["root.bin"] == answer.parameters[2]
    assert pc.refused(Op.GET_OBJECT, old) == Response.INVALID_OBJECT_HANDLE


@pytest.mark.parametrize("content", [b"", b"shor", b"too long"])
def test_an_upload_of_another_length_than_announced_leaves_nothing(
    pc: Initiator, share: Path, content: bytes
) -> None:
    for name in ("root.bin", "fresh.bin"):
        pc.announce(name, 5)
        assert pc.refused(Op.SEND_OBJECT, data=content) == Response.INCOMPLETE_TRANSFER
        assert visible(share) == ["Docs", "a.txt", "b.jpg", "deep", "root.bin"]
        assert (share / "root.bin").stat().st_size == 1024
        assert pc.refused(Op.SEND_OBJECT, data=b"12345") == Response.NO_VALID_OBJECT_INFO


def test_content_that_nobody_announced(pc: Initiator) -> None:
    assert pc.refused(Op.SEND_OBJECT, data=b"12345") == Response.NO_VALID_OBJECT_INFO
    assert set(pc.names()) == {"Docs", "root.bin"}


def test_an_announced_upload_waits_for_its_content(pc: Initiator, share: Path) -> None:
    handle = pc.announce("new.txt", 5).parameters[2]
    pc.storage()
    read = pc.data(Op.GET_OBJECT, pc.names()["root.bin"])
    pc.refused(Op.DELETE_OBJECT, handle)
    pc.ask(Op.DELETE_OBJECT, pc.names()["Docs"])
    assert "new.txt" not in pc.names()
    pc.ask(Op.SEND_OBJECT, data=b"12345")
    assert pc.data(Op.GET_OBJECT, handle) == b"12345"
    assert (share / "root.bin").read_bytes() == read
    assert pc.refused(Op.SEND_OBJECT, data=b"12345") == Response.NO_VALID_OBJECT_INFO


@pytest.mark.parametrize(
    "end",
    [
        lambda pc: pc.announce("..", 5),
        lambda pc: pc.announce("x", 5, parent=0x7FFFFFFF),
        lambda pc: pc.call(Op.SEND_OBJECT_INFO, STORAGE, ROOT, data=b"no dataset"),
        lambda pc: pc.call(Op.SEND_OBJECT_PROP_LIST, STORAGE, ROOT, 0x3000, 0, 5, data=b"no list"),
        lambda pc: pc.call(Op.SEND_OBJECT_PROP_LIST, STORAGE, 0x7FFFFFFF, 0x3000, 0, 5, data=b""),
        lambda pc: (pc.ask(Op.CLOSE_SESSION), pc.open()),
        lambda pc: (pc.ask(Op.RESET_DEVICE), pc.open()),
    ],
)
def test_content_is_not_taken_for_that_of_an_earlier_announcement(
    pc: Initiator, share: Path, end: Callable[[Initiator], object]
) -> None:
    pc.announce("new.txt", 5)
    end(pc)
    assert pc.refused(Op.SEND_OBJECT, data=b"12345") == Response.NO_VALID_OBJECT_INFO
    assert not (share / "new.txt").exists()


def test_content_for_a_folder_that_is_gone_meanwhile(pc: Initiator, share: Path) -> None:
    folder = pc.names()["Docs"]
    pc.announce("new.txt", 5, parent=folder)
    pc.ask(Op.DELETE_OBJECT, folder)
    assert pc.refused(Op.SEND_OBJECT, data=b"12345") == Response.INVALID_PARENT_OBJECT
    assert visible(share) == ["root.bin"]
    assert pc.put("other", b"1") in pc.handles()


def test_an_empty_file_that_is_only_announced_is_made(pc: Initiator, share: Path) -> None:
    pc.announce("empty.txt", 0)
    assert "empty.txt" in pc.names()
    assert (share / "empty.txt").read_bytes() == b""


@pytest.mark.parametrize("by", ["another PC", "the device"])
@pytest.mark.parametrize("end", [Op.GET_STORAGE_IDS, Op.CLOSE_SESSION])
def test_an_empty_file_that_is_only_announced_replaces_nothing_that_has_come_since(
    pc: Initiator, share: Path, by: str, end: Op
) -> None:
    announced = pc.announce("file.txt", 0).parameters[2]
    other = pc.another()
    if by == "another PC":
        other.put("file.txt", b"came between")
    else:
        (share / "file.txt").write_bytes(b"came between")
    pc.ask(end)
    assert (share / "file.txt").read_bytes() == b"came between"
    assert other.data(Op.GET_OBJECT, other.names()["file.txt"]) == b"came between"
    assert other.refused(Op.GET_OBJECT, announced) == Response.INVALID_OBJECT_HANDLE


def test_a_file_that_was_protected_since_the_announcement_is_not_replaced(
    pc: Initiator, share: Path
) -> None:
    handle, before = pc.names()["root.bin"], (share / "root.bin").read_bytes()
    assert pc.announce("root.bin", 5).ok
    pc.another().ask(Op.SET_OBJECT_PROTECTION, handle, 1)
    assert pc.refused(Op.SEND_OBJECT, data=b"newer") == Response.OBJECT_WRITE_PROTECTED
    assert (share / "root.bin").read_bytes() == before
    assert pc.data(Op.GET_OBJECT, handle) == before
    pc.announce("root.bin", 0)
    assert pc.names()
    assert (share / "root.bin").stat().st_size == 1024


#: M4A, as Microsoft numbers it; one that no standard has; one of nobody's.
UNLISTED_FORMATS = [0xB215, 0x3FFF, 0xBFFF]


@pytest.mark.parametrize("form", UNLISTED_FORMATS)
def test_a_format_that_is_not_listed_is_a_file(pc: Initiator, share: Path, form: int) -> None:
    data = ObjectInfo(0, FormatCode(form), 5, 0, "song.m4a").encode()
    handle = pc.ask(Op.SEND_OBJECT_INFO, STORAGE, ROOT, data=data).parameters[2]
    pc.ask(Op.SEND_OBJECT, data=b"12345")
    assert (share / "song.m4a").read_bytes() == b"12345"
    assert pc.data(Op.GET_OBJECT, handle) == b"12345"


BAD_NAMES = ["", ".", "..", "a/b", "../x", "/etc/x", "x" * 250 + "ü" * 4, ".mtp-appliance"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_no_file_can_have(pc: Initiator, share: Path, name: str) -> None:
    before = sorted(share.parent.rglob("*"))
    handle = pc.names()["root.bin"]
    assert pc.announce(name, 1).code in (Response.INVALID_DATASET, Response.ACCESS_DENIED)
    assert pc.mkdir(name).code in (Response.INVALID_DATASET, Response.ACCESS_DENIED)
    refused = pc.rename(handle, name).code
    assert refused in (Response.INVALID_OBJECT_PROP_VALUE, Response.ACCESS_DENIED)
    assert sorted(share.parent.rglob("*")) == before


@pytest.mark.parametrize("cut", range(0, 66, 3))
def test_an_announcement_cut_short(pc: Initiator, cut: int) -> None:
    data = ObjectInfo(0, FormatCode.UNDEFINED, 3, 0, "seven 7").encode()[:cut]
    assert pc.refused(Op.SEND_OBJECT_INFO, STORAGE, ROOT, data=data) == Response.INVALID_DATASET
    assert pc.refused(Op.SEND_OBJECT, data=b"abc") == Response.NO_VALID_OBJECT_INFO


def test_where_nothing_can_be_put(pc: Initiator) -> None:
    file = pc.names()["root.bin"]
    assert pc.announce("x", 1, parent=file).code == Response.INVALID_PARENT_OBJECT
    assert pc.announce("x", 1, parent=0x7FFFFFFF).code == Response.INVALID_PARENT_OBJECT
    assert pc.announce("x", 1, storage=0x00090001).code == Response.INVALID_STORAGE_ID
    assert pc.announce("Docs", 1).code == Response.ACCESS_DENIED
    assert pc.mkdir("root.bin").code == Response.ACCESS_DENIED


def test_more_than_there_is_space_for(pc: Initiator, share: Path) -> None:
    too_much = pc.storage().free + (1 << 30)
    if too_much < 0xFFFFFFFF:
        assert pc.announce("big", too_much).code == Response.STORE_FULL
    assert not (share / "big").exists()
