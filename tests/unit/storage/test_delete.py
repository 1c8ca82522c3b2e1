# SPDX-License-Identifier: GPL-3.0-or-later
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.storage import Catalogue
from tests.unit.storage.conftest import Mount
from tests.unit.storage.helpers import FIRST, find, names, put, refused


@pytest.fixture
def tree(root: Path) -> Path:
    """A folder with files on three levels."""
    folder = root / "tree"
    for place in ("", "a", "a/b", "c"):
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / "file").touch()
    return folder


def gone(store: Catalogue, *handles: int) -> bool:
    for handle in handles:
        with refused(Code.INVALID_OBJECT_HANDLE):
            store.entry(handle)
    return True


def test_a_file_is_deleted(store: Catalogue, root: Path) -> None:
    handle = put(store, "file")
    store.delete(handle)
    assert gone(store, handle)
    assert not (root / "file").exists()
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.delete(handle)


def test_a_folder_is_deleted_with_all_in_it(store: Catalogue, tree: Path) -> None:
    (tree / "a" / ".hidden").touch()
    os.mkfifo(tree / "a" / "pipe")
    (tree / "a" / "b" / "link").symlink_to("nowhere")
    (tree / ".hidden").mkdir()
    handles = [find(store, path) for path in ("tree", "tree/a", "tree/a/b/file")]
    store.delete(handles[0])
    assert not tree.exists()
    assert gone(store, *handles)
    assert names(store) == []


def test_what_went_on_the_device_is_gone(store: Catalogue, tree: Path) -> None:
    handle = find(store, "tree/file")
    (tree / "file").unlink()
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.delete(handle)
    assert "file" not in names(store, find(store, "tree"))


@pytest.mark.parametrize("name", ["tree", "tree/file"])
def test_what_is_protected_stays(store: Catalogue, tree: Path, name: str) -> None:
    handle = find(store, name)
    (tree.parent / name).chmod(0o444 if name.endswith("file") else 0o555)
    with refused(Code.OBJECT_WRITE_PROTECTED):
        store.delete(handle)
    assert (tree.parent / name).exists()
    store.record(handle)


def test_what_is_protected_in_a_folder_stays_and_the_rest_goes(
    store: Catalogue, tree: Path
) -> None:
    for path in ("tree", "tree/a", "tree/a/b", "tree/c"):
        store.children(FIRST, find(store, path))
    handles = {path: find(store, path) for path in ("tree", "tree/a", "tree/a/file", "tree/c")}
    inner = find(store, "tree/c/file")
    (tree / "a" / "file").chmod(0o444)
    with refused(Code.PARTIAL_DELETION):
        store.delete(handles["tree"])
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*")) == ["a", "a/file"]
    assert gone(store, handles.pop("tree/c"), inner)
    for path, handle in handles.items():
        assert find(store, path) == handle


def test_a_protected_folder_keeps_what_is_in_it(store: Catalogue, tree: Path) -> None:
    (tree / "a" / "b").chmod(0o555)
    with refused(Code.PARTIAL_DELETION):
        store.delete(find(store, "tree"))
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*")) == [
        "a",
        "a/b",
        "a/b/file",
    ]


def test_a_folder_that_goes_meanwhile_is_as_good_as_deleted(
    store: Catalogue, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = find(store, "tree")
    unlink = os.unlink

    def first(name: bytes, *, dir_fd: int) -> None:
        unlink(name, dir_fd=dir_fd)
        if (tree / "a").exists():
            (tree / "a").rename(tree.parent / "was a")

    monkeypatch.setattr(os, "unlink", first)
    store.delete(handle)
    assert not tree.exists()
    assert (tree.parent / "was a" / "file").exists()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errno.EACCES, Code.OBJECT_WRITE_PROTECTED),
        (errno.EPERM, Code.OBJECT_WRITE_PROTECTED),
        (errno.EBUSY, Code.ACCESS_DENIED),
        (errno.EIO, Code.GENERAL_ERROR),
        (errno.EROFS, Code.STORE_READ_ONLY),
    ],
)
@pytest.mark.parametrize("name", ["tree/file", "tree/c"])
def test_where_nothing_could_be_removed_the_reason_is_told(
    store: Catalogue,
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    fault: int,
    code: Code,
) -> None:
    handle = find(store, name)

    def failing(*_: object, **__: object) -> None:
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", failing)
        patch.setattr(os, "rmdir", failing)
        with refused(code):
            store.delete(handle)
    assert (tree.parent / name).exists()
    assert find(store, name) == handle


def test_what_comes_into_the_folder_meanwhile_stays(
    store: Catalogue, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = find(store, "tree")
    rmdir = os.rmdir

    def late(name: bytes, *, dir_fd: int) -> None:
        if name == b"tree":
            (tree / "new").touch()
        rmdir(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", late)
    with refused(Code.PARTIAL_DELETION):
        store.delete(handle)
    assert names(store, handle) == ["new"]


def test_what_goes_meanwhile_is_as_good_as_deleted(
    store: Catalogue, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = find(store, "tree")
    unlink = os.unlink

    def first(name: bytes, *, dir_fd: int) -> None:
        unlink(name, dir_fd=dir_fd)
        raise FileNotFoundError(errno.ENOENT, "gone")

    monkeypatch.setattr(os, "unlink", first)
    store.delete(handle)
    assert not tree.exists()


def test_a_mounted_disk_is_not_emptied(store: Catalogue, tree: Path, mounted: Mount) -> None:
    (tree / "a" / "b" / "file").unlink()
    handle = find(store, "tree")
    mounted(tree / "a" / "b")
    (tree / "a" / "b" / "on the disk").touch()
    with refused(Code.PARTIAL_DELETION):
        store.delete(handle)
    assert (tree / "a" / "b" / "on the disk").exists()


def test_a_folder_swapped_for_a_link_in_the_middle(
    store: Catalogue, tree: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the listing says that it is a folder, and before it is opened."""
    handle = find(store, "tree")
    scandir = os.scandir
    inode = tree.stat().st_ino

    class Swapping:
        def __init__(self, fd: int) -> None:
            self._fd = fd
            self._entries = scandir(fd)

        def __enter__(self) -> Any:
            return self._entries

        def __exit__(self, *_: object) -> None:
            self._entries.close()
            if os.fstat(self._fd).st_ino == inode and not (tree / "a").is_symlink():
                (tree / "a").rename(tree.parent / "was a")
                (tree / "a").symlink_to(canary)

    monkeypatch.setattr(os, "scandir", Swapping)
    with refused(Code.PARTIAL_DELETION):
        store.delete(handle)
    assert (tree.parent / "was a" / "file").exists()
