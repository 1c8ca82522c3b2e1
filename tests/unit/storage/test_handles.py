# SPDX-License-Identifier: GPL-3.0-or-later
import gc
import tracemalloc

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.storage import handles
from appliance.storage.handles import MOST_ALIASES, HandleTable
from tests.unit.storage.helpers import refused


@pytest.fixture
def table() -> HandleTable:
    return HandleTable()


@pytest.fixture
def top(table: HandleTable) -> int:
    return table.add_root()


def listed(table: HandleTable, folder: int) -> list[bytes]:
    return [table.name(each) for each in table.children(folder)]


def test_what_is_not_there_is_refused(table: HandleTable, top: int) -> None:
    reserved = table.reserve()
    for handle in (0, top, reserved, reserved + 1, 0xFFFFFFFF):
        with refused(Code.INVALID_OBJECT_HANDLE):
            table.check(handle)


def test_a_reserved_row_is_entered_later(table: HandleTable, top: int) -> None:
    handle = table.reserve()
    assert listed(table, top) == []
    table.enter(handle, top, b"late", is_folder=False)
    assert list(table.children(top)) == [handle]
    table.check(handle)


def test_a_reserved_row_may_be_given_up(table: HandleTable, top: int) -> None:
    handle, came = table.reserve(), table.reserve()
    table.enter(came, top, b"came", is_folder=False)
    for each in (handle, handle, came):
        table.give_up(each)
    assert list(table.children(top)) == [came]
    assert table.reserve() not in (handle, came)


def test_what_comes_and_goes_costs_nothing_in_the_end(table: HandleTable, top: int) -> None:
    folder = table.add(top, b"folder", is_folder=True)
    stays = table.add(folder, b"stays", is_folder=False)

    def come_and_go(count: int) -> int:
        for number in range(count):
            table.give_up(table.reserve())
            table.drop(table.add(folder, b"%d" % number, is_folder=False))
            table.merge(top, {b"folder": True, b"scanned": False})
            table.merge(top, {b"folder": True})
            table.drop(table.renew(table.add(top, b"changed", is_folder=False)))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = come_and_go(MOST_ALIASES)
        assert come_and_go(4 * MOST_ALIASES) < before + 300_000
    finally:
        tracemalloc.stop()
    assert listed(table, folder) == [b"stays"]
    assert table.find(folder, b"stays") == stays
    assert not any(map(table.is_alive, range(stays + 1, 5000)))


def test_a_scan_is_sorted_and_merged(table: HandleTable, top: int) -> None:
    table.merge(top, {b"b": False, b"a": True, b"\xff": False})
    first = dict(zip(listed(table, top), table.children(top), strict=True))
    assert list(first) == [b"a", b"b", b"\xff"]
    assert [table.is_folder(each) for each in first.values()] == [True, False, False]
    table.merge(top, {b"\xff": False, b"A": False, b"a": True})
    assert listed(table, top) == [b"a", b"\xff", b"A"]
    assert table.find(top, b"a") == first[b"a"]
    assert table.find(top, b"b") is None
    assert not table.is_alive(first[b"b"])


def test_another_kind_is_another_object(table: HandleTable, top: int) -> None:
    table.merge(top, {b"x": True})
    folder = table.children(top)[0]
    inner = table.add(folder, b"y", is_folder=False)
    table.merge(top, {b"x": False})
    file = table.children(top)[0]
    assert file != folder
    assert not table.is_alive(folder)
    assert not table.is_alive(inner)


def test_handles_are_never_given_again(table: HandleTable, top: int) -> None:
    given = set()
    for _ in range(3):
        table.merge(top, {b"a": False})
        given.add(table.children(top)[0])
        table.merge(top, {})
    assert len(given) == 3


def test_a_folder_is_dropped_with_all_below(table: HandleTable, top: int) -> None:
    rows = [table.add(top, b"stays", is_folder=False)]
    above = top
    for depth in range(5):
        above = table.add(above, b"folder%d" % depth, is_folder=True)
        rows += [above, table.add(above, b"file", is_folder=False)]
    table.drop(rows[1])
    assert [each for each in rows if table.is_alive(each)] == rows[:1]
    assert listed(table, top) == [b"stays"]


def test_a_row_moves_there_and_back(table: HandleTable, top: int) -> None:
    folder = table.add(top, b"folder", is_folder=True)
    file = table.add(top, b"file", is_folder=False)
    assert table.find(top, b"file") == file
    table.move(file, folder)
    assert (listed(table, top), listed(table, folder)) == ([b"folder"], [b"file"])
    assert (table.find(top, b"file"), table.find(folder, b"file")) == (None, file)
    assert table.place(table.parent(file)) == (top, (b"folder",))
    table.move(file, top)
    assert (listed(table, top), listed(table, folder)) == ([b"folder", b"file"], [])
    table.drop(folder)
    assert table.is_alive(file)


def test_a_rename_is_found(table: HandleTable, top: int) -> None:
    file = table.add(top, b"old", is_folder=False)
    assert table.find(top, b"old") == file
    table.rename(file, b"new")
    assert (table.find(top, b"old"), table.find(top, b"new")) == (None, file)


def test_more_folders_are_searched_than_have_an_index(table: HandleTable, top: int) -> None:
    folders = [table.add(top, b"%d" % each, is_folder=True) for each in range(10)]
    files = [table.add(each, b"file", is_folder=False) for each in folders]
    for _ in range(2):
        assert [table.find(each, b"file") for each in folders] == files


def test_the_last_handle(table: HandleTable, top: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "_MAX_HANDLE", top + 2)
    table.merge(top, {b"1": False, b"2": False})
    with refused(Code.GENERAL_ERROR):
        table.reserve()
    with refused(Code.GENERAL_ERROR):
        table.merge(top, {b"1": False, b"2": False, b"3": False})


def test_an_object_takes_little_memory() -> None:
    count, most = 100_000, 130
    gc.collect()
    tracemalloc.start()
    try:
        table = HandleTable()
        top = table.add_root()
        table.merge(top, {b"photo of summer%05d" % each: False for each in range(count)})
        assert len(table.name(table.children(top)[-1])) == 20
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used / count < most


def test_an_object_that_gets_another_handle() -> None:
    table = HandleTable()
    root = table.add_root()
    folder = table.add(root, b"folder", is_folder=True)
    file = table.add(folder, b"file", is_folder=False)
    new = table.renew(file)
    assert list(table.children(folder)) == [new]
    assert table.find(folder, b"file") == new
    assert table.is_alive(file)
    assert (table.parent(file), table.name(file)) == (folder, b"file")
    other = table.renew(folder)
    assert not table.is_alive(folder)
    assert list(table.children(root)) == [other]
    assert list(table.children(other)) == [new]
    assert table.place(other) == (root, (b"folder",))
    assert table.parent(new) == other
    table.drop(other)
    assert not table.is_alive(new)


def test_an_old_handle_goes_wherever_its_object_goes() -> None:
    table = HandleTable()
    root = table.add_root()
    folder = table.add(root, b"folder", is_folder=True)
    old = table.add(root, b"file", is_folder=False)
    new = table.renew(old)
    assert table.find(root, b"file") == new
    table.rename(old, b"other")
    assert table.find(root, b"other") == new
    table.move(old, folder)
    assert table.find(folder, b"other") == new
    assert (list(table.children(folder)), list(table.children(root))) == ([new], [folder])
    newest = table.renew(new)
    assert [table.current(each) for each in (old, new, newest, folder)] == [newest] * 3 + [folder]
    assert {table.name(each) for each in (old, new, newest)} == {b"other"}
    assert {table.place(each)[0] for each in (old, new, newest)} == {root}
    assert list(table.ancestors(old)) == [old, folder, root]


@pytest.mark.parametrize("by", ["first", "last"])
def test_old_handles_end_with_their_object(table: HandleTable, top: int, by: str) -> None:
    first = table.add(top, b"file", is_folder=False)
    second = table.renew(first)
    last = table.renew(second)
    table.drop(first if by == "first" else last)
    other = table.add(top, b"file", is_folder=False)
    assert not any(map(table.is_alive, (first, second, last)))
    assert table.find(top, b"file") == other
    for _ in range(MOST_ALIASES + 1):
        other = table.renew(other)
    assert table.find(top, b"file") == other


def test_old_handles_do_not_grow_in_number_without_end() -> None:
    table = HandleTable()
    root = table.add_root()
    first = handle = table.add(root, b"file", is_folder=False)
    for _ in range(MOST_ALIASES + 10):
        handle = table.renew(handle)
    assert not table.is_alive(first)
    assert table.is_alive(handle - 1)
    assert list(table.children(root)) == [handle]
