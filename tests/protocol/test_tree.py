# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages and objects: listing and describing."""

import os
from pathlib import Path

import pytest

from appliance.mtp.codes import FormatCode, OperationCode, ResponseCode
from appliance.mtp.wire import Reader
from tests.fakes.client import ConnectClient
from tests.protocol.initiator import ROOT, STORAGE, Initiator

Op = OperationCode
Response = ResponseCode


def test_storages_are_listed_and_described(tmp_path: Path, connect: ConnectClient) -> None:
    first, second = tmp_path / "One", tmp_path / "Two"
    for each in (first, second):
        each.mkdir()
    with connect(first, second, read_only={second}) as client:
        pc = Initiator(client).open()
        reader = Reader(pc.data(Op.GET_STORAGE_IDS))
        assert reader.array(reader.u32) == (0x00010001, 0x00020001)
        one, two = pc.storage(0x00010001), pc.storage(0x00020001)
    assert (one.description, two.description) == ("One", "Two")
    assert (one.access, two.access) == (0, 1)
    real = os.statvfs(first)
    assert one.capacity == real.f_blocks * real.f_frsize
    assert abs(one.free - real.f_bavail * real.f_frsize) < 1 << 28


@pytest.mark.parametrize("storage", [0, 1, 0x00020001, 0x00010000, 0xFFFFFFFF])
def test_a_storage_that_is_not_there(pc: Initiator, storage: int) -> None:
    assert pc.refused(Op.GET_STORAGE_INFO, storage) == Response.INVALID_STORAGE_ID
    if storage not in (0, ROOT):
        for code in (Op.GET_OBJECT_HANDLES, Op.GET_NUM_OBJECTS):
            assert pc.refused(code, storage, 0, ROOT) == Response.INVALID_STORAGE_ID


def test_listing_one_level_a_folder_and_the_whole_tree(pc: Initiator) -> None:
    top = pc.names()
    assert set(top) == {"Docs", "root.bin"}
    inside = pc.names(top["Docs"])
    assert set(inside) == {"a.txt", "deep"}
    everything = pc.handles(0)
    deep = pc.names(inside["deep"])
    assert sorted(everything) == sorted([*top.values(), *inside.values(), *deep.values()])
    assert 0 not in everything and ROOT not in everything
    for parent in (ROOT, 0, top["Docs"]):
        for storage in (ROOT, STORAGE):
            counted = pc.ask(Op.GET_NUM_OBJECTS, storage, 0, parent).parameters
            assert counted == (len(pc.handles(parent, storage=storage)),)


def test_handles_and_order_stay(pc: Initiator, share: Path) -> None:
    before = pc.handles()
    assert pc.handles() == before
    (share / "Aaa.txt").touch()
    assert [each for each in pc.handles() if each in before] == before
    removed = pc.names()["Aaa.txt"]
    (share / "Aaa.txt").unlink()
    (share / "Bbb.txt").touch()
    assert removed not in pc.handles()


def test_the_format_filter(pc: Initiator) -> None:
    def names(form: int, parent: int = 0) -> set[str]:
        return {pc.info(each).name for each in pc.handles(parent, form=form)}

    assert names(FormatCode.ASSOCIATION) == {"Docs", "deep"}
    assert names(FormatCode.UNDEFINED) == {"root.bin"}
    assert names(FormatCode.EXIF_JPEG) == {"b.jpg"}
    assert names(ROOT) == {"b.jpg"}
    assert names(FormatCode.TEXT) == {"a.txt"}
    assert names(FormatCode.WMV) == set()
    assert names(FormatCode.ASSOCIATION, ROOT) == {"Docs"}
    refused = pc.refused(Op.GET_OBJECT_HANDLES, ROOT, 0x1234, 0)
    assert refused == Response.INVALID_OBJECT_FORMAT_CODE


def test_a_parent_that_is_none(pc: Initiator) -> None:
    file = pc.names()["root.bin"]
    for parent in (file, 0x7FFFFFFF):
        assert pc.refused(Op.GET_OBJECT_HANDLES, ROOT, 0, parent) == Response.INVALID_PARENT_OBJECT


def test_object_info(pc: Initiator, share: Path) -> None:
    os.utime(share / "root.bin", (1_600_000_000, 1_600_000_000))
    top = pc.names()
    file, folder = pc.info(top["root.bin"]), pc.info(top["Docs"])
    assert (file.storage_id, file.parent, file.size) == (STORAGE, 0, 1024)
    assert (file.format, file.modified) == (FormatCode.UNDEFINED, 1_600_000_000)
    assert (folder.format, folder.association, folder.size) == (FormatCode.ASSOCIATION, 1, 0)
    assert pc.info(pc.names(top["Docs"])["a.txt"]).parent == top["Docs"]


def test_the_size_follows_the_file(pc: Initiator, share: Path) -> None:
    handle = pc.names()["root.bin"]
    (share / "root.bin").write_bytes(b"grown" * 1000)
    assert pc.info(handle).size == 5000
    assert pc.data(Op.GET_OBJECT, handle) == b"grown" * 1000


@pytest.mark.parametrize("size", [(1 << 32) - 2, (1 << 32) - 1, 1 << 32, (1 << 32) + 1])
def test_sizes_around_4_gib(pc: Initiator, share: Path, size: int) -> None:
    with (share / "huge").open("wb") as file:
        file.truncate(size)
    handle = pc.names()["huge"]
    assert pc.info(handle).size == min(size, 0xFFFFFFFF)
    assert pc.data(Op.GET_OBJECT_PROP_VALUE, handle, 0xDC04) == size.to_bytes(8, "little")
    tail = pc.ask(Op.GET_PARTIAL_OBJECT, handle, (1 << 32) - 4, 100)
    assert tail.data == bytes(size - (1 << 32) + 4)
    assert tail.parameters == (size - (1 << 32) + 4,)


@pytest.mark.parametrize("code", [Op.GET_OBJECT_INFO, Op.GET_OBJECT, Op.DELETE_OBJECT])
@pytest.mark.parametrize("handle", [0, 0x7FFFFFFF, 0xFFFFFFFE])
def test_a_handle_that_is_none(pc: Initiator, code: Op, handle: int) -> None:
    assert pc.refused(code, handle) == Response.INVALID_OBJECT_HANDLE


def test_an_object_that_vanished(pc: Initiator, share: Path) -> None:
    handle = pc.names()["root.bin"]
    (share / "root.bin").unlink()
    assert pc.refused(Op.GET_OBJECT_INFO, handle) == Response.INVALID_OBJECT_HANDLE
    assert pc.refused(Op.GET_OBJECT, handle) == Response.INVALID_OBJECT_HANDLE
    assert set(pc.names()) == {"Docs"}
