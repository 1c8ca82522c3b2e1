# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing outside a storage's root is read, listed or changed, whatever happens on the device."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.errors import MtpError
from appliance.storage import Catalogue, Folder
from appliance.storage.directories import Directories
from tests.unit.storage.helpers import (
    FIRST,
    WORKPLACE,
    begin,
    content,
    find,
    leftovers,
    mount,
    names,
    put,
    refused,
)

Attempt = Callable[[Catalogue, int, int], object]

#: What a PC can do with a folder and a file in it, and what it is told when the folder is gone.
ATTEMPTS: dict[str, tuple[Code, Attempt]] = {
    "list": (Code.INVALID_PARENT_OBJECT, lambda s, folder, _: s.children(FIRST, folder)),
    "describe": (Code.INVALID_OBJECT_HANDLE, lambda s, _, file: s.record(file)),
    "identify": (Code.INVALID_OBJECT_HANDLE, lambda s, _, file: s.unique_id(file)),
    "read": (Code.INVALID_OBJECT_HANDLE, lambda s, _, file: s.open(file)),
    "upload": (Code.INVALID_PARENT_OBJECT, lambda s, folder, _: begin(s, "x", parent=folder)),
    "replace": (
        Code.INVALID_PARENT_OBJECT,
        lambda s, folder, _: begin(s, "secret.txt", parent=folder),
    ),
    "make": (
        Code.INVALID_PARENT_OBJECT,
        lambda s, folder, _: s.make_folder(FIRST, folder, "x", modified=None),
    ),
    "find": (
        Code.INVALID_PARENT_OBJECT,
        lambda s, folder, _: s.make_folder(FIRST, folder, "inner", modified=None),
    ),
    "delete": (Code.INVALID_OBJECT_HANDLE, lambda s, _, file: s.delete(file)),
    "rename": (Code.INVALID_OBJECT_HANDLE, lambda s, _, file: s.rename(file, "x")),
    "move away": (Code.INVALID_OBJECT_HANDLE, lambda s, _, file: s.move(file, FIRST, 0)),
    "copy away": (Code.INVALID_OBJECT_HANDLE, lambda s, _, file: s.copy(file, FIRST, 0)),
    "move there": (
        Code.INVALID_PARENT_OBJECT,
        lambda s, folder, _: s.move(find(s, "own"), FIRST, folder),
    ),
    "copy there": (
        Code.INVALID_PARENT_OBJECT,
        lambda s, folder, _: s.copy(find(s, "own"), FIRST, folder),
    ),
}


@pytest.fixture(params=["link", "link above", "moved out"])
def swap(request: pytest.FixtureRequest, root: Path, canary: Path) -> Callable[[], None]:
    """Put a link to the canary in a folder's place, or move the canary's twin out."""

    def by_link() -> None:
        (root / "top" / "folder").rename(root / "top" / "was folder")
        (root / "top" / "folder").symlink_to(canary)

    def by_link_above() -> None:
        (root / "top").rename(root / "was top")
        (root.parent / "decoy").mkdir()
        (root.parent / "decoy" / "folder").symlink_to(canary)
        (root / "top").symlink_to(root.parent / "decoy")

    def out() -> None:
        (root / "top" / "folder").rename(root.parent / "moved out")

    return {"link": by_link, "link above": by_link_above, "moved out": out}[request.param]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_folder_that_is_replaced_or_moved_out_is_gone(
    store: Catalogue, root: Path, swap: Callable[[], None], attempt: str
) -> None:
    folder = root / "top" / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "secret.txt").write_text("not secret")
    (root / "own").touch()
    handle, file = find(store, "top/folder"), find(store, "top/folder/secret.txt")
    store.record(file)
    code, act = ATTEMPTS[attempt]
    swap()
    outside = {
        path: path.lstat().st_mtime_ns
        for path in root.parent.rglob("*")
        if not path.is_relative_to(root)
    }
    with refused(code):
        act(store, handle, file)
    assert {path: path.lstat().st_mtime_ns for path in outside} == outside
    assert leftovers(root) == []


@pytest.mark.parametrize("attempt", ["describe", "read", "delete", "rename", "copy away"])
def test_a_file_that_became_a_link(
    store: Catalogue, root: Path, canary: Path, attempt: str
) -> None:
    (root / "file").touch()
    handle = find(store, "file")
    (root / "file").unlink()
    (root / "file").symlink_to(canary / "secret.txt")
    with refused(Code.INVALID_OBJECT_HANDLE):
        ATTEMPTS[attempt][1](store, 0, handle)
    assert (root / "file").is_symlink()


def test_a_link_is_neither_replaced_nor_taken_for_a_folder(
    store: Catalogue, root: Path, canary: Path
) -> None:
    (root / "link").symlink_to(canary)
    (root / "to file").symlink_to(canary / "secret.txt")
    for name in ("link", "to file"):
        with refused(Code.ACCESS_DENIED):
            begin(store, name)
        with refused(Code.ACCESS_DENIED):
            store.make_folder(FIRST, 0, name, modified=None)
        with refused(Code.INVALID_OBJECT_PROP_VALUE):
            store.rename(put(store, "own"), name)


def test_links_in_a_folder_are_deleted_and_not_followed(
    store: Catalogue, root: Path, canary: Path
) -> None:
    (root / "folder" / "below").mkdir(parents=True)
    for place in ("link", "below/link"):
        (root / "folder" / place).symlink_to(canary)
    store.delete(find(store, "folder"))
    assert not (root / "folder").exists()


def test_links_in_a_folder_are_not_copied(store: Catalogue, root: Path, canary: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "link").symlink_to(canary)
    (root / "folder" / "file link").symlink_to(canary / "secret.txt")
    os.mkfifo(root / "folder" / "pipe")
    (root / "folder" / "file").touch()
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    store.copy(find(store, "folder"), FIRST, target)
    assert [path.name for path in (root / "target" / "folder").iterdir()] == ["file"]


def test_a_folder_that_is_moved_within_the_storage_is_gone_and_new(
    store: Catalogue, root: Path
) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").write_text("1")
    file = find(store, "folder/file")
    assert content(store, file) == b"1"
    (root / "folder").rename(root / "renamed")
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.open(file)
    assert content(store, find(store, "renamed/file")) == b"1"


def test_a_folder_that_is_replaced_by_another_one(store: Catalogue, root: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").write_text("old")
    file = find(store, "folder/file")
    assert content(store, file) == b"old"
    (root / "folder").rename(root.parent / "was folder")
    (root / "folder").mkdir()
    (root / "folder" / "file").write_text("new")
    assert content(store, file) == b"new"


def test_an_upload_into_a_folder_that_goes_meanwhile(
    store: Catalogue, root: Path, swap: Callable[[], None]
) -> None:
    (root / "top" / "folder").mkdir(parents=True)
    upload = begin(store, "secret.txt", b"overwritten", parent=find(store, "top/folder"))
    swap()
    with refused(Code.INVALID_PARENT_OBJECT):
        upload.commit()
    assert leftovers(root) == []
    assert not list(root.parent.glob("moved out/*"))


def test_a_workplace_that_is_a_link_is_not_used(store: Catalogue, root: Path, canary: Path) -> None:
    (root / WORKPLACE).symlink_to(canary)
    with refused(Code.ACCESS_DENIED):
        begin(store, "file")
    store.close()


def test_a_workplace_that_is_moved_out_is_made_anew(store: Catalogue, root: Path) -> None:
    put(store, "first")
    (root / WORKPLACE).rename(root.parent / "moved out")
    before = sorted(root.parent.joinpath("moved out").rglob("*"))
    upload = begin(store, "second", b"2")
    assert len(leftovers(root)) == 1
    assert sorted(root.parent.joinpath("moved out").rglob("*")) == before
    upload.commit()
    assert sorted(names(store)) == ["first", "second"]


@pytest.mark.parametrize("put_there", ["nothing", "link", "file"])
def test_a_root_that_goes_and_comes_back(
    store: Catalogue, root: Path, canary: Path, put_there: str
) -> None:
    file = put(store, "file", b"1")
    away = root.parent / "away"
    root.rename(away)
    if put_there == "link":
        root.symlink_to(canary)
    elif put_there == "file":
        root.touch()
    for ask in (
        lambda: store.storage(FIRST),
        lambda: store.children(FIRST, 0),
        lambda: store.tree(FIRST),
        lambda: store.record(file),
        lambda: store.open(file),
        lambda: begin(store, "new"),
        lambda: store.make_folder(FIRST, 0, "new", modified=None),
        lambda: store.delete(file),
        lambda: store.rename(file, "new"),
    ):
        with refused(Code.STORE_NOT_AVAILABLE):
            ask()
    if put_there != "nothing":
        root.unlink()
    away.rename(root)
    assert store.storage(FIRST).name == "Card"
    assert content(store, file) == b"1"
    assert store.children(FIRST, 0).count(file) == 1
    put(store, "new")


def test_a_link_above_the_root_is_not_followed(tmp_path: Path, canary: Path) -> None:
    place = tmp_path / "above" / "inner"
    place.mkdir(parents=True)
    store = Catalogue([Folder(place, "Card")])
    (tmp_path / "above").rename(tmp_path / "was above")
    (tmp_path / "above").symlink_to(canary)
    for ask in (lambda: store.children(FIRST, 0), lambda: begin(store, "file")):
        with refused(Code.STORE_NOT_AVAILABLE):
            ask()
    store.close()


def test_an_edit_of_a_file_that_is_moved_out(store: Catalogue, root: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").write_bytes(b"old")
    edit = store.edit(find(store, "folder/file"))
    edit.write(0, memoryview(b"O"))
    (root / "folder").rename(root.parent / "moved out")
    with refused(Code.INVALID_OBJECT_HANDLE):
        edit.write(0, memoryview(b"new"))
    with refused(Code.INVALID_OBJECT_HANDLE):
        edit.truncate(0)
    with refused(Code.INVALID_OBJECT_HANDLE):
        edit.commit()
    assert (root.parent / "moved out" / "file").read_bytes() == b"Old"


@pytest.mark.parametrize("attempt", ["upload", "delete", "copy away"])
def test_what_is_on_a_disk_mounted_in_the_storage_is_left_alone(
    store: Catalogue, root: Path, attempt: str
) -> None:
    """A disk in a folder, or over our own workplace."""
    file = put(store, "folder file")
    folder = store.make_folder(FIRST, 0, "folder", modified=None).handle
    for place in (root / "folder", root / WORKPLACE):
        place.mkdir(exist_ok=True)
        if not mount("-t", "tmpfs", "none", str(place)):
            pytest.skip("mounts need root: sudo make test")
    try:
        with pytest.raises(MtpError):
            ATTEMPTS[attempt][1](store, folder, file if attempt == "copy away" else folder)
        assert not list((root / "folder").iterdir())
        assert not list((root / WORKPLACE).iterdir())
    finally:
        for place in (root / "folder", root / WORKPLACE):
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_an_upload_while_the_root_goes(store: Catalogue, root: Path) -> None:
    upload = begin(store, "file", b"1")
    root.rename(root.parent / "away")
    with refused(Code.STORE_NOT_AVAILABLE):
        upload.commit()
    assert not list((root.parent / "away").rglob("file"))
    assert leftovers(root.parent / "away") == []


def test_a_root_whose_disk_is_unmounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    (place / "what the disk hides").touch()
    mounted = mount("-t", "tmpfs", "none", str(place))
    if not mounted:
        monkeypatch.setattr(Directories, "_device_above", lambda _: -1)
    store = Catalogue([Folder(place, "Disk")])
    put(store, "file")
    assert "what the disk hides" not in names(store) or not mounted
    if mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
    else:
        monkeypatch.setattr(Directories, "_device_above", lambda _: tmp_path.stat().st_dev)
        place.rename(tmp_path / "away")
        place.mkdir()
    with refused(Code.STORE_NOT_AVAILABLE):
        store.children(FIRST, 0)
    with refused(Code.STORE_NOT_AVAILABLE):
        begin(store, "new")
    if mounted and mount("-t", "tmpfs", "none", str(place)):
        assert names(store) == []
        subprocess.run(["umount", "--lazy", str(place)], check=True)
    store.close()
