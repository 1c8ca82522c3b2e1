# SPDX-License-Identifier: GPL-3.0-or-later
"""Records, lasting numbers and content of objects."""

import errno
import os
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.transaction import FileSource
from appliance.storage import Catalogue, Folder, syscalls
from appliance.storage.source import FileContent
from tests.unit.storage.helpers import (
    FIRST,
    begin,
    content,
    find,
    open_descriptors,
    put,
    refused,
)

BIG = 5 * 2**30 + 3


def test_a_file_as_it_is_now(store: Catalogue, root: Path) -> None:
    (root / "file").write_bytes(b"12345")
    os.utime(root / "file", (10, 1_000_000_000.5))
    handle = find(store, "file")
    record = store.record(handle)
    assert (record.handle, record.storage_id, record.parent) == (handle, FIRST, 0)
    assert (record.name, record.is_folder, record.size) == ("file", False, 5)
    assert (record.modified, record.created) == (1_000_000_000.5, 1_000_000_000.5)
    (root / "file").write_bytes(b"123456789")
    assert store.record(handle).size == 9
    assert store.record(handle).modified > 1_000_000_001


def test_a_folder_has_no_size(store: Catalogue, root: Path) -> None:
    (root / "folder").mkdir()
    record = store.record(find(store, "folder"))
    assert (record.is_folder, record.size) == (True, 0)


def test_a_file_from_the_future_was_not_created_there(store: Catalogue, root: Path) -> None:
    (root / "file").touch()
    os.utime(root / "file", (4e9, 4e9))
    record = store.record(find(store, "file"))
    assert record.modified == 4e9
    assert record.created == (root / "file").stat().st_ctime


@pytest.mark.parametrize(
    ("mode", "protected"), [(0o444, True), (0o000, True), (0o644, False), (0o424, False)]
)
def test_what_has_no_write_bit_is_protected(
    store: Catalogue, root: Path, mode: int, *, protected: bool
) -> None:
    (root / "file").touch(mode)
    (root / "folder").mkdir()
    for name in ("file", "folder"):
        (root / name).chmod(mode)
        assert store.record(find(store, name)).protected is protected


@pytest.mark.parametrize("become", ["nothing", "folder", "link", "pipe"])
def test_an_object_that_is_not_there_any_more(store: Catalogue, root: Path, become: str) -> None:
    for name in ("file", "other"):
        (root / name).write_text("content")
    handles = [find(store, name) for name in ("file", "other")]
    for name in ("file", "other"):
        (root / name).unlink()
        if become == "folder":
            (root / name).mkdir()
        elif become == "link":
            (root / name).symlink_to("/etc/passwd")
        elif become == "pipe":
            os.mkfifo(root / name)
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.record(handles[0])
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.open(handles[1])
    for handle in handles:
        with refused(Code.INVALID_OBJECT_HANDLE):
            store.entry(handle)


def test_a_folder_has_no_content(store: Catalogue) -> None:
    folder = store.make_folder(FIRST, 0, "folder", modified=None).handle
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.open(folder)
    store.entry(folder)


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 4, b"3456"),
        (8, 100, b"89"),
        (10, None, b""),
        (11, 5, b""),
        (2**63, 5, b""),
        (0, 0, b""),
    ],
)
def test_a_slice(store: Catalogue, offset: int, length: int | None, expected: bytes) -> None:
    handle = put(store, "file", b"0123456789")
    source = store.open(handle, offset, length)
    assert isinstance(source, FileSource)
    assert (source.length, source.offset) == (len(expected), offset)
    source.close()
    assert content(store, handle, offset, length) == expected


@pytest.mark.parametrize(("offset", "length"), [(0, BIG), (2**32 - 1, BIG - 2**32 + 1), (BIG, 0)])
def test_a_file_beyond_four_gigabytes(
    store: Catalogue, root: Path, offset: int, length: int
) -> None:
    with (root / "big").open("wb") as file:
        file.truncate(BIG)
    handle = find(store, "big")
    assert store.record(handle).size == BIG
    source = store.open(handle, offset)
    assert source.length == length
    source.close()


def test_a_source_reads_into_the_buffer_piece_by_piece(store: Catalogue) -> None:
    source = store.open(put(store, "file", b"0123456789"))
    buffer = bytearray(4)
    pieces = []
    while count := source.read_into(memoryview(buffer)):
        pieces.append(bytes(buffer[:count]))
    assert pieces == [b"0123", b"4567", b"89"]
    source.close()


def test_a_source_outlives_its_name_and_ends_early_when_cut(store: Catalogue, root: Path) -> None:
    handle = put(store, "file", b"0123456789")
    source = store.open(handle)
    os.truncate(root / "file", 4)
    store.delete(handle)
    buffer = memoryview(bytearray(20))
    assert (source.read_into(buffer), source.read_into(buffer)) == (4, 0)
    source.close()


def test_a_source_is_closed_once(store: Catalogue) -> None:
    handle = put(store, "file", b"1")
    before = open_descriptors()
    source = store.open(handle)
    assert open_descriptors() == before + 1
    other = os.dup(source.fileno())
    source.close()
    source.close()
    assert open_descriptors() == before + 1
    os.close(other)


def test_a_failing_disk_is_told(store: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    source = store.open(put(store, "file", b"1"))

    def failing(*_: object) -> int:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(os, "preadv", failing)
    with refused(Code.GENERAL_ERROR):
        source.read_into(memoryview(bytearray(1)))
    source.close()


def test_a_file_system_that_takes_no_advice(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no advice")

    monkeypatch.setattr(os, "posix_fadvise", failing)
    (root / "file").touch()
    FileContent(os.open(root / "file", os.O_RDONLY), 1 << 20, 0, None).close()


def test_too_many_open_files(store: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = put(store, "file", b"1")

    def failing(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, "too many")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing)
        with refused(Code.DEVICE_BUSY):
            store.open(handle)
    assert content(store, handle) == b"1"


def test_a_lasting_number(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "one").touch()
    (root / "a" / "two").touch()
    paths = ["a", "a/one", "a/two"]
    with Catalogue([Folder(root, "Card")]) as store:
        handles = [find(store, path) for path in paths]
        numbers = [store.unique_id(handle) for handle in handles]
        store.rename(handles[1], "renamed")
        store.move(handles[1], FIRST, 0)
        assert [store.unique_id(handle) for handle in handles] == numbers
    assert len(set(numbers)) == 3
    assert all(0 < number < 2**128 for number in numbers)
    with Catalogue([Folder(root / "a", "Other name")]) as store:
        assert store.unique_id(find(store, "two")) == numbers[2]


def test_a_lasting_number_is_not_inherited(store: Catalogue, root: Path) -> None:
    """With an inode: file systems give it to the next file, with another generation."""
    numbers = set()
    for _ in range(5):
        (root / "file").touch()
        numbers.add(store.unique_id(find(store, "file")))
        (root / "file").unlink()
    assert len(numbers) == 5


def test_a_lasting_number_where_the_file_system_has_no_handles(
    store: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, "file_handle", lambda *_: None)
    one, two = put(store, "one"), put(store, "two")
    assert store.unique_id(one) == store.unique_id(one)
    assert store.unique_id(one) != store.unique_id(two)


def test_the_kernel_says_what_is_missing(root: Path) -> None:
    fd = os.open(root, os.O_RDONLY)
    with pytest.raises(FileNotFoundError):
        syscalls.file_handle(fd, b"missing")
    with pytest.raises(FileNotFoundError):
        syscalls.rename_new(fd, b"missing", fd, b"other")
    os.close(fd)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_rename_over_nothing_where_the_kernel_has_no_such_call(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(syscalls, "_renameat2", lambda *_: number)
    for name in "ab":
        (root / name).write_text(name)
    fd = os.open(root, os.O_RDONLY)
    with pytest.raises(FileExistsError):
        syscalls.rename_new(fd, b"a", fd, b"b")
    assert (root / "b").read_text() == "b"
    syscalls.rename_new(fd, b"a", fd, b"c")
    assert (root / "c").read_text() == "a"
    os.close(fd)


def test_uploads_have_their_content(store: Catalogue) -> None:
    upload = begin(store, "file", b"abc")
    upload.write(memoryview(b"def"))
    upload.commit()
    assert content(store, upload.handle) == b"abcdef"
