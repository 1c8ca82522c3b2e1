# SPDX-License-Identifier: GPL-3.0-or-later
"""Fast writes: OK at once, on the disk soon, and nobody sees a difference but the power cut."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.ports import ChangeKind
from appliance.storage import Catalogue, Folder, TrashPolicy, Unsafe, WriteSafety, flushing, trees
from appliance.storage.replacing import Replacing
from tests.unit.storage.ear import PATIENCE, Ear
from tests.unit.storage.helpers import (
    FIRST,
    SECOND,
    at_rest,
    begin,
    content,
    find,
    leftovers,
    names,
    open_descriptors,
    put,
    refused,
)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the thread wait for longer than any test, so that only what is asked for happens."""
    monkeypatch.setattr(flushing, "_PAUSE", 3600)


@pytest.fixture
def fast(root: Path, slow: None) -> Iterator[Catalogue]:
    folder = Folder(root, "Card")
    with Catalogue([folder], trash=TrashPolicy(), write_safety=WriteSafety.FAST) as store:
        yield store


@pytest.fixture
def watched(root: Path, slow: None) -> Iterator[Catalogue]:
    folder = Folder(root, "Card")
    with Catalogue([folder], watch=True, write_safety=WriteSafety.FAST) as store:
        yield store


def test_a_file_is_seen_before_it_is_on_the_disk(fast: Catalogue, root: Path) -> None:
    handle = put(fast, "file", b"12345")
    assert not (root / "file").exists()
    assert len(leftovers(root)) == 1
    assert names(fast) == ["file"]
    assert content(fast, handle) == b"12345"
    assert fast.record(handle).size == 5
    (record,) = fast.records([handle], in_full=True)
    assert record is not None
    assert (record.name, record.size) == ("file", 5)
    number = fast.unique_id(handle)
    assert record.unique_id == number
    fast.settle()
    assert (root / "file").read_bytes() == b"12345"
    assert leftovers(root) == []
    assert names(fast) == ["file"]
    assert find(fast, "file") == handle
    assert fast.unique_id(handle) == number


def test_it_is_told_what_is_unsafe_and_when_it_no_longer_is(fast: Catalogue, root: Path) -> None:
    seen: list[Unsafe] = []
    fast.watch_unsafe(lambda: seen.append(fast.unsafe()))
    assert fast.unsafe() == Unsafe()
    put(fast, "file", b"12345")
    folder = fast.make_folder(FIRST, 0, "folder", modified=None).handle
    put(fast, "more", b"123", parent=folder)
    assert [(each.files, each.size) for each in seen] == [(1, 5), (2, 5), (3, 8)]
    assert all(each.until > (root / "folder").stat().st_mtime for each in seen)
    fast.settle()
    assert seen[-1] == fast.unsafe() == Unsafe()
    put(fast, "later", b"1")
    assert seen[-1].files == 1


def test_it_reaches_the_disk_by_itself(root: Path) -> None:
    safe = threading.Event()
    folder = Folder(root, "Card")
    with Catalogue([folder], write_safety=WriteSafety.FAST) as store:
        put(store, "file", b"12345")
        store.watch_unsafe(lambda: None if store.unsafe().files else safe.set())
        assert safe.wait(PATIENCE)
        assert (root / "file").read_bytes() == b"12345"
        safe.clear()
        put(store, "another", b"1")
        assert safe.wait(PATIENCE)
        assert (root / "another").exists()


ACTS: dict[str, Callable[[Catalogue, int], object]] = {
    "rename": lambda store, handle: store.rename(handle, "renamed"),
    "copy": lambda store, handle: store.copy(handle, FIRST, find(store, "folder")),
    "move": lambda store, handle: store.move(handle, FIRST, find(store, "folder")),
    "delete": lambda store, handle: store.delete(handle),
    "date": lambda store, handle: store.set_modified(handle, 1e9),
    "protect": lambda store, handle: store.set_protected(handle, protected=True),
    "references": lambda store, handle: store.set_references(handle, []),
    "delete folder": lambda store, _: store.delete(find(store, "folder")),
    "rename folder": lambda store, _: store.rename(find(store, "folder"), "renamed folder"),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_whatever_is_done_next_is_done_as_ever(
    fast: Catalogue, root: Path, tmp_path: Path, act: Callable[[Catalogue, int], object]
) -> None:
    shapes = []
    for safety, place in ((WriteSafety.SAFE, "safe"), (WriteSafety.FAST, "fast")):
        (tmp_path / place).mkdir()
        folder = Folder(tmp_path / place, "Card")
        with Catalogue([folder], trash=TrashPolicy(), write_safety=safety) as store:
            within = store.make_folder(FIRST, 0, "folder", modified=None).handle
            put(store, "below", b"below", parent=within)
            handle = put(store, "file", b"12345")
            act(store, handle)
            seen = [store.entry(each).name for each in store.tree(FIRST)]
        on_disk = {
            str(path.relative_to(tmp_path / place)): path.is_file() and path.read_bytes()
            for path in (tmp_path / place).rglob("*")
            if path.suffix != ".trashinfo"
        }
        shapes.append((seen, on_disk))
    assert shapes[0] == shapes[1]


def test_an_edit_of_what_has_just_come(fast: Catalogue, root: Path) -> None:
    edit = fast.edit(put(fast, "file", b"12345"))
    edit.write(1, memoryview(b"x"))
    edit.commit()
    assert (root / "file").read_bytes() == b"1x345"


def test_what_is_replaced_stays_whole_and_goes_into_the_trash(fast: Catalogue, root: Path) -> None:
    (root / "file").write_bytes(b"oldest")
    old = find(fast, "file")
    upload = begin(fast, "file", b"middle")
    upload.commit()
    assert (upload.replaces, upload.replaced) == (True, old)
    assert (root / "file").read_bytes() == b"oldest"
    upload = begin(fast, "file", b"newest")
    assert upload.replaces
    upload.commit()
    assert names(fast) == ["file"]
    assert content(fast, upload.handle) == b"newest"
    fast.settle()
    assert (root / "file").read_bytes() == b"newest"
    kept = root.glob(".mtp-appliance/trash/files/*")
    assert {path.read_bytes() for path in kept} == {b"oldest", b"middle"}


def test_a_name_that_waits_is_taken(fast: Catalogue) -> None:
    put(fast, "file", b"1")
    other = put(fast, "other", b"1")
    with refused(Code.ACCESS_DENIED):
        fast.make_folder(FIRST, 0, "file", modified=None)
    with refused(Code.INVALID_OBJECT_PROP_VALUE):
        fast.rename(other, "file")


@pytest.mark.parametrize("how", ["eject", "remove", "lock", "close", "safe", "read-only"])
def test_all_is_on_the_disk_before_the_storage_goes(fast: Catalogue, root: Path, how: str) -> None:
    put(fast, "file", b"12345")
    fast.make_folder(FIRST, 0, "folder", modified=None)
    actions: dict[str, Callable[[], object]] = {
        "eject": lambda: fast.eject(FIRST),
        "remove": lambda: fast.remove_storage(FIRST),
        "lock": fast.lock,
        "close": fast.close,
        "safe": lambda: fast.set_write_safety(WriteSafety.SAFE),
        "read-only": lambda: fast.set_read_only(FIRST, read_only=True),
    }
    actions[how]()
    assert (root / "file").read_bytes() == b"12345"
    assert fast.unsafe() == Unsafe()
    assert how in ("safe", "read-only") or not open_below(root)


def open_below(root: Path) -> list[str]:
    """What this process has open in a folder."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(each.readlink()))
    return [each for each in found if Path(each).is_relative_to(root)]


def test_from_safe_to_fast_and_back(store: Catalogue, root: Path, slow: None) -> None:
    put(store, "safe", b"1")
    assert (root / "safe").exists()
    store.set_write_safety(WriteSafety.FAST)
    put(store, "fast", b"1")
    assert not (root / "fast").exists()
    store.set_write_safety(WriteSafety.SAFE)
    assert (root / "fast").exists()
    put(store, "safe again", b"1")
    assert (root / "safe again").exists()


def test_a_large_file_is_on_the_disk_before_ok(fast: Catalogue, root: Path) -> None:
    put(fast, "large", bytes(flushing._LARGE + 1))
    assert (root / "large").stat().st_size == flushing._LARGE + 1
    put(fast, "not so large", bytes(flushing._LARGE))
    assert not (root / "not so large").exists()


def test_more_than_may_wait_does_not(fast: Catalogue, root: Path) -> None:
    before = open_descriptors()
    for number in range(3 * flushing._MOST):
        put(fast, f"{number}", b"1")
        assert fast.unsafe().files <= flushing._MOST
    assert open_descriptors() - before < 4 * flushing._MOST
    fast.settle()
    assert len(list(root.iterdir())) == 3 * flushing._MOST + 1
    assert open_descriptors() - before < 8  # directories may stay open


@pytest.mark.parametrize("count", [1, 5], ids=["one", "many"])
def test_what_does_not_reach_the_disk_is_told(
    fast: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    (root / "0").write_bytes(b"as it was")
    ear = Ear(fast, root)
    handles = [put(fast, f"{number}", b"12345") for number in range(count)]

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "bad sector")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        patch.setattr(trees, "sync_all", failing)
        fast.settle()
    assert ear.told == [(ChangeKind.REMOVED, each) for each in handles]
    assert leftovers(root) == []
    assert (root / "0").read_bytes() == b"as it was"
    with refused(Code.INVALID_OBJECT_HANDLE):
        fast.record(handles[0])
    assert names(fast) == ["0"]
    assert fast.unsafe() == Unsafe()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file's content reach the disk."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(os, "fdatasync", fail)


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("serving", ["fast", "watched"])
def test_what_was_to_be_replaced_is_seen_again(
    request: pytest.FixtureRequest, root: Path, serving: str
) -> None:
    store: Catalogue = request.getfixturevalue(serving)
    (root / "old").write_bytes(b"as it was")
    at_rest(root)
    store.children(FIRST, 0)
    new = put(store, "old", b"lost")
    store.settle()
    (old,) = store.children(FIRST, 0)
    assert old != new
    assert content(store, old) == b"as it was"


@pytest.mark.usefixtures("failing")
def test_what_was_to_be_replaced_is_told_of(watched: Catalogue, root: Path) -> None:
    (root / "old").write_bytes(b"as it was")
    watched.children(FIRST, 0)
    ear = Ear(watched, root)
    new = put(watched, "old", b"lost")
    watched.settle()
    removed, added = ear.all()
    assert removed == (ChangeKind.REMOVED, new)
    assert added == (ChangeKind.ADDED, find(watched, "old"))


def test_a_folder_that_goes_on_the_device_takes_along_what_waits(
    fast: Catalogue, root: Path
) -> None:
    folder = fast.make_folder(FIRST, 0, "folder", modified=None).handle
    put(fast, "file", b"1", parent=folder)
    (root / "folder").rmdir()
    fast.settle()
    assert names(fast) == []
    assert leftovers(root) == []
    assert fast.unsafe() == Unsafe()


@pytest.mark.parametrize("listed", [False, True], ids=["unseen", "seen"])
@pytest.mark.parametrize("target", ["renamed", "other/renamed"])
@pytest.mark.parametrize("serving", ["fast", "watched"])
def test_what_waits_goes_along_with_its_folder(
    request: pytest.FixtureRequest, root: Path, serving: str, target: str, *, listed: bool
) -> None:
    """Its folder is renamed on the device, or goes to where nobody has looked yet."""
    store: Catalogue = request.getfixturevalue(serving)
    (root / "other").mkdir()
    folder = store.make_folder(FIRST, 0, "folder", modified=None).handle
    store.children(FIRST, 0)
    put(store, "file", b"12345", parent=folder)
    (root / "folder").rename(root / target)
    if listed:
        store.children(FIRST, 0)
    store.settle()
    assert (root / target / "file").read_bytes() == b"12345"
    assert leftovers(root) == []
    assert content(store, find(store, f"{target}/file")) == b"12345"


def test_what_waits_stays_where_the_pc_put_it(watched: Catalogue, root: Path) -> None:
    """Its folder is renamed on the device, and another one made in its place."""
    folder = watched.make_folder(FIRST, 0, "folder", modified=None).handle
    watched.children(FIRST, 0)
    handle = put(watched, "file", b"12345", parent=folder)
    (root / "folder").rename(root / "renamed")
    (root / "folder").mkdir()
    watched.settle()
    assert (root / "renamed" / "file").read_bytes() == b"12345"
    assert find(watched, "renamed/file") == handle
    assert names(watched, find(watched, "folder")) == []


@pytest.mark.parametrize("listed", [False, True], ids=["unseen", "seen"])
def test_what_waits_does_not_follow_its_folder_out_of_the_storage(
    fast: Catalogue,
    root: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    listed: bool,
) -> None:
    folder = fast.make_folder(FIRST, 0, "folder", modified=None).handle
    put(fast, "file", b"12345", parent=folder)
    before = open_descriptors()
    (root / "folder").rename(tmp_path / "outside")
    if listed:
        assert names(fast) == []
    fast.settle()
    assert list((tmp_path / "outside").iterdir()) == []
    assert leftovers(root) == []
    assert names(fast) == []
    assert "LOST    b'file'" in caplog.text
    assert open_descriptors() < before


def test_an_older_upload_does_not_replace_a_newer_one(
    fast: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The newer one of another initiator comes while room for what is replaced is being made."""
    (root / "file").write_bytes(b"oldest")
    older, newer = begin(fast, "file", b"older"), begin(fast, "file", b"newer")
    reserve = Replacing.reserve

    def overtaken(*arguments: Any) -> Any:
        slot = reserve(*arguments)
        monkeypatch.setattr(Replacing, "reserve", reserve)
        newer.commit()
        return slot

    older.commit()
    monkeypatch.setattr(Replacing, "reserve", overtaken)
    fast.settle()
    assert (root / "file").read_bytes() == b"newer"
    assert newer.replaced == older.handle
    assert list(fast.children(FIRST, 0)) == [newer.handle]
    assert content(fast, newer.handle) == b"newer"
    assert [each for each in leftovers(root) if "/trash/" not in each] == []
    assert [path.read_bytes() for path in root.glob(".mtp-appliance/trash/files/*")] == [b"oldest"]
    assert fast.unsafe() == Unsafe()
    assert "LOST" not in caplog.text


def test_the_watch_leaves_alone_what_waits(watched: Catalogue, root: Path) -> None:
    watched.children(FIRST, 0)
    ear = Ear(watched, root)
    (root / "file").write_bytes(b"old")
    ear.all()
    handle = put(watched, "file", b"newer")
    new = put(watched, "new", b"12345")
    (root / "file").write_bytes(b"changed on the device")
    (root / "file").unlink()
    (root / "moved").write_bytes(b"from the device")
    (root / "moved").rename(root / "new")
    assert ear.all() == []
    assert content(watched, new) == b"12345"
    watched._lookup.scan_anew(watched._lookup.volume(FIRST).root)
    watched.settle()
    assert ear.all() == []
    assert (root / "file").read_bytes() == b"newer"
    assert (root / "new").read_bytes() == b"12345"
    assert {handle, new} <= set(watched.children(FIRST, 0))


def test_several_sessions_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flushing, "_PAUSE", 0.001)
    with Catalogue([Folder(root, "Card")], write_safety=WriteSafety.FAST) as store:
        errors: list[BaseException] = []

        def work(worker: int) -> None:
            try:
                for number in range(40):
                    handle = put(store, f"{worker}-{number}", b"%d" % number)
                    if number % 4 == 1:
                        store.rename(handle, f"{worker}-{number}-renamed")
                    if number % 4 == 2:
                        store.delete(handle)
                    if number % 4 == 3:
                        assert content(store, handle) == b"%d" % number
            except BaseException as error:
                errors.append(error)
                raise

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
    found = {path.name for path in root.iterdir()}
    assert len(found) == 4 * 30
    assert {"0-0", "3-37-renamed", "2-39"} <= found


# A folder that leaves for another storage while a file for it comes


@pytest.mark.parametrize("safety", WriteSafety)
def test_a_file_whose_folder_left_its_disk_is_refused_before_the_ok(
    far: Catalogue, root: Path, second: Path, slow: None, safety: WriteSafety
) -> None:
    far.set_write_safety(safety)
    folder = far.make_folder(FIRST, 0, "folder", modified=None).handle
    upload = begin(far, "file", b"12345", parent=folder)
    far.move(folder, SECOND, 0)
    with refused(Code.INVALID_PARENT_OBJECT):
        upload.commit()
    far.settle()
    assert names(far, folder, storage=SECOND) == []
    assert leftovers(root) == leftovers(second) == []


@pytest.mark.parametrize("safety", WriteSafety)
def test_what_a_file_replaces_is_kept_by_the_storage_where_its_folder_lies_now(
    root: Path, second: Path, slow: None, safety: WriteSafety
) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").write_bytes(b"older")
    folders = [Folder(root, "Card"), Folder(second, "Stick")]
    with Catalogue(folders, trash=TrashPolicy(), write_safety=safety) as store:
        folder = find(store, "folder")
        upload = begin(store, "file", b"new", parent=folder)
        store.move(folder, SECOND, 0)
        upload.commit()
        store.settle()
        assert (second / "folder" / "file").read_bytes() == b"new"
        (kept,) = store.trash_list()
        assert kept.storage_id == SECOND
        store.delete(upload.handle)
        store.trash_restore(SECOND, kept.name)
    assert (second / "folder" / "file").read_bytes() == b"older"
    assert not (root / "folder").exists()
