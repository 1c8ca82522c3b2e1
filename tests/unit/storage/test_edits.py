# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits in place whose file is deleted, replaced or moved meanwhile."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.ports import ChangeKind
from appliance.storage import Catalogue, Folder, TrashPolicy, trees
from tests.unit.storage.ear import Ear
from tests.unit.storage.helpers import (
    FIRST,
    SECOND,
    WORKPLACE,
    content,
    find,
    leftovers,
    names,
    put,
    refused,
)


@pytest.fixture(params=[True, False], ids=["watched", "not watched"])
def store(root: Path, request: pytest.FixtureRequest) -> Iterator[Catalogue]:
    (root / "folder").mkdir()
    (root / "file").write_bytes(b"as it was")
    folders, watch = [Folder(root, "Card")], request.param
    with Catalogue(folders, watch=watch, renew=watch, trash=TrashPolicy()) as catalogue:
        catalogue.children(FIRST, 0)
        catalogue.children(FIRST, find(catalogue, "folder"))
        yield catalogue


def contents(root: Path) -> dict[str, bytes]:
    """All files that a person can find, those in the trash too."""
    found = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".trashinfo")
    return {
        str(path.relative_to(root)): path.read_bytes() for path in found if path.name != "days.json"
    }


def write_beside_and_rename_over(store: Catalogue, root: Path) -> None:
    (root / "draft").write_bytes(b"saved")
    (root / "draft").rename(root / "file")


def keep_a_link_and_rename_over(store: Catalogue, root: Path) -> None:
    (root / "file~").hardlink_to(root / "file")
    write_beside_and_rename_over(store, root)


def move_aside_and_write_anew(store: Catalogue, root: Path) -> None:
    """Move it where nobody has looked, as editors with a folder for backups do."""
    (root / "folder" / "backups").mkdir()
    (root / "file").rename(root / "folder" / "backups" / "file")
    (root / "file").write_bytes(b"saved")


def remove_and_write_anew(store: Catalogue, root: Path) -> None:
    (root / "file").unlink()
    (root / "file").write_bytes(b"saved")


def make_a_link_of_it(store: Catalogue, root: Path) -> None:
    (root / "file").rename(root.parent / "file")
    (root / "file").symlink_to(root.parent / "file")


VOID: dict[str, Callable[[Catalogue, Path], object]] = {
    "deleted": lambda store, root: store.delete(find(store, "file")),
    "replaced": lambda store, root: put(store, "file", b"newer"),
    "removed on the device": lambda store, root: (root / "file").unlink(),
    "saved by renaming": write_beside_and_rename_over,
    "saved with a link kept": keep_a_link_and_rename_over,
    "saved with a backup elsewhere": move_aside_and_write_anew,
    "saved anew": remove_and_write_anew,
    "moved out": lambda store, root: (root / "file").rename(root.parent / "file"),
    "became a link": make_a_link_of_it,
}


@pytest.mark.parametrize("way", VOID)
@pytest.mark.parametrize("used", [True, False])
def test_nothing_is_written_once_the_file_is_another_ones(
    store: Catalogue, root: Path, way: str, used: bool
) -> None:
    edit = store.edit(find(store, "file"))
    if used:
        edit.write(0, memoryview(b"AS"))
    assert edit.holds()
    VOID[way](store, root)
    before = contents(root)
    with refused(Code.INVALID_OBJECT_HANDLE):
        edit.write(1, memoryview(b"lost"))
    with refused(Code.INVALID_OBJECT_HANDLE):
        edit.truncate(0)
    assert not edit.holds()
    if used:
        with refused(Code.INVALID_OBJECT_HANDLE):
            edit.commit()
    edit.commit()
    assert contents(root) == before


def rename(store: Catalogue, root: Path) -> None:
    (root / "file").rename(root / "other")


def move_with_its_folder(store: Catalogue, root: Path) -> None:
    (root / "file").rename(root / "folder" / "file")
    (root / "folder").rename(root / "other")


STAYS: dict[str, Callable[[Catalogue, Path], object]] = {
    "renamed": lambda store, root: store.rename(find(store, "file"), "other"),
    "moved": lambda store, root: store.move(find(store, "file"), FIRST, find(store, "folder")),
    "written to": lambda store, root: (root / "file").write_bytes(b"changed too"),
    "protected": lambda store, root: store.set_protected(find(store, "file"), protected=True),
    "linked": lambda store, root: (root / "other").hardlink_to(root / "file"),
}


@pytest.mark.parametrize("way", STAYS)
def test_an_edit_goes_on_where_the_file_is_the_same(store: Catalogue, root: Path, way: str) -> None:
    file = find(store, "file")
    edit = store.edit(file)
    STAYS[way](store, root)
    edit.write(0, memoryview(b"12345"))
    edit.truncate(5)
    assert edit.holds()
    edit.commit()
    assert content(store, file) == b"12345"


@pytest.mark.parametrize("moving", [rename, move_with_its_folder])
def test_an_edit_goes_along_where_the_device_moves_the_file(
    watched: Catalogue, root: Path, moving: Callable[[Catalogue, Path], None]
) -> None:
    (root / "folder").mkdir()
    (root / "file").write_bytes(b"as it was")
    file = find(watched, "file")
    watched.children(FIRST, find(watched, "folder"))
    edit = watched.edit(file)
    moving(watched, root)
    edit.write(0, memoryview(b"12345"))
    edit.truncate(5)
    edit.commit()
    assert content(watched, file) == b"12345"


def test_what_the_device_saves_over_an_edit_is_told(
    watched: Catalogue, root: Path, ear: Ear
) -> None:
    (root / "file").write_bytes(b"as it was")
    file = find(watched, "file")
    edit = watched.edit(file)
    edit.write(0, memoryview(b"12345"))
    ear.all()
    write_beside_and_rename_over(watched, root)
    assert ear.all() == [(ChangeKind.CONTENT, file)]
    with refused(Code.INVALID_OBJECT_HANDLE):
        edit.commit()
    (root / "file").write_bytes(b"saved again")
    assert ear.all() == [(ChangeKind.CONTENT, file)]


# Moves to another disk


@pytest.mark.parametrize("what", ["folder", "folder/file"])
def test_what_is_edited_does_not_go_to_another_disk(
    far: Catalogue, root: Path, second: Path, what: str
) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").write_bytes(b"as it was")
    (root / "beside").write_bytes(b"1")
    file = find(far, "folder/file")
    edit = far.edit(file)
    with refused(Code.DEVICE_BUSY):
        far.move(find(far, what), SECOND, 0)
    far.move(find(far, "beside"), SECOND, 0)
    edit.write(0, memoryview(b"12345"))
    edit.truncate(5)
    edit.commit()
    assert leftovers(root) == leftovers(second) == []
    far.move(find(far, what), SECOND, 0)
    assert content(far, file) == b"12345"
    assert far.entry(file).storage_id == SECOND
    edit = far.edit(file)
    edit.write(0, memoryview(b"6"))
    edit.commit()
    (there,) = second.rglob("file")
    assert there.read_bytes() == b"62345"


CHANGES: dict[str, Callable[[Catalogue, int], object]] = {
    "edit": lambda store, file: store.edit(file).commit(),
    "protect": lambda store, file: store.set_protected(file, protected=True),
    "date": lambda store, file: store.set_modified(file, 7.0),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("what", ["folder", "folder/file"])
def test_what_goes_to_another_disk_is_not_changed(
    far: Catalogue, root: Path, what: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").write_bytes(b"as it was")
    (root / "beside").write_bytes(b"1")
    file, beside = find(far, "folder/file"), find(far, "beside")
    copy = trees.copy

    def copying(*arguments: object) -> None:
        copy(*arguments)  # type: ignore[arg-type]
        with refused(Code.DEVICE_BUSY):
            CHANGES[change](far, file)
        CHANGES[change](far, beside)

    monkeypatch.setattr(trees, "copy", copying)
    far.move(find(far, what), SECOND, 0)
    CHANGES[change](far, file)
    assert content(far, file) == b"as it was"


def test_an_edit_in_vain_keeps_nothing_from_going_to_another_disk(
    far: Catalogue, root: Path
) -> None:
    (root / "file").write_bytes(b"as it was")
    file = find(far, "file")
    edit = far.edit(file)
    edit.write(0, memoryview(b"AS"))
    write_beside_and_rename_over(far, root)
    far.move(file, SECOND, 0)
    with refused(Code.INVALID_OBJECT_HANDLE):
        edit.write(0, memoryview(b"lost"))
    with refused(Code.INVALID_OBJECT_HANDLE):
        edit.commit()
    assert names(far) == []
    assert content(far, file) == b"saved"


# Its storage goes away


def test_an_end_that_failed_as_the_storage_went_is_told(
    store: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    edit = store.edit(find(store, "file"))
    edit.write(0, memoryview(b"AS"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing)
        store.eject(FIRST)
    store.load(FIRST)
    assert not edit.holds()
    with refused(Code.GENERAL_ERROR):
        edit.commit()
    edit.commit()


def test_an_edit_that_ended_as_its_storage_went(store: Catalogue, root: Path) -> None:
    edit = store.edit(find(store, "file"))
    edit.write(0, memoryview(b"AS"))
    store.eject(FIRST)
    store.load(FIRST)
    edit.commit()
    assert contents(root) == {"file": b"AS it was"}
    assert not (root / WORKPLACE / "trash").exists()
