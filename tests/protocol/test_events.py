# SPDX-License-Identifier: GPL-3.0-or-later
"""What other sessions hear of what one session does, and of what happens on the device.

A session hears nothing of its own doing. Where a test says that nothing more was heard, it lets
something else happen that is.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.mtp.codes import EventCode, OperationCode, ResponseCode
from appliance.mtp.wire import Reader, encode_string, encode_u32_array
from appliance.storage import Catalogue
from tests.fakes.client import ConnectClient
from tests.protocol.initiator import ROOT, STORAGE, Initiator

Op = OperationCode
Event = EventCode
ANEW = (Event.OBJECT_INFO_CHANGED, Event.OBJECT_REMOVED, Event.OBJECT_ADDED)
FRIENDLY_NAME = 0xD402


@pytest.fixture
def other(pc: Initiator) -> Initiator:
    """Another initiator, which has seen all there is."""
    another = pc.another()
    another.handles(0)
    return another


def hears(pc: Initiator, *expected: tuple[int, ...]) -> None:
    assert [pc.event() for _ in expected] == list(expected)


def hears_anew(pc: Initiator, handle: int) -> None:
    hears(pc, *((code, handle) for code in ANEW))


def hears_of_another_handle(pc: Initiator, old: int) -> int:
    """What the device changed comes back under a new handle; the old one still means it."""
    hears(pc, (Event.OBJECT_INFO_CHANGED, old), (Event.OBJECT_REMOVED, old))
    code, new = pc.event()
    assert code == Event.OBJECT_ADDED
    assert new != old
    return new


def test_a_file_that_the_device_renames_while_it_is_protected(
    pc: Initiator, other: Initiator, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others have heard of its new handle by then; by the old one it would be there twice."""
    old = pc.names()["root.bin"]
    protect = Catalogue.set_protected
    heard: list[int] = []

    def slow(store: Catalogue, handle: int, *, protected: bool) -> None:
        (share / "root.bin").rename(share / "moved on")
        heard.append(hears_of_another_handle(other, old))
        protect(store, handle, protected=protected)

    monkeypatch.setattr(Catalogue, "set_protected", slow)
    pc.ask(Op.SET_OBJECT_PROTECTION, old, 1)
    hears(
        other,
        (Event.OBJECT_PROP_CHANGED, heard[0], 0xDC03),
        (Event.OBJECT_INFO_CHANGED, heard[0]),
    )


def nothing_more(pc: Initiator, told_by: Initiator) -> None:
    """Fail where `pc` has been told more than what it has heard."""
    told_by.ask(Op.SET_DEVICE_PROP_VALUE, FRIENDLY_NAME, data=encode_string("something else"))
    hears(pc, (Event.DEVICE_PROP_CHANGED, FRIENDLY_NAME))


def test_every_event_is_listed(pc: Initiator) -> None:
    reader = Reader(pc.data(Op.GET_DEVICE_INFO))
    reader.take(8)
    reader.string()
    reader.u16()
    reader.array(reader.u16)
    listed = set(reader.array(reader.u16))
    assert {0x4001, 0x4002, 0x4003, 0x4004, 0x4005, 0x4006, 0x4007, 0x400A, 0x400C} <= listed


def test_a_folder_that_is_there_does_not_come(pc: Initiator, other: Initiator, share: Path) -> None:
    (share / "made by the device").mkdir()
    for name in ("made by the device", "made here"):
        folder = pc.mkdir(name).parameters[2]
        hears(other, (Event.OBJECT_ADDED, folder))
        assert pc.mkdir(name).parameters == (STORAGE, ROOT, folder)
    nothing_more(other, pc)


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_folder_whose_name_the_device_has_just_freed(
    pc: Initiator, other: Initiator, share: Path, *, is_moved: bool
) -> None:
    """It is another one than the PC has known by that name, and nothing ends its handle."""
    first = pc.mkdir("name").parameters[2]
    other.handles(0)
    hears(other, (Event.OBJECT_ADDED, first))
    (share / "name").rename(share / "elsewhere") if is_moved else (share / "name").rmdir()
    second = pc.mkdir("name").parameters[2]
    assert second != first
    assert pc.put("in it", b"1", parent=second) in pc.handles(second)
    assert (share / "name" / "in it").read_bytes() == b"1"
    assert second == pc.names()["name"]
    told = [other.event() for _ in range(4 if is_moved else 3)]
    assert {(Event.OBJECT_REMOVED, first), (Event.OBJECT_ADDED, second)} <= set(told)


def test_coming_changing_going(pc: Initiator, other: Initiator) -> None:
    handle = pc.put("new", b"1")
    hears(other, (Event.OBJECT_ADDED, handle))
    folder = pc.mkdir("folder").parameters[2]
    hears(other, (Event.OBJECT_ADDED, folder))
    pc.rename(handle, "newer")
    hears(other, (Event.OBJECT_PROP_CHANGED, handle, 0xDC07))
    hears_anew(other, handle)
    pc.ask(Op.MOVE_OBJECT, handle, STORAGE, folder)
    hears_anew(other, handle)
    copied = pc.ask(Op.COPY_OBJECT, handle, STORAGE, 0).parameters[0]
    hears(other, (Event.OBJECT_ADDED, copied))
    pc.ask(Op.SET_OBJECT_PROP_VALUE, copied, 0xDC09, data=encode_string("20010203T040506"))
    hears(other, (Event.OBJECT_PROP_CHANGED, copied, 0xDC09))
    hears_anew(other, copied)
    pc.ask(Op.SET_OBJECT_PROTECTION, copied, 1)
    protection = (Event.OBJECT_PROP_CHANGED, copied, 0xDC03)
    hears(other, protection, (Event.OBJECT_INFO_CHANGED, copied))
    pc.ask(Op.DELETE_OBJECT, folder)
    hears(other, (Event.OBJECT_REMOVED, folder))
    nothing_more(other, pc)
    other.mkdir("theirs")
    assert pc.event()[0] == Event.OBJECT_ADDED
    nothing_more(pc, other)


def test_an_empty_file_that_is_never_sent_is_told_too(pc: Initiator, other: Initiator) -> None:
    handle = pc.announce("empty", 0).parameters[2]
    pc.names()
    hears(other, (Event.OBJECT_ADDED, handle))


def test_an_upload_is_told_when_it_is_whole(pc: Initiator, other: Initiator) -> None:
    pc.announce("torn", 10)
    assert pc.refused(Op.SEND_OBJECT, data=b"123") == ResponseCode.INCOMPLETE_TRANSFER
    pc.announce("given up", 10)
    pc.names()
    nothing_more(other, pc)


def test_an_upload_that_cannot_be_protected_is_there_and_told(
    pc: Initiator, other: Initiator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "as some file systems say")

    monkeypatch.setattr(os, "fchmod", refuse)
    name = b"\0\0\0\0\x07\xdc\xff\xff" + encode_string("new")
    listed = b"\2\0\0\0" + name + b"\0\0\0\0\x03\xdc\x04\0\1\0"
    made = pc.ask(Op.SEND_OBJECT_PROP_LIST, STORAGE, ROOT, 0x3000, 0, 1, data=listed)
    pc.ask(Op.SEND_OBJECT, data=b"1")
    hears(other, (Event.OBJECT_ADDED, made.parameters[2]))
    assert pc.names()["new"] == made.parameters[2]


def test_an_upload_over_a_file_is_told(pc: Initiator, other: Initiator, share: Path) -> None:
    old = pc.names()["root.bin"]
    new = pc.put("root.bin", b"replaced")
    heard = {other.event()}
    if new != old:
        heard.add(other.event())
        assert heard == {(Event.OBJECT_REMOVED, old), (Event.OBJECT_ADDED, new)}
    nothing_more(other, pc)


def test_editing_is_told_at_its_end(pc: Initiator, other: Initiator) -> None:
    handle = pc.names()["root.bin"]
    pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    pc.ask(Op.TRUNCATE_OBJECT, handle, 10, 0)
    pc.ask(Op.SEND_PARTIAL_OBJECT, handle, 0, 0, 1, data=b"1")
    nothing_more(other, pc)
    pc.ask(Op.END_EDIT_OBJECT, handle)
    hears_anew(other, handle)
    pc.ask(Op.SEND_PARTIAL_OBJECT, handle, 0, 0, 1, data=b"1")
    hears_anew(other, handle)
    pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    pc.ask(Op.CLOSE_SESSION)
    hears_anew(other, handle)


def test_references_and_properties_of_the_device(pc: Initiator, other: Initiator) -> None:
    handles = pc.names()
    data = encode_u32_array([handles["root.bin"]])
    pc.ask(Op.SET_OBJECT_REFERENCES, handles["Docs"], data=data)
    hears(other, (Event.OBJECT_REFERENCES_CHANGED, handles["Docs"]))
    pc.ask(Op.SET_DEVICE_PROP_VALUE, FRIENDLY_NAME, data=encode_string("Kitchen"))
    hears(other, (Event.DEVICE_PROP_CHANGED, FRIENDLY_NAME))
    pc.ask(Op.RESET_DEVICE_PROP_VALUE, FRIENDLY_NAME)
    hears(other, (Event.DEVICE_PROP_CHANGED, FRIENDLY_NAME))


def test_a_full_storage_is_told_to_all(pc: Initiator, other: Initiator) -> None:
    free = pc.storage().free
    if free >= (1 << 32) - 1:
        listed = b"\1\0\0\0" + b"\0\0\0\0\x07\xdc\xff\xff" + encode_string("large")
        size = (free >> 32) + 1
        call = pc.call(Op.SEND_OBJECT_PROP_LIST, STORAGE, ROOT, 0x3000, size, 0, data=listed)
        assert call.code == ResponseCode.STORE_FULL
    else:
        assert pc.announce("large", free + (64 << 20)).code == ResponseCode.STORE_FULL
    hears(pc, (Event.STORE_FULL, STORAGE))
    hears(other, (Event.STORE_FULL, STORAGE))


def test_an_edit_that_fills_a_storage_is_told_to_all(pc: Initiator, other: Initiator) -> None:
    handle = pc.names()["root.bin"]
    size = (1 << 63) - 1
    lower, upper = size & 0xFFFFFFFF, size >> 32
    assert pc.refused(Op.TRUNCATE_OBJECT, handle, lower, upper) == ResponseCode.STORE_FULL
    hears(pc, (Event.STORE_FULL, STORAGE))
    hears(other, (Event.STORE_FULL, STORAGE))


def test_who_has_no_session_hears_nothing(pc: Initiator, other: Initiator) -> None:
    other.ask(Op.CLOSE_SESSION)
    pc.mkdir("unheard")
    other.open()
    made = pc.mkdir("heard").parameters[2]
    hears(other, (Event.OBJECT_ADDED, made))


def test_data_that_cannot_be_taken_is_cancelled(pc: Initiator) -> None:
    refused = pc.refused(Op.SET_OBJECT_PROP_LIST, data=bytes(200_000))
    assert refused == ResponseCode.INVALID_DATASET
    hears(pc, (Event.CANCEL_TRANSACTION,))


# What happens on the device


def make(folder: Path) -> None:
    (folder / "made").write_bytes(b"by the device")


def make_folder(folder: Path) -> None:
    (folder / "made").mkdir()


@pytest.mark.parametrize("change", [make, make_folder])
@pytest.mark.parametrize("where", ["", "Docs"])
def test_what_the_device_makes(
    pc: Initiator, share: Path, where: str, change: Callable[[Path], None]
) -> None:
    pc.handles(0)
    change(share / where)
    code, handle = pc.event()
    assert code == Event.OBJECT_ADDED
    info = pc.info(handle)
    assert info.name == "made"
    assert info.parent == (pc.names()["Docs"] if where else 0)


def test_what_the_device_deletes_renames_and_moves(pc: Initiator, share: Path) -> None:
    every = {pc.info(each).name: each for each in pc.handles(0)}
    (share / "Docs" / "a.txt").unlink()
    hears(pc, (Event.OBJECT_REMOVED, every["a.txt"]))
    (share / "root.bin").rename(share / "other.bin")
    renamed = hears_of_another_handle(pc, every["root.bin"])
    assert pc.names()["other.bin"] == renamed
    assert pc.data(Op.GET_OBJECT, renamed) == (share / "other.bin").read_bytes()
    (share / "Docs" / "deep").rename(share / "deep")
    moved = hears_of_another_handle(pc, every["deep"])
    assert pc.info(moved).parent == 0
    assert pc.names(moved) == {"b.jpg": every["b.jpg"]}
    assert pc.info(every["b.jpg"]).parent == moved


def test_what_lies_deep_in_a_folder_that_moves_stays_in_sight(pc: Initiator, share: Path) -> None:
    docs = pc.names()["Docs"]
    deep = pc.names(docs)["deep"]
    picture = pc.names(deep)["b.jpg"]
    (share / "Docs").rename(share / "Papers")
    pc.call(Op.GET_OBJECT_INFO, picture)
    papers = pc.names()["Papers"]
    assert pc.names(pc.names(papers)["deep"]) == {"b.jpg": picture}
    assert pc.data(Op.GET_OBJECT, picture) == b"not really a picture"


def test_an_old_handle_never_means_another_file(pc: Initiator, share: Path) -> None:
    old = pc.names()["root.bin"]
    (share / "root.bin").write_bytes(b"changed")
    new = hears_of_another_handle(pc, old)
    pc.rename(new, "other.bin")
    second = pc.put("root.bin", b"another file")
    assert pc.data(Op.GET_OBJECT, old) == b"changed"
    pc.ask(Op.DELETE_OBJECT, new)
    pc.rename(second, "other.bin")
    assert pc.refused(Op.GET_OBJECT, old) == ResponseCode.INVALID_OBJECT_HANDLE


def test_what_the_device_changes(pc: Initiator, share: Path) -> None:
    old = pc.names()["root.bin"]
    with (share / "root.bin").open("ab") as file:
        file.write(b"grown")
    new = hears_of_another_handle(pc, old)
    assert pc.names()["root.bin"] == new
    for handle in (old, new):
        assert pc.info(handle).size == 1029
        assert pc.data(Op.GET_OBJECT, handle) == (share / "root.bin").read_bytes()
    pc.ask(Op.DELETE_OBJECT, new)
    assert pc.refused(Op.GET_OBJECT, old) == ResponseCode.INVALID_OBJECT_HANDLE


def test_an_old_handle_is_still_good_after_it_was_used(pc: Initiator, share: Path) -> None:
    names = pc.names()
    old = names["root.bin"]
    (share / "root.bin").write_bytes(b"changed")
    hears_of_another_handle(pc, old)
    pc.ask(Op.SET_OBJECT_PROP_VALUE, old, 0xDC07, data=encode_string("other.bin"))
    renamed = pc.names()["other.bin"]
    assert pc.info(old).name == "other.bin"
    pc.names(names["Docs"])
    pc.ask(Op.MOVE_OBJECT, old, STORAGE, names["Docs"])
    moved = pc.names(names["Docs"])["other.bin"]
    assert old not in (renamed, moved, *pc.handles(0))
    assert pc.data(Op.GET_OBJECT, old) == b"changed"


def test_what_is_done_by_an_old_handle_is_told_by_the_listed_one(
    pc: Initiator, other: Initiator, share: Path
) -> None:
    old = pc.names()["root.bin"]
    folder = pc.names()["Docs"]
    (share / "root.bin").rename(share / "moved on")
    new = hears_of_another_handle(other, old)
    pc.ask(Op.SET_OBJECT_PROTECTION, old, 1)
    protection = (Event.OBJECT_PROP_CHANGED, new, 0xDC03)
    hears(other, protection, (Event.OBJECT_INFO_CHANGED, new))
    pc.ask(Op.SET_OBJECT_PROTECTION, old, 0)
    hears(other, protection, (Event.OBJECT_INFO_CHANGED, new))
    pc.rename(old, "renamed")
    hears(other, (Event.OBJECT_PROP_CHANGED, new, 0xDC07))
    hears_anew(other, new)
    pc.ask(Op.SET_OBJECT_REFERENCES, old, data=encode_u32_array([folder]))
    hears(other, (Event.OBJECT_REFERENCES_CHANGED, new))
    pc.ask(Op.TRUNCATE_OBJECT, old, 5, 0)
    hears_anew(other, new)
    pc.ask(Op.MOVE_OBJECT, old, STORAGE, folder)
    hears_anew(other, new)
    pc.ask(Op.DELETE_OBJECT, old)
    hears(other, (Event.OBJECT_REMOVED, new))
    nothing_more(other, pc)


def test_all_sessions_hear_of_the_device(pc: Initiator, other: Initiator, share: Path) -> None:
    handle = pc.names()["root.bin"]
    (share / "root.bin").unlink()
    for each in (pc, other):
        hears(each, (Event.OBJECT_REMOVED, handle))


def test_what_is_not_shown_is_not_told(pc: Initiator, share: Path) -> None:
    pc.handles(0)
    (share / "link").symlink_to(share / "root.bin")
    (share / ".mtp-appliance.txt").mkdir()
    code, handle = pc.event()
    assert pc.info(handle).name == ".mtp-appliance.txt"
    assert code == Event.OBJECT_ADDED


def test_own_doing_is_not_echoed(share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client).open()
        pc.handles(0)
        handle = pc.put("mine", b"1")
        pc.put("mine too", b"1" * 100_000)
        pc.rename(handle, "still mine")
        folder = pc.mkdir("folder").parameters[2]
        pc.ask(Op.MOVE_OBJECT, handle, STORAGE, folder)
        pc.ask(Op.COPY_OBJECT, handle, STORAGE, 0)
        pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
        pc.ask(Op.TRUNCATE_OBJECT, handle, 5, 0)
        pc.ask(Op.END_EDIT_OBJECT, handle)
        pc.ask(Op.SET_OBJECT_PROP_VALUE, handle, 0xDC09, data=encode_string("20010203T040506"))
        pc.ask(Op.DELETE_OBJECT, handle)
        (share / "sign").mkdir()
        code, sign = pc.event()
        assert (code, pc.info(sign).name) == (Event.OBJECT_ADDED, "sign")
