# SPDX-License-Identifier: GPL-3.0-or-later
"""What does not fit is refused before it comes, and what the trash would give back is given."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.storage import Catalogue, Folder, TrashPolicy, syscalls, trees
from appliance.storage.write_safety import WriteSafety
from tests.unit.storage.helpers import (
    FIRST,
    SECOND,
    WORKPLACE,
    begin,
    find,
    leftovers,
    names,
    put,
    refused,
)

GIB = 1 << 30


@pytest.fixture
def keeping(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """A disk with a lot of space, and something in its trash."""
    _claim_space(root, monkeypatch)
    with Catalogue([Folder(root, "Card")], trash=TrashPolicy()) as store:
        store.delete(put(store, "old", b"1"))
        yield store


def _claim_space(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = list(os.statvfs(root))
    space[:5] = [4096, 4096, 1 << 26, 1 << 25, 1 << 25]
    monkeypatch.setattr(os, "fstatvfs", lambda _: os.statvfs_result(space))


# Files that are too large for their file system


@pytest.fixture
def fat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file end where FAT's do: the kernel says so as soon as somebody goes there."""
    seek = os.lseek

    def ending(fd: int, position: int, how: int) -> int:
        if position >= 4 * GIB:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return seek(fd, position, how)

    monkeypatch.setattr(os, "lseek", ending)


@pytest.mark.usefixtures("fat")
def test_a_file_that_is_too_large_is_refused_before_it_comes(
    keeping: Catalogue, root: Path
) -> None:
    for size in (4 * GIB, 1 << 36):
        with refused(Code.OBJECT_TOO_LARGE):
            keeping.receive(FIRST, 0, "large", size=size, modified=None)
    assert [each for each in leftovers(root) if "/trash/" not in f"/{each}"] == []
    assert [each.name for each in keeping.trash_list()] == ["old"]
    keeping.receive(FIRST, 0, "large", size=4 * GIB - 1, modified=None).discard()


@pytest.mark.usefixtures("fat")
@pytest.mark.parametrize("act", ["copy", "move"])
def test_a_file_that_is_too_large_is_not_copied_in_part(
    far: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    _claim_space(root, monkeypatch)
    (root / "folder").mkdir()
    (root / "folder" / "small").touch()
    with (root / "folder" / "large").open("wb") as file:
        file.truncate(4 * GIB)
    monkeypatch.setattr(trees, "copy", None)  # it is not even tried
    with refused(Code.OBJECT_TOO_LARGE):
        getattr(far, act)(find(far, "folder"), SECOND, 0)
    assert names(far, storage=SECOND) == []
    assert names(far) == ["folder"]


# What the trash gives back


class FullDisk:
    """Nothing new can be made on it, not even a name, as long as something is in the trash."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._mkdir, self._open, self._rename = os.mkdir, os.open, os.rename
        self._at_once = syscalls._renameat2

    def _require_room(self, directory: int | None, name: Any) -> None:
        place = Path(f"/proc/self/fd/{directory}").readlink() if directory is not None else None
        if place is None or not place.is_relative_to(self._root) or place.name == "expunged":
            return
        kept = self._root / WORKPLACE / "trash" / "files"
        if any(kept.iterdir()) and not (place / os.fsdecode(name)).exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def mkdir(self, name: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._require_room(dir_fd, name)
        self._mkdir(name, mode, dir_fd=dir_fd)

    def open(self, name: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            self._require_room(dir_fd, name)
        return self._open(name, flags, mode, dir_fd=dir_fd)

    def rename(self, source: bytes, target: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        self._require_room(dst_dir_fd, target)
        self._rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def at_once(self, source_fd: int, source: bytes, fd: int, name: bytes, *flag: int) -> int:
        try:
            self._require_room(fd, name)
        except OSError as error:
            return error.errno or 0
        return self._at_once(source_fd, source, fd, name, *flag)


@pytest.fixture
def full(keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    disk = FullDisk(root)
    for name in ("mkdir", "open", "rename"):
        monkeypatch.setattr(os, name, getattr(disk, name))
    monkeypatch.setattr(syscalls, "_renameat2", disk.at_once)
    return keeping


def fill_trash(store: Catalogue, root: Path) -> None:
    """Put something into the trash, by the way of another program."""
    (root / WORKPLACE / "trash" / "files" / "older").write_bytes(b"1")
    assert "older" in [each.name for each in store.trash_list()]


def test_a_folder_is_made(full: Catalogue) -> None:
    made = full.make_folder(FIRST, 0, "folder", modified=None)
    assert made.is_new
    assert names(full) == ["folder"]
    assert full.trash_list() == []


@pytest.mark.parametrize("safety", WriteSafety)
@pytest.mark.parametrize("data", [b"", b"1"])
@pytest.mark.parametrize("when", ["announced", "named"])
def test_a_file_comes(
    full: Catalogue, root: Path, safety: WriteSafety, data: bytes, when: str
) -> None:
    full.set_write_safety(safety)
    if when == "named":
        full.trash_empty()
    upload = begin(full, "file", data)
    if when == "named":
        fill_trash(full, root)
    upload.commit()
    full.settle()
    assert (root / "file").read_bytes() == data
    assert names(full) == ["file"]
    assert full.trash_list() == []


def test_a_large_file_comes(full: Catalogue) -> None:
    full.receive(FIRST, 0, "film", size=3 * GIB, modified=None).discard()
    assert full.trash_list() == []


@pytest.mark.parametrize("name", ["Müller", "one, two", "Con"])
def test_a_name_is_copied_that_not_every_disk_can_hold(
    full: Catalogue, root: Path, name: str
) -> None:
    (root / name).write_bytes(b"1")
    (root / "folder").mkdir()
    full.copy(find(full, name), FIRST, find(full, "folder"))
    assert names(full, find(full, "folder")) == [name]
    assert full.trash_list() == []


def test_a_file_is_replaced(full: Catalogue, root: Path) -> None:
    (root / "file").write_bytes(b"as it was")
    begin(full, "file", b"1").commit()
    assert (root / "file").read_bytes() == b"1"
    assert [each.path for each in full.trash_list()] == ["file"]
    assert len(list((root / WORKPLACE / "trash" / "info").iterdir())) == 1


ACTS: dict[str, tuple[Callable[[Catalogue, int, int], object], set[str]]] = {
    "rename": (lambda store, file, _: store.rename(file, "longer"), {"folder", "longer"}),
    "move": (
        lambda store, file, folder: store.move(file, FIRST, folder),
        {"folder", "folder/file"},
    ),
    "copy": (
        lambda store, file, folder: store.copy(file, FIRST, folder),
        {"file", "folder", "folder/file"},
    ),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_object_goes_elsewhere(full: Catalogue, root: Path, act: str) -> None:
    (root / "file").write_bytes(b"1")
    (root / "folder").mkdir()
    do, after = ACTS[act]
    do(full, find(full, "file"), find(full, "folder"))
    paths = {str(each.relative_to(root)) for each in root.rglob("*") if WORKPLACE not in each.parts}
    assert paths == after
    assert full.trash_list() == []


def test_an_object_leaves_a_full_disk(
    full: Catalogue, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "second").mkdir()
    stick = full.add_storage(Folder(tmp_path / "second", "Stick"))
    at_once = syscalls._renameat2

    def crossing(source_fd: int, source: bytes, fd: int, name: bytes, *flag: int) -> int:
        places = [Path(f"/proc/self/fd/{each}").readlink() for each in (source_fd, fd)]
        far = len({each.is_relative_to(root) for each in places}) == 2
        return errno.EXDEV if far else at_once(source_fd, source, fd, name, *flag)

    monkeypatch.setattr(syscalls, "_renameat2", crossing)
    for each in root.glob(f"{WORKPLACE}/*-*"):
        each.rmdir()  # to be made anew
    (root / "file").write_bytes(b"1")
    full.move(find(full, "file"), stick, 0)
    assert names(full) == []
    assert (tmp_path / "second" / "file").read_bytes() == b"1"
