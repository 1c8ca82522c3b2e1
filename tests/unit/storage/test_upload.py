# SPDX-License-Identifier: GPL-3.0-or-later
import errno
import os
import resource
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import MadeFolder
from appliance.storage import Catalogue, Folder, TrashPolicy, WriteSafety, directories, syscalls
from tests.unit.storage.ear import Ear
from tests.unit.storage.helpers import (
    FIRST,
    WORKPLACE,
    begin,
    content,
    find,
    leftovers,
    mount,
    names,
    open_descriptors,
    put,
    refused,
)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("parent", ["", "folder/below"])
def test_an_upload_is_invisible_until_whole(store: Catalogue, root: Path, parent: str) -> None:
    (root / "folder" / "below").mkdir(parents=True)
    folder = find(store, parent)
    upload = begin(store, "file", b"12345", parent=folder)
    assert "file" not in names(store, folder)
    assert not (root / parent / "file").exists()
    for ask in (store.entry, store.record, store.open, store.delete):
        with refused(Code.INVALID_OBJECT_HANDLE):
            ask(upload.handle)
    upload.commit()
    assert find(store, f"{parent}/file") == upload.handle
    assert store.entry(upload.handle).parent == folder
    assert (root / parent / "file").read_bytes() == b"12345"
    assert leftovers(root) == []


def test_an_upload_into_a_folder_that_was_never_listed(store: Catalogue, root: Path) -> None:
    (root / "there").touch()
    handle = put(store, "new")
    assert sorted(names(store)) == ["new", "there"]
    assert find(store, "new") == handle


def test_an_upload_is_discarded(store: Catalogue, root: Path) -> None:
    descriptors = open_descriptors()
    put(store, "file", b"as it was")
    upload = begin(store, "file", b"12345")
    upload.discard()
    upload.discard()
    assert (root / "file").read_bytes() == b"as it was"
    assert leftovers(root) == []
    assert open_descriptors() - descriptors < 4  # directories may stay open
    for act in (partial(upload.commit), partial(upload.write, memoryview(b"1"))):
        with refused(Code.INCOMPLETE_TRANSFER):
            act()


def test_a_discard_after_the_commit_is_harmless(store: Catalogue) -> None:
    upload = begin(store, "file", b"1")
    upload.commit()
    upload.discard()
    assert content(store, upload.handle) == b"1"
    with refused(Code.INCOMPLETE_TRANSFER):
        upload.commit()


def test_a_file_is_replaced_in_one_step(store: Catalogue, root: Path) -> None:
    old = put(store, "file", b"old")
    reading = store.open(old)
    upload = begin(store, "file", b"newer")
    assert upload.replaces
    assert (root / "file").read_bytes() == b"old"
    assert content(store, old) == b"old"
    upload.commit()
    assert names(store) == ["file"]
    assert content(store, upload.handle) == b"newer"
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.entry(old)
    buffer = bytearray(10)
    assert reading.read_into(memoryview(buffer)) == 3
    reading.close()


def test_a_new_file_replaces_nothing(store: Catalogue) -> None:
    assert not begin(store, "file").replaces


def test_a_folder_is_not_replaced(store: Catalogue, root: Path) -> None:
    (root / "folder").mkdir()
    with refused(Code.ACCESS_DENIED):
        begin(store, "folder")
    upload = begin(store, "late", b"1")
    (root / "late").mkdir()
    with refused(Code.ACCESS_DENIED):
        upload.commit()
    assert leftovers(root) == []


def test_a_protected_file_is_not_replaced(store: Catalogue, root: Path) -> None:
    (root / "file").touch(0o444)
    with refused(Code.OBJECT_WRITE_PROTECTED):
        begin(store, "file")


@pytest.mark.parametrize("trash", [TrashPolicy(), None])
@pytest.mark.parametrize("safety", WriteSafety)
def test_a_file_that_is_protected_since_is_not_replaced(
    root: Path, trash: TrashPolicy | None, safety: WriteSafety
) -> None:
    with Catalogue([Folder(root, "Card")], trash=trash, write_safety=safety) as store:
        handle = put(store, "file", b"as it was")
        upload = begin(store, "file", b"newer")
        fresh = begin(store, "new", b"1")
        put(store, "new", b"came between")
        for each in (handle, find(store, "new")):
            store.set_protected(each, protected=True)
        for late in (upload, fresh):
            with refused(Code.OBJECT_WRITE_PROTECTED):
                late.commit()
        assert content(store, handle) == b"as it was"
        assert content(store, find(store, "new")) == b"came between"
        assert not list(root.glob(f"{WORKPLACE}/*/*/*"))  # no note in the trash, either


@pytest.mark.parametrize("safety", WriteSafety)
@pytest.mark.parametrize("settles", [True, False])
def test_an_empty_file_that_was_not_sent_replaces_nothing(
    root: Path, safety: WriteSafety, settles: bool
) -> None:
    with Catalogue([Folder(root, "Card")], write_safety=safety) as store:
        announced, empty = begin(store, "file"), begin(store, "empty")
        handle = put(store, "file", b"came between")
        if settles:
            store.settle()
        with refused(Code.ACCESS_DENIED):
            announced.commit(over=False)
        empty.commit(over=False)
        assert content(store, handle) == b"came between"
        assert sorted(names(store)) == ["empty", "file"]
        store.settle()
        assert (root / "file").read_bytes() == b"came between"
        assert leftovers(root) == []


def test_an_empty_file_that_was_not_sent_replaces_nothing_on_its_way_to_the_disk(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Catalogue([Folder(root, "Card")], write_safety=WriteSafety.FAST) as store:
        announced = begin(store, "file")
        announced.commit(over=False)
        assert not (root / "file").exists()
        (root / "file").write_bytes(b"came between")
        store.settle()
        assert content(store, find(store, "file")) == b"came between"
        with refused(Code.INVALID_OBJECT_HANDLE):
            store.entry(announced.handle)


@pytest.mark.parametrize("modified", [1_000_000_000.25, 0.0, None])
def test_the_date_is_kept(store: Catalogue, modified: float | None) -> None:
    upload = store.receive(FIRST, 0, "file", size=1, modified=modified)
    upload.write(memoryview(b"1"))
    upload.commit()
    found = store.record(upload.handle).modified
    assert found == modified or (modified is None and found > 1_700_000_000)


@pytest.mark.parametrize("modified", [1e30, -1e30, float("nan"), float("inf")])
def test_a_date_that_cannot_be_kept_costs_no_file(store: Catalogue, modified: float) -> None:
    upload = store.receive(FIRST, 0, "file", size=0, modified=modified)
    upload.commit()
    store.make_folder(FIRST, 0, "folder", modified=modified)
    assert sorted(names(store)) == ["file", "folder"]


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_permissions_are_the_processes_own(
    store: Catalogue, root: Path, mask: int, file: int, folder: int
) -> None:
    with umask(mask):
        put(store, "file")
        store.make_folder(FIRST, 0, "folder", modified=None)
    assert stat.S_IMODE((root / "file").stat().st_mode) == file
    assert stat.S_IMODE((root / "folder").stat().st_mode) == folder
    assert stat.S_IMODE((root / WORKPLACE).stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0b", "\ud800", "x" * 256])
def test_a_name_that_is_none(store: Catalogue, root: Path, name: str) -> None:
    with refused(Code.INVALID_DATASET):
        begin(store, name)
    with refused(Code.INVALID_DATASET):
        store.make_folder(FIRST, 0, name, modified=None)
    assert list(root.iterdir()) == []


def test_there_is_no_space_for_it(store: Catalogue, root: Path) -> None:
    free = store.storage(FIRST).free
    with refused(Code.STORE_FULL):
        store.receive(FIRST, 0, "file", size=free + (1 << 40), modified=None)
    assert list(root.iterdir()) == []
    store.receive(FIRST, 0, "file", size=free // 2, modified=None).discard()
    store.receive(FIRST, 0, "file", size=None, modified=None).discard()


def test_nothing_is_reserved_by_writing(store: Catalogue, root: Path) -> None:
    upload = store.receive(FIRST, 0, "file", size=1 << 30, modified=None)
    (staged,) = (root / path for path in leftovers(root))
    assert (staged.stat().st_size, staged.stat().st_blocks) == (0, 0)
    upload.discard()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errno.ENOSPC, Code.STORE_FULL),
        (errno.EDQUOT, Code.STORE_FULL),
        (errno.EFBIG, Code.OBJECT_TOO_LARGE),
        (errno.EIO, Code.GENERAL_ERROR),
        (errno.EROFS, Code.STORE_READ_ONLY),
    ],
)
@pytest.mark.parametrize("call", ["write", "fdatasync", "rename"])
def test_a_fault_on_the_way_leaves_all_as_it_was(
    store: Catalogue,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    call: str,
    fault: int,
    code: Code,
) -> None:
    old = put(store, "file", b"as it was")
    upload = begin(store, "file", b"1234")

    def failing(*_: object, **__: object) -> int:
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with refused(code):
            upload.write(memoryview(b"5"))
            upload.commit()
    upload.discard()
    assert leftovers(root) == []
    assert (root / "file").read_bytes() == b"as it was"
    assert find(store, "file") == old
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.entry(upload.handle)


def test_a_disk_that_is_really_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = mount("-t", "tmpfs", "-o", "size=1m", "none", str(place))
    try:
        with Catalogue([Folder(place, "Small")]) as store:
            put(store, "file", b"as it was")
            if not mounted:
                _fill(monkeypatch)
            upload = store.receive(FIRST, 0, "file", size=None, modified=None)
            with refused(Code.STORE_FULL):
                for _ in range(32):
                    upload.write(memoryview(bytes(1 << 16)))
            upload.discard()
            assert leftovers(place) == []
            assert (place / "file").read_bytes() == b"as it was"
            free = store.storage(FIRST).free
            assert not mounted or 900_000 < free < 1 << 20
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)


def _fill(monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    left = 1 << 20

    def limited(fd: int, data: memoryview) -> int:
        nonlocal left
        if left < len(data):
            raise OSError(errno.ENOSPC, "full")
        left -= len(data)
        return write(fd, data)

    monkeypatch.setattr(os, "write", limited)


def test_a_file_that_is_too_large_for_the_file_system(store: Catalogue, root: Path) -> None:
    upload = begin(store, "file")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with refused(Code.OBJECT_TOO_LARGE):
            upload.write(memoryview(bytes(1 << 17)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert leftovers(root) == []


def test_short_writes_are_continued(store: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    upload = begin(store, "file")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
        upload.write(memoryview(b"0123456789"))
    upload.commit()
    assert content(store, upload.handle) == b"0123456789"


def test_content_is_on_the_disk_before_the_name_and_the_name_before_ok(
    store: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noting(name: str, original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            done.append(name)
            return original(*arguments, **named)

        return call

    upload = begin(store, "file", b"1")
    for call in ("fsync", "fdatasync", "rename", "utime"):
        monkeypatch.setattr(os, call, noting(call, getattr(os, call)))
    monkeypatch.setattr(syscalls, "rename_new", noting("rename", syscalls.rename_new))
    monkeypatch.setattr(directories, "sync", noting("sync folder", directories.sync))
    upload.commit()
    assert done == ["fdatasync", "rename", "sync folder", "fsync"]


def test_a_file_system_that_cannot_sync_a_folder(
    store: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def failing(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a folder")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", failing)
    handle = put(store, "file")
    store.rename(handle, "renamed")
    store.make_folder(FIRST, 0, "folder", modified=None)
    assert names(store)


def test_a_folder_whose_name_does_not_reach_the_disk(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step of all: the file is there, whole, but no OK is said."""
    upload = begin(store, "file", b"1")

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "bad sector")

    with monkeypatch.context() as patch:
        patch.setattr(directories, "sync", failing)
        with refused(Code.GENERAL_ERROR):
            upload.commit()
    assert (root / "file").read_bytes() == b"1"
    assert find(store, "file") == upload.handle
    assert leftovers(root) == []


def test_no_descriptor_is_lost_when_there_are_too_many(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store, "first").discard()
    before = open_descriptors()
    opener = os.open

    def failing(path: bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EMFILE, "too many")
        return opener(path, flags, mode, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing)
        with refused(Code.DEVICE_BUSY):
            begin(store, "second")
    assert open_descriptors() == before
    assert leftovers(root) == []


def test_the_folder_moves_while_the_file_comes(store: Catalogue, root: Path) -> None:
    folder = store.make_folder(FIRST, 0, "folder", modified=None).handle
    other = store.make_folder(FIRST, 0, "other", modified=None).handle
    upload = begin(store, "file", b"1", parent=folder)
    store.move(folder, FIRST, other)
    upload.commit()
    assert (root / "other" / "folder" / "file").exists()


@pytest.mark.parametrize("target", ["renamed", "other/renamed"])
@pytest.mark.parametrize("told", [False, True], ids=["just now", "before"])
@pytest.mark.parametrize("renew", [False, True])
@pytest.mark.parametrize("safety", WriteSafety)
def test_the_device_moves_the_folder_while_the_file_comes(
    root: Path, *, safety: WriteSafety, renew: bool, told: bool, target: str
) -> None:
    """Twice, and an older file of the name lies in it."""
    (root / "folder").mkdir()
    (root / "other").mkdir()
    (root / "folder" / "file").write_bytes(b"old")
    with Catalogue(
        [Folder(root, "Card")], watch=True, renew=renew, write_safety=safety, trash=TrashPolicy()
    ) as store:
        folder, _ = find(store, "folder"), find(store, "folder/file")
        assert names(store, find(store, "other")) == []
        ear = Ear(store, root)
        upload = begin(store, "file", b"new", parent=folder)
        (root / "folder").rename(root / "between")
        if told:
            ear.all()
        (root / "between").rename(root / target)
        if told:
            ear.all()
        upload.commit()
        store.settle()
        assert (root / target / "file").read_bytes() == b"new"
        assert content(store, find(store, f"{target}/file")) == b"new"
        assert names(store, find(store, target)) == ["file"]
        assert [item.path for item in store.trash_list()] == [f"{target}/file"]


@pytest.mark.parametrize("renew", [False, True])
def test_the_device_removes_the_folder_while_the_file_comes(root: Path, *, renew: bool) -> None:
    (root / "folder").mkdir()
    with Catalogue([Folder(root, "Card")], watch=True, renew=renew) as store:
        upload = begin(store, "file", b"1", parent=find(store, "folder"))
        (root / "folder").rename(root / "between")
        Ear(store, root).all()
        (root / "between").rmdir()
        with refused(Code.INVALID_PARENT_OBJECT):
            upload.commit()
        assert "between" not in names(store)
    assert leftovers(root) == []


def test_the_folder_is_deleted_while_the_file_comes(store: Catalogue, root: Path) -> None:
    folder = store.make_folder(FIRST, 0, "folder", modified=None).handle
    upload = begin(store, "file", b"1", parent=folder)
    store.delete(folder)
    store.make_folder(FIRST, 0, "folder", modified=None)
    with refused(Code.INVALID_PARENT_OBJECT):
        upload.commit()
    assert leftovers(root) == []


def test_two_uploads_of_one_name(store: Catalogue) -> None:
    first, second = begin(store, "file", b"first"), begin(store, "file", b"second")
    first.commit()
    second.commit()
    assert names(store) == ["file"]
    assert content(store, second.handle) == b"second"
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.entry(first.handle)


def test_a_folder_is_made(store: Catalogue, root: Path) -> None:
    made = store.make_folder(FIRST, 0, "folder", modified=1_000_000_000.0)
    assert made.is_new
    handle = made.handle
    assert store.record(handle).modified == 1_000_000_000.0
    below = store.make_folder(FIRST, handle, "below", modified=None).handle
    assert (root / "folder" / "below").is_dir()
    assert find(store, "folder/below") == below


def test_a_folder_that_is_there_is_found(store: Catalogue, root: Path) -> None:
    (root / "folder").mkdir()
    found = store.make_folder(FIRST, 0, "folder", modified=None)
    assert find(store, "folder") == found.handle
    again = store.make_folder(FIRST, 0, "folder", modified=None)
    assert again == MadeFolder(found.handle, is_new=False)


def test_no_folder_is_made_in_a_files_place(store: Catalogue, root: Path) -> None:
    (root / "file").write_text("1")
    with refused(Code.ACCESS_DENIED):
        store.make_folder(FIRST, 0, "file", modified=None)
    assert (root / "file").read_text() == "1"


def test_an_error_is_of_the_protocol(store: Catalogue) -> None:
    with pytest.raises(MtpError, match="no folder"):
        begin(store, "file", parent=77)
