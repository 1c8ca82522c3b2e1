# SPDX-License-Identifier: GPL-3.0-or-later
"""FAT disks: names that they refuse, second names that nobody lists, and a root without a date."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.errors import MtpError
from appliance.storage import Catalogue, Folder, TrashPolicy, directories, syscalls, trash_info
from appliance.storage.trash_info import TrashInfo
from appliance.storage.write_safety import WriteSafety
from tests.unit.storage import fat
from tests.unit.storage.helpers import (
    FIRST,
    SECOND,
    WORKPLACE,
    at_rest,
    begin,
    content,
    find,
    leftovers,
    names,
    put,
    refused,
)

ALIAS = "MTP-AP~1"
SAFETIES = pytest.mark.parametrize("safety", list(WriteSafety))


@pytest.fixture
def disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fat.pretend(monkeypatch, root)
    return root


@pytest.fixture
def keeping(disk: Path) -> Iterator[Catalogue]:
    """Serve the disk; something has been deleted from it, so the workplace is there for good."""
    with Catalogue([Folder(disk, "Stick")], trash=TrashPolicy()) as store:
        store.delete(put(store, "secret.txt", b"deleted"))
        yield store


# Names that it refuses


@SAFETIES
@pytest.mark.parametrize(
    "name", ["12:30.txt", "what?.txt", 'a "b".txt', "back\\slash", "a*", "at its end ", "dot too ."]
)
def test_a_name_that_the_disk_cannot_hold_is_refused_at_the_announcement(
    disk: Path, name: str, safety: WriteSafety, caplog: pytest.LogCaptureFixture
) -> None:
    with Catalogue([Folder(disk, "Stick")], write_safety=safety) as store:
        with refused(Code.INVALID_DATASET):
            store.receive(FIRST, 0, name, size=5, modified=None)
        with refused(Code.INVALID_DATASET):
            store.make_folder(FIRST, 0, name, modified=None)
        store.settle()
        assert names(store) == []
        assert leftovers(disk) == []
        put(store, "12.30.txt", b"hello")
        store.settle()
        assert (disk / "12.30.txt").read_bytes() == b"hello"
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_a_name_that_is_too_long_for_the_disk_is_refused_at_the_announcement(
    store: Catalogue,
) -> None:
    with refused(Code.INVALID_DATASET):
        store.receive(FIRST, 0, "ä" * 128, size=5, modified=None)


def test_two_uploads_to_one_name_in_two_folders(store: Catalogue, root: Path) -> None:
    folder = store.make_folder(FIRST, 0, "folder", modified=None).handle
    first = begin(store, "cover.jpg", b"one")
    second = begin(store, "cover.jpg", b"two", parent=folder)
    third = begin(store, "cover.jpg", b"three")
    first.discard()
    second.commit()
    third.commit()
    assert (root / "cover.jpg").read_bytes() == b"three"
    assert (root / "folder" / "cover.jpg").read_bytes() == b"two"
    assert leftovers(root) == []


def test_a_copy_to_a_disk_that_cannot_hold_the_name_is_not_begun(
    far: Catalogue, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = put(far, "12:30.txt", b"x" * 100)
    fat.pretend(monkeypatch, second)
    written: list[int] = []
    monkeypatch.setattr("appliance.storage.trees.copy", lambda *_: written.append(1))
    for bring in (far.copy, far.move):
        with refused(Code.INVALID_DATASET):
            bring(handle, SECOND, 0)
    assert not written
    assert names(far) == ["12:30.txt"]
    assert names(far, storage=SECOND) == []


# Second names


def _send(store: Catalogue) -> None:
    begin(store, ALIAS, b"x").commit()


def _make(store: Catalogue) -> None:
    store.make_folder(FIRST, 0, ALIAS, modified=None)


def _rename(store: Catalogue) -> None:
    store.rename(find(store, "tree"), ALIAS)


def _rename_file(store: Catalogue) -> None:
    store.rename(find(store, "file.txt"), ALIAS)


def _move(store: Catalogue) -> None:
    store.move(find(store, f"tree/{ALIAS}"), FIRST, 0)


def _copy(store: Catalogue) -> None:
    store.copy(find(store, f"tree/{ALIAS}"), FIRST, 0)


WAYS = (_send, _make, _rename, _rename_file, _move, _copy)


def everything(disk: Path) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in disk.rglob("*") if each.is_file()}


@pytest.mark.parametrize("way", WAYS)
def test_the_workplace_is_not_reached_by_its_second_name(
    keeping: Catalogue, disk: Path, way: Callable[[Catalogue], None]
) -> None:
    (disk / "tree" / ALIAS).mkdir(parents=True)
    (disk / "file.txt").write_bytes(b"mine")
    before = everything(disk)
    known = set(keeping.tree(FIRST))
    with pytest.raises(MtpError) as caught:
        way(keeping)
    assert caught.value.code in (Code.ACCESS_DENIED, Code.INVALID_OBJECT_PROP_VALUE)
    assert set(keeping.tree(FIRST)) == known
    assert sorted(names(keeping)) == ["file.txt", "tree"]
    assert everything(disk) == before


@pytest.mark.parametrize(
    "name", ["mtp-ap~1", "MTP-AP~1.", "Mtp-Ap~1..", ".MTP-appliance", "MTP-AP~1"]
)
def test_nor_by_that_in_other_letters(keeping: Catalogue, disk: Path, name: str) -> None:
    before = everything(disk)
    for make in (_folder, _file):
        with suppress(MtpError):
            make(keeping, name)
            pytest.fail(f"{name} was taken")
    assert names(keeping) == []
    assert everything(disk) == before


def _folder(store: Catalogue, name: str) -> None:
    store.make_folder(FIRST, 0, name, modified=None)


def _file(store: Catalogue, name: str) -> None:
    begin(store, name, b"x").commit()


USES: dict[str, Callable[[Catalogue, int, int], object]] = {
    "list": lambda store, each, _: store.children(FIRST, each),
    "describe": lambda store, each, _: store.record(each),
    "rename": lambda store, each, _: store.rename(each, "mine"),
    "move": lambda store, each, other: store.move(each, FIRST, other),
    "copy": lambda store, each, other: store.copy(each, FIRST, other),
    "make": lambda store, each, _: store.make_folder(FIRST, each, "new", modified=None),
    "send": lambda store, each, _: begin(store, "new.txt", b"x", parent=each).commit(),
    "move in": lambda store, each, other: store.move(other, FIRST, each),
    "copy in": lambda store, each, other: store.copy(other, FIRST, each),
    "protect": lambda store, each, _: store.set_protected(each, protected=True),
    "delete": lambda store, each, _: store.delete(each),
}


@pytest.mark.parametrize("below", ["", "/trash"])
@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_what_is_known_by_the_second_name_does_not_come_to_mean_the_workplace(
    disk: Path, use: Callable[[Catalogue, int, int], object], below: str
) -> None:
    (disk / ALIAS / "trash").mkdir(parents=True)
    (disk / "other").mkdir()
    with Catalogue([Folder(disk, "Stick")]) as store:
        known, other = find(store, ALIAS + below), find(store, "other")
        (disk / ALIAS).rename(disk / "elsewhere")
        (disk / WORKPLACE / "trash" / "files").mkdir(parents=True)
        with pytest.raises(MtpError):
            use(store, known, other)
        assert (disk / WORKPLACE / "trash" / "files").is_dir()
        assert not any((disk / WORKPLACE / "trash" / "files").iterdir())
        assert not any((disk / "other").iterdir())


def test_nothing_comes_back_from_the_trash_into_the_workplace(
    keeping: Catalogue, disk: Path
) -> None:
    item = keeping.trash_list()[0]
    info_fd = os.open(disk / WORKPLACE / "trash" / "info", os.O_RDONLY)
    trash_info.remove(info_fd, os.fsencode(item.name))
    path = (ALIAS.encode(), b"state", b"references.json")
    trash_info.write(info_fd, os.fsencode(item.name), TrashInfo(path))
    os.close(info_fd)
    keeping.trash_restore(FIRST, item.name)
    assert not (disk / WORKPLACE / "state").exists()
    assert names(keeping) == ["references.json"]


def test_the_workplace_serves_where_the_kernel_calls_it_by_its_second_name(
    keeping: Catalogue, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Linux does with a directory that it was asked for by that name first."""
    place = directories._place
    monkeypatch.setattr(
        directories, "_place", lambda fd: place(fd).replace(WORKPLACE.encode(), ALIAS.encode())
    )
    for name in ("one.txt", "two.txt"):
        keeping.delete(put(keeping, name, b"x"))
    put(keeping, "three.txt", b"x")
    assert names(keeping) == ["three.txt"]
    assert [each.path for each in keeping.trash_list()] == ["secret.txt", "one.txt", "two.txt"]
    assert len([each for each in leftovers(disk) if "trash" not in each]) == 0


@pytest.fixture
def hiding(disk: Path) -> Iterator[Catalogue]:
    (disk / ".todo.txt").write_bytes(b"mine")
    (disk / ".secret-notes").mkdir()
    (disk / ".secret-notes" / "x").write_bytes(b"mine too")
    with Catalogue([Folder(disk, "Stick", hidden_files=False)]) as store:
        yield store


def test_hidden_files_are_not_reached_by_their_second_names(hiding: Catalogue, disk: Path) -> None:
    with refused(Code.ACCESS_DENIED):
        hiding.make_folder(FIRST, 0, "SECRET~1", modified=None)
    with refused(Code.ACCESS_DENIED):
        begin(hiding, "TODO~1.TXT", b"theirs")
    assert names(hiding) == []
    assert (disk / ".todo.txt").read_bytes() == b"mine"


def test_a_file_with_a_second_name_of_a_hidden_one_that_came_later(
    hiding: Catalogue, disk: Path
) -> None:
    upload = begin(hiding, "OTHER~1.TXT", b"theirs")
    (disk / ".other.txt").write_bytes(b"mine")
    with refused(Code.ACCESS_DENIED):
        upload.commit()
    assert (disk / ".other.txt").read_bytes() == b"mine"
    assert names(hiding) == []


@SAFETIES
def test_a_file_is_replaced_by_its_second_name(disk: Path, safety: WriteSafety) -> None:
    with Catalogue([Folder(disk, "Stick")], write_safety=safety) as store:
        put(store, "holidays in rome.jpg", b"old")
        store.settle()
        handle = put(store, "HOLIDA~1.JPG", b"new")
        store.settle()
        assert names(store) == ["holidays in rome.jpg"]
        assert content(store, handle) == b"new"


def test_what_has_only_just_come_is_replaced_all_the_same(store: Catalogue, root: Path) -> None:
    names(store)
    status = root.stat()
    (root / "new.txt").write_bytes(b"old")
    os.utime(root, ns=(status.st_atime_ns, status.st_mtime_ns))
    put(store, "new.txt", b"new")
    assert names(store) == ["new.txt"]


# A root without a date


@pytest.mark.parametrize("watch", [False, True])
def test_a_stick_that_was_changed_elsewhere(root: Path, *, watch: bool) -> None:
    (root / "old.txt").touch()
    (root / "folder").mkdir()
    (root / "folder" / "old.txt").touch()
    dates = {each: each.stat().st_mtime_ns - 10**10 for each in (root, root / "folder")}
    _date(dates)
    with Catalogue([Folder(root, "Stick")], watch=watch) as store:
        assert sorted(names(store)) == ["folder", "old.txt"]
        assert names(store, find(store, "folder")) == ["old.txt"]
        _date(dates)
        store.eject(FIRST)
        for each in dates:
            (each / "old.txt").rename(each / "new.txt")
        _date(dates)
        store.load(FIRST)
        assert sorted(names(store)) == ["folder", "new.txt"]
        assert names(store, find(store, "folder")) == ["new.txt"]


def test_what_comes_into_a_root_without_a_date_is_seen(store: Catalogue, root: Path) -> None:
    _date({root: 0})
    assert names(store) == []
    (root / "new.txt").touch()
    _date({root: 0})
    assert names(store) == ["new.txt"]


def _date(dates: dict[Path, int]) -> None:
    for folder, date in dates.items():
        os.utime(folder, ns=(date, date))


# One file, one row


@pytest.fixture
def resting(disk: Path) -> Path:
    """The disk, whose root nothing has happened in for long; its workplace is there."""
    (disk / WORKPLACE / "trash").mkdir(parents=True)
    (disk / "zz").touch()
    at_rest(disk)
    return disk


def _shown(store: Catalogue, disk: Path) -> list[str]:
    """What is listed, when that is what is on the disk."""
    listed = sorted(names(store))
    assert listed == sorted(each.name for each in disk.iterdir() if each.name != WORKPLACE)
    return listed


@SAFETIES
@pytest.mark.parametrize("other", ["PHOTO.JPG", "photo.jpg.", "Photo.jpg"])
def test_one_upload_after_the_other(resting: Path, other: str, safety: WriteSafety) -> None:
    with Catalogue([Folder(resting, "Stick")], write_safety=safety) as store:
        names(store)
        put(store, "photo.jpg", b"one")
        handle = put(store, other, b"two")
        assert len(names(store)) == 2
        store.settle()
        assert _shown(store, resting) == ["photo.jpg", "zz"]
        assert content(store, handle) == b"two"


@SAFETIES
@pytest.mark.parametrize(
    ("one", "other", "large"),
    [
        ("Photo of us.jpg", "PHOTO OF US.JPG", False),
        ("Photo of us.jpg", "PHOTO OF US.JPG", True),
        ("PHOTO OF US.JPG", "Photo of us.jpg", True),
        ("Photo of us.jpg", "PHOTOO~1.JPG", False),
    ],
)
def test_two_uploads_that_are_announced_at_once(
    resting: Path, one: str, other: str, safety: WriteSafety, *, large: bool
) -> None:
    latest = bytes(3 << 20) if large else b"two"
    with Catalogue([Folder(resting, "Stick")], write_safety=safety) as store:
        names(store)
        first, then = begin(store, one, b"one"), begin(store, other, latest)
        first.commit()
        then.commit()
        store.settle()
        assert len(_shown(store, resting)) == 2
        assert content(store, then.handle) == latest
        with refused(Code.INVALID_OBJECT_HANDLE):
            store.entry(first.handle)


def test_a_folder_by_the_name_of_a_file_that_waits(resting: Path) -> None:
    with Catalogue([Folder(resting, "Stick")], write_safety=WriteSafety.FAST) as store:
        put(store, "dcim", b"told OK")
        with refused(Code.ACCESS_DENIED):
            store.make_folder(FIRST, 0, "DCIM", modified=None)
        assert _shown(store, resting) == ["dcim", "zz"]
        assert (resting / "dcim").read_bytes() == b"told OK"


def test_what_comes_back_into_a_folder_in_other_letters(disk: Path) -> None:
    with Catalogue([Folder(disk, "Stick")], trash=TrashPolicy()) as store:
        folder = store.make_folder(FIRST, 0, "DCIM", modified=None).handle
        store.delete(put(store, "x.jpg", b"x", parent=folder))
        item = store.trash_list()[0]
        store.delete(folder)
        again = store.make_folder(FIRST, 0, "dcim", modified=None).handle
        at_rest(disk)
        names(store)
        store.trash_restore(FIRST, item.name)
        assert list(store.children(FIRST, 0)) == [again]
        assert names(store, again) == ["x.jpg"]


# What only a sync of all brings to the disk


def do_upload(store: Catalogue, disk: Path) -> None:
    put(store, "new", b"new")


def do_replace(store: Catalogue, disk: Path) -> None:
    put(store, "file", b"newer")


def do_rename(store: Catalogue, disk: Path) -> None:
    store.rename(find(store, "file"), "other")


def do_move(store: Catalogue, disk: Path) -> None:
    store.move(find(store, "file"), FIRST, find(store, "folder"))


def do_copy(store: Catalogue, disk: Path) -> None:
    store.copy(find(store, "file"), FIRST, find(store, "folder"))


def do_delete(store: Catalogue, disk: Path) -> None:
    store.delete(find(store, "file"))


def do_restore(store: Catalogue, disk: Path) -> None:
    (item,) = store.trash_list()
    store.trash_restore(FIRST, item.name)


@SAFETIES
@pytest.mark.parametrize(
    "act", [do_upload, do_replace, do_rename, do_move, do_copy, do_delete, do_restore]
)
def test_a_new_name_comes_to_the_disk_with_where_its_file_begins(
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    safety: WriteSafety,
    act: Callable[[Catalogue, Path], None],
) -> None:
    """The folder's own sync leaves that out: after it, and a power cut, the file would be empty."""
    (disk / "folder").mkdir()
    (disk / "file").write_bytes(b"file")
    done: list[str] = []
    for where, name in ((syscalls, "_renameat2"), (os, "rename"), (syscalls, "sync_file_system")):
        monkeypatch.setattr(where, name, _noting(done, name, getattr(where, name)))
    with Catalogue([Folder(disk, "Stick")], trash=TrashPolicy(), write_safety=safety) as store:
        names(store, find(store, "folder"))
        store.delete(put(store, "deleted", b"deleted"))
        store.settle()
        done.clear()
        act(store, disk)
        store.settle()
        assert set(done) - {"sync_file_system"}
        assert done[-1] == "sync_file_system"


def _noting(done: list[str], name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*words: Any) -> Any:
        done.append(name)
        return original(*words)

    return call
