# SPDX-License-Identifier: GPL-3.0-or-later
import errno
import os
import socket
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.storage import Catalogue, Folder, scanning
from tests.unit.storage.conftest import Mount
from tests.unit.storage.helpers import (
    FIRST,
    SECOND,
    WORKPLACE,
    at_rest,
    begin,
    content,
    find,
    names,
    open_descriptors,
    put,
    refused,
)


def test_what_lies_in_a_folder(store: Catalogue, root: Path) -> None:
    (root / "b" / "c").mkdir(parents=True)
    (root / "a.txt").touch()
    (root / "b" / "d").touch()
    assert names(store) == ["a.txt", "b"]
    folder = find(store, "b")
    assert names(store, folder) == ["c", "d"]
    entry = store.entry(find(store, "b/d"))
    assert (entry.parent, entry.storage_id, entry.is_folder) == (folder, FIRST, False)
    assert store.entry(folder).parent == 0


def test_nothing_is_read_before_it_is_asked_for(root: Path, scans: Counter[str]) -> None:
    for name in "abc":
        (root / name / "below").mkdir(parents=True)
    at_rest(root, root / "a")
    with Catalogue([Folder(root, "Card")]) as store:
        scans.clear()
        assert not scans
        store.children(FIRST, 0)
        assert scans == {str(root): 1}
        store.children(FIRST, find(store, "a"))
        assert scans == {str(root): 1, str(root / "a"): 1}


def test_no_file_is_opened_for_a_listing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a scan does not open it cannot cut, nor bring back from a slow disk."""
    (root / "a").mkdir()
    files = {root / "top.txt": b"top", root / "a" / "below.txt": b"below"}
    for path, said in files.items():
        path.write_bytes(said)
    opened: list[str] = []
    really = os.open

    def telling(*args: Any, **more: Any) -> int:
        fd = really(*args, **more)
        opened.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        return fd

    monkeypatch.setattr(os, "open", telling)
    with Catalogue([Folder(root, "Card")]) as store:
        assert names(store) == ["a", "top.txt"]
        assert len(store.tree(FIRST)) == 3
        assert store.record(find(store, "a/below.txt")).size == 5
    assert str(root / "a") in opened
    assert not set(opened) & set(map(str, files))
    assert {path: path.read_bytes() for path in files} == files


def test_ten_thousand_objects_are_read_once(
    store: Catalogue, root: Path, scans: Counter[str]
) -> None:
    folder = root / "many"
    folder.mkdir()
    for number in range(10_000):
        os.close(os.open(folder / f"{number:05}", os.O_CREAT))
    at_rest(root, folder)
    parent = find(store, "many")
    handles = store.children(FIRST, parent)
    assert len(handles) == 10_000
    for handle in handles:
        store.record(handle)
    assert store.children(FIRST, parent) == handles
    assert scans == {str(root): 1, str(folder): 1}


def test_a_known_object_costs_no_scan(store: Catalogue, root: Path, scans: Counter[str]) -> None:
    (root / "file").write_bytes(b"12345")
    handle = find(store, "file")
    (root / "new").touch()
    scans.clear()
    store.entry(handle)
    store.record(handle)
    store.unique_id(handle)
    content(store, handle)
    store.rename(handle, "renamed")
    store.delete(handle)
    assert not scans


def test_a_change_on_the_device_is_seen(store: Catalogue, root: Path, scans: Counter[str]) -> None:
    for name in ("stays", "goes", "turns"):
        (root / name).touch()
    at_rest(root)
    stays, goes, turns = (find(store, name) for name in ("stays", "goes", "turns"))
    (root / "goes").unlink()
    (root / "turns").unlink()
    (root / "turns").mkdir()
    (root / "new").touch()
    scans.clear()
    assert names(store) == ["stays", "new", "turns"]
    assert scans == {str(root): 1}
    assert find(store, "stays") == stays
    assert find(store, "turns") != turns
    for handle in (goes, turns):
        with refused(Code.INVALID_OBJECT_HANDLE):
            store.entry(handle)


def test_a_folder_that_vanished_takes_all_below_with_it(store: Catalogue, root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "c").touch()
    at_rest(root)
    below = [find(store, path) for path in ("a", "a/b", "a/b/c")]
    (root / "a").rename(root.parent / "elsewhere")
    assert names(store) == []
    for handle in below:
        with refused(Code.INVALID_OBJECT_HANDLE):
            store.entry(handle)


@pytest.mark.parametrize(
    ("modified", "age", "settled"),
    [
        (1_000_000_000_500_000_000, 1_000_000, False),
        (1_000_000_000_500_000_000, 49_000_000, False),
        (1_000_000_000_500_000_000, 51_000_000, True),
        (1_000_000_000_500_000_000, -51_000_000, True),  # the clock was set back
        (1_000_000_000_500_000_000, -49_000_000, False),
        (1_000_000_000_000_000_000, 51_000_000, False),  # whole seconds: perhaps FAT
        (1_000_000_000_000_000_000, 2_100_000_000, True),
    ],
)
def test_what_was_not_at_rest_is_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, modified: int, age: int, *, settled: bool
) -> None:
    os.utime(root, ns=(modified, modified))
    fd = os.open(root, os.O_RDONLY)
    monkeypatch.setattr(time, "time_ns", lambda: modified + age)
    assert scanning.ScanMark.take(fd).is_current(fd) is settled
    os.close(fd)


def test_a_second_change_within_a_tick_is_seen(store: Catalogue, root: Path) -> None:
    (root / "first").touch()
    moment = root.stat().st_mtime_ns
    assert names(store) == ["first"]
    (root / "second").touch()
    os.utime(root, ns=(moment, moment))  # as if the clock had not ticked
    assert names(store) == ["first", "second"]


def test_own_changes_do_not_cost_a_scan(
    store: Catalogue, root: Path, scans: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "_TICK", 10_000_000_000)  # however slow this machine is
    (root / "sub").mkdir()
    (root / "old").touch()
    at_rest(root, root / "sub")
    sub = find(store, "sub")
    store.children(FIRST, sub)
    assert set(scans.values()) == {1}
    file = put(store, "upload", b"1")
    put(store, "upload", b"replaced")
    store.make_folder(FIRST, 0, "made", modified=None)
    store.make_folder(FIRST, 0, "made", modified=None)
    store.rename(find(store, "upload"), "renamed")
    store.move(find(store, "renamed"), FIRST, sub)
    store.copy(find(store, "sub/renamed"), FIRST, 0)
    store.delete(find(store, "old"))
    assert names(store) == ["sub", "made", "renamed"]
    assert names(store, sub) == ["renamed"]
    assert sorted(path.name for path in root.iterdir() if path.name != WORKPLACE) == [
        "made",
        "renamed",
        "sub",
    ]
    assert scans == {str(root): 1, str(root / "sub"): 1}
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.entry(file)


def test_a_change_of_others_beside_an_own_one_is_seen(store: Catalogue, root: Path) -> None:
    at_rest(root)
    assert names(store) == []
    (root / "theirs").touch()
    put(store, "ours")
    assert sorted(names(store)) == ["ours", "theirs"]


def test_a_slow_own_change_is_not_trusted(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_rest(root)
    assert names(store) == []
    mkdir = os.mkdir

    def slowly(name: bytes, mode: int = 0o777, *, dir_fd: int) -> None:
        (root / "theirs").touch()
        mkdir(name, mode, dir_fd=dir_fd)
        time.sleep(0.06)

    monkeypatch.setattr(os, "mkdir", slowly)
    store.make_folder(FIRST, 0, "ours", modified=None)
    assert sorted(names(store)) == ["ours", "theirs"]


def test_what_is_no_file_and_no_folder_is_not_shown(store: Catalogue, root: Path) -> None:
    (root / "file").touch()
    (root / "folder").mkdir()
    (root / "dangling").symlink_to("nowhere")
    (root / "to file").symlink_to("file")
    (root / "to folder").symlink_to("folder")
    (root / "up").symlink_to("..")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        old = os.getcwd()  # noqa: PTH109 - a socket's path is short
        os.chdir(root)
        server.bind("socket")
        os.chdir(old)
    assert names(store) == ["file", "folder"]
    assert len(store.tree(FIRST)) == 2


_scandir = os.scandir


class Faulty:
    """Stands for `os.scandir`: what is called "bad" cannot be looked at."""

    def __init__(self, fault: int, fd: int) -> None:
        self._fault = fault
        self._entries: Any = _scandir(fd)

    def __enter__(self) -> Any:
        return map(self._entry, self._entries)

    def __exit__(self, *_: object) -> None:
        self._entries.close()

    def _entry(self, entry: os.DirEntry[str]) -> Any:
        return FaultyEntry("bad", self._fault) if entry.name == "bad" else entry


class FaultyEntry:
    def __init__(self, name: str, fault: int) -> None:
        self.name = name
        self._fault = fault

    def is_file(self, *, follow_symlinks: bool) -> bool:
        raise OSError(self._fault, os.strerror(self._fault))


@pytest.mark.parametrize("fault", [errno.EIO, errno.ENOENT, errno.EACCES])
def test_one_bad_entry_does_not_hide_the_others(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    for name in ("a", "bad", "c"):
        (root / name).mkdir()
    monkeypatch.setattr(os, "scandir", partial(Faulty, fault))
    assert names(store) == ["a", "c"]


@pytest.mark.parametrize("fault", [errno.EIO, errno.EACCES])
def test_what_cannot_be_looked_at_for_a_while_comes_and_stays(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    """A permission comes and goes without a trace in the folder's own times."""
    for name in ("a", "bad"):
        (root / name).mkdir()
    at_rest(root)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", partial(Faulty, fault))
        assert names(store) == ["a"]
    assert names(store) == ["a", "bad"]
    before = store.children(FIRST, 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", partial(Faulty, fault))
        (root / "new").mkdir()
        assert sorted(names(store)) == ["a", "bad", "new"]
    assert list(store.children(FIRST, 0))[:2] == list(before)


def test_names_that_no_pc_can_say_are_shown_all_the_same(store: Catalogue, root: Path) -> None:
    for raw in (b"\xff.txt", b"\xfe.txt", b"plain", b"a" * 255):
        os.close(os.open(os.fsencode(root) + b"/" + raw, os.O_CREAT))
    shown = names(store)
    assert len(set(shown)) == 4
    bad = next(name for name in shown if name.endswith(".txt"))
    handle = find(store, bad)
    assert store.record(handle).name == bad
    folder = store.make_folder(FIRST, 0, "folder", modified=None).handle
    store.move(handle, FIRST, folder)
    assert names(store, folder) == [bad]
    store.copy(handle, FIRST, 0)
    assert bad in names(store)
    store.rename(handle, bad)
    store.rename(handle, "good")
    assert (root / "folder" / "good").exists()
    store.delete(find(store, bad))
    assert bad not in names(store)


def test_an_upload_replaces_what_is_seen_under_its_name(store: Catalogue, root: Path) -> None:
    raw = os.fsencode(root) + b"/caf\xe9.txt"
    os.close(os.open(raw, os.O_CREAT))
    (shown,) = names(store)
    upload = begin(store, shown, b"new")
    assert upload.replaces
    upload.commit()
    assert names(store) == [shown]
    assert os.stat(raw).st_size == 3  # noqa: PTH116 - bytes
    with refused(Code.INVALID_OBJECT_PROP_VALUE):
        store.rename(put(store, "other"), shown)


def test_a_dot_hides_where_the_storage_says_so(root: Path) -> None:
    (root / ".dot").touch()
    (root / "file").touch()
    with Catalogue([Folder(root, "Card")]) as store:
        assert names(store) == [".dot", "file"]
    with Catalogue([Folder(root, "Card", hidden_files=False)]) as store:
        assert names(store) == ["file"]
        for change in (
            lambda: begin(store, ".new"),
            lambda: begin(store, ".dot"),
            lambda: store.make_folder(FIRST, 0, ".new", modified=None),
            lambda: store.rename(find(store, "file"), ".new"),
        ):
            with refused(Code.ACCESS_DENIED):
                change()


def test_what_would_vanish_is_not_moved_there(root: Path, second: Path) -> None:
    (root / ".dot").touch()
    with Catalogue([Folder(root, "Card"), Folder(second, "Stick", hidden_files=False)]) as store:
        for bring in (store.move, store.copy):
            with refused(Code.ACCESS_DENIED):
                bring(find(store, ".dot"), SECOND, 0)
    assert (root / ".dot").exists()


def test_the_workplace_is_never_an_object(store: Catalogue, root: Path) -> None:
    upload = begin(store, "file", b"1")
    (root / "sub" / WORKPLACE).mkdir(parents=True)
    assert names(store) == ["sub"]
    assert names(store, find(store, "sub")) == []
    for parent in (0, find(store, "sub")):
        for name in (WORKPLACE, WORKPLACE.upper(), WORKPLACE + "."):
            with refused(Code.INVALID_DATASET):
                store.make_folder(FIRST, parent, name, modified=None)
            with refused(Code.INVALID_DATASET):
                begin(store, name, parent=parent)
            with refused(Code.INVALID_OBJECT_PROP_VALUE):
                store.rename(find(store, "sub"), name)
    upload.commit()


def test_a_disk_in_the_storage_is_not_part_of_it(
    store: Catalogue, root: Path, mounted: Mount
) -> None:
    for name in ("before", "after", "own"):
        (root / name).mkdir()
    mounted(root / "before")
    at_rest(root)
    assert names(store) == ["after", "own"]


def test_a_disk_that_is_mounted_later_hides_the_folder(
    store: Catalogue, root: Path, mounted: Mount
) -> None:
    (root / "folder").mkdir()
    (root / "own").mkdir()
    handle = find(store, "folder")
    mounted(root / "folder")
    with refused(Code.INVALID_PARENT_OBJECT):
        store.children(FIRST, handle)
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.record(handle)
    with refused(Code.ACCESS_DENIED):
        store.make_folder(FIRST, 0, "folder", modified=None)
    assert names(store) == ["own"]


@pytest.mark.parametrize("parent", [99, 0xFFFFFFFF])
def test_no_such_folder(store: Catalogue, parent: int) -> None:
    with refused(Code.INVALID_PARENT_OBJECT):
        store.children(FIRST, parent)
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.entry(parent)


def test_a_file_is_no_parent(store: Catalogue) -> None:
    file = put(store, "file")
    with refused(Code.INVALID_PARENT_OBJECT):
        store.children(FIRST, file)
    with refused(Code.INVALID_PARENT_OBJECT):
        begin(store, "new", parent=file)


def test_a_folder_of_another_storage_is_no_parent(both: Catalogue) -> None:
    folder = both.make_folder(FIRST, 0, "folder", modified=None).handle
    with refused(Code.INVALID_PARENT_OBJECT):
        both.children(SECOND, folder)


def test_the_tree_has_folders_first(store: Catalogue, root: Path) -> None:
    (root / "b" / "c" / "d").mkdir(parents=True)
    (root / "a").touch()
    (root / "b" / "c" / "e").touch()
    seen = [store.entry(each) for each in store.tree(FIRST)]
    assert [entry.name for entry in seen] == ["a", "b", "c", "d", "e"]
    known = {0}
    for entry in seen:
        assert entry.parent in known
        known.add(entry.handle)


def deep(top: Path, depth: int, name: str) -> None:
    """Make folders in folders, deeper than a path can say."""
    fd = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("at the bottom", os.O_CREAT, dir_fd=fd))
    os.close(fd)


def test_three_hundred_levels(store: Catalogue, root: Path) -> None:
    deep(root, 300, "d")
    descriptors = open_descriptors()
    tree = store.tree(FIRST)
    assert len(tree) == 301
    bottom = tree[-1]
    assert store.entry(bottom).name == "at the bottom"
    assert store.record(bottom).size == 0
    assert content(store, bottom) == b""
    assert open_descriptors() - descriptors < 40
    copies = store.make_folder(FIRST, 0, "copies", modified=None).handle
    copied = store.copy(tree[150], FIRST, copies)
    assert len(store.tree(FIRST)) == 301 + 1 + 151
    store.rename(copied, "renamed")
    store.delete(copied)
    store.delete(tree[0])
    assert names(store) == ["copies"]
    assert open_descriptors() - descriptors < 40


def test_a_path_that_is_longer_than_the_kernel_says(store: Catalogue, root: Path) -> None:
    deep(root, 20, "d" * 250)
    tree = store.tree(FIRST)
    assert len(tree) == 21
    assert content(store, put(store, "new", b"1", parent=tree[-2])) == b"1"
    store.delete(tree[0])
    assert names(store) == []


@pytest.mark.parametrize(("mode", "shown"), [(0o700, False), (0o755, True)])
def test_the_place_for_repairs_of_an_ext_file_system(
    store: Catalogue, root: Path, mode: int, *, shown: bool
) -> None:
    place = root / "lost+found"
    place.mkdir()
    place.chmod(mode)
    (root / "found").mkdir()
    (root / "found").chmod(0o700)
    assert names(store) == ["found", *(["lost+found"] if shown else [])]
    assert len(store.tree(FIRST)) == (2 if shown else 1)


def test_an_unreadable_folder_is_as_if_empty_in_the_tree(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "bad" / "x").mkdir(parents=True)
    (root / "good" / "y").mkdir(parents=True)
    bad = find(store, "bad")
    inode = (root / "bad").stat().st_ino
    scandir = os.scandir

    def failing(fd: int) -> Any:
        if os.fstat(fd).st_ino == inode:
            raise PermissionError(errno.EACCES, "no")
        return scandir(fd)

    monkeypatch.setattr(os, "scandir", failing)
    assert [store.entry(each).name for each in store.tree(FIRST)] == ["bad", "good", "y"]
    with refused(Code.ACCESS_DENIED):
        store.children(FIRST, bad)
    store.entry(bad)
