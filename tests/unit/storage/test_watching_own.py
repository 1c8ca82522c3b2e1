# SPDX-License-Identifier: GPL-3.0-or-later
"""What sessions do themselves is not told: each method of the store, in watched folders."""

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import ChangeKind
from appliance.storage import Catalogue, Folder, deletion, syscalls
from appliance.storage.trash_days import TrashPolicy
from tests.unit.storage.ear import Ear, Told
from tests.unit.storage.helpers import FIRST, SECOND, begin, find, names, put, refused
from tests.unit.storage.test_watching import listed

ADDED, REMOVED = ChangeKind.ADDED, ChangeKind.REMOVED
CONTENT, PLACE = ChangeKind.CONTENT, ChangeKind.PLACE


@dataclass(frozen=True, slots=True)
class Desk:
    """A store with a file, a folder and a folder with a tree, all of them listed."""

    store: Catalogue
    root: Path
    file: int
    folder: int
    tree: int
    inner: int


@pytest.fixture
def desk(watched: Catalogue, root: Path) -> Desk:
    (root / "file").write_text("content")
    (root / "folder").mkdir()
    (root / "tree" / "inner").mkdir(parents=True)
    (root / "tree" / "inner" / "deep").write_text("deep")
    found = listed(watched)
    return Desk(watched, root, *(found[each] for each in ("file", "folder", "tree", "inner")))


@pytest.fixture
def ear(desk: Desk) -> Ear:
    ear = Ear(desk.store, desk.root)
    ear.all()
    return ear


def edit(desk: Desk) -> None:
    change = desk.store.edit(desk.file)
    change.write(3, memoryview(b"changed"))
    change.truncate(5)
    change.commit()


def give_up_an_upload(desk: Desk) -> None:
    begin(desk.store, "given up", b"123").discard()


def rename_by_case(desk: Desk) -> None:
    desk.store.rename(desk.file, "File")
    desk.store.rename(desk.file, "file")


def there_and_back(desk: Desk) -> None:
    desk.store.rename(desk.file, "other")
    put(desk.store, "file", b"a new one")
    desk.store.move(desk.file, FIRST, desk.folder)
    desk.store.rename(find(desk.store, "file"), "other")


def delete_and_make_again(desk: Desk) -> None:
    desk.store.delete(desk.folder)
    desk.store.make_folder(FIRST, 0, "folder", modified=None)
    desk.store.delete(desk.file)
    put(desk.store, "file", b"again")


def be_refused(desk: Desk) -> None:
    with refused(ResponseCode.INVALID_OBJECT_PROP_VALUE):
        desk.store.rename(desk.file, "folder")
    with refused(ResponseCode.ACCESS_DENIED):
        begin(desk.store, "folder")


DOINGS: dict[str, Callable[[Desk], object]] = {
    "upload": lambda desk: put(desk.store, "new", b"123"),
    "upload over": lambda desk: put(desk.store, "file", b"123"),
    "upload below": lambda desk: put(desk.store, "new", b"123", parent=desk.inner),
    "an upload that is given up": give_up_an_upload,
    "make a folder": lambda desk: desk.store.make_folder(FIRST, 0, "new", modified=None),
    "with a date": lambda desk: desk.store.make_folder(FIRST, desk.folder, "new", modified=1.0),
    "one that is there": lambda desk: desk.store.make_folder(FIRST, 0, "folder", modified=1.0),
    "rename a file": lambda desk: desk.store.rename(desk.file, "other"),
    "rename a folder": lambda desk: desk.store.rename(desk.tree, "other"),
    "there and back": there_and_back,
    "upper case": rename_by_case,
    "move a file": lambda desk: desk.store.move(desk.file, FIRST, desk.inner),
    "move a folder": lambda desk: desk.store.move(desk.tree, FIRST, desk.folder),
    "copy a file": lambda desk: desk.store.copy(desk.file, FIRST, desk.folder),
    "copy a folder": lambda desk: desk.store.copy(desk.tree, FIRST, desk.folder),
    "delete a file": lambda desk: desk.store.delete(desk.file),
    "delete a tree": lambda desk: desk.store.delete(desk.tree),
    "delete and make again": delete_and_make_again,
    "edit": edit,
    "set a date": lambda desk: desk.store.set_modified(desk.file, 7.0),
    "set a folder's date": lambda desk: desk.store.set_modified(desk.folder, 7.0),
    "protect": lambda desk: desk.store.set_protected(desk.file, protected=True),
    "protect a folder": lambda desk: desk.store.set_protected(desk.folder, protected=True),
    "list": lambda desk: listed(desk.store),
    "be refused": be_refused,
}


@pytest.mark.parametrize("doing", DOINGS)
def test_own_doing_is_not_told(desk: Desk, ear: Ear, doing: str) -> None:
    DOINGS[doing](desk)
    assert ear.all() == []
    listed(desk.store)
    assert ear.all() == []


def test_an_edit_is_not_told_while_it_lasts(desk: Desk, ear: Ear) -> None:
    change = desk.store.edit(desk.file)
    for each in range(3):
        change.write(each, memoryview(b"changed"))
        assert ear.all() == []
    change.commit()
    assert ear.all() == []


def test_deleting_a_large_tree_is_not_told(desk: Desk, ear: Ear) -> None:
    for number in range(300):
        (desk.root / "tree" / f"folder {number}").mkdir()
        (desk.root / "tree" / f"folder {number}" / "file").touch()
    listed(desk.store)
    ear.all()
    desk.store.delete(desk.tree)
    assert ear.all() == []


def test_what_is_left_of_a_partial_deletion_is_told(desk: Desk, ear: Ear) -> None:
    protected = desk.root / "tree" / "inner" / "protected"
    protected.touch()
    protected.chmod(0o444)
    before = listed(desk.store)
    ear.all()
    with refused(ResponseCode.PARTIAL_DELETION):
        desk.store.delete(desk.tree)
    assert ear.all() == [(REMOVED, before["deep"])]


def test_deleting_by_a_former_handle_is_not_told(
    desk: Desk, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.store._lookup.renews_handles = True
    (desk.root / "file").write_text("theirs")
    assert ear.all() != []
    assert find(desk.store, "file") != desk.file
    monkeypatch.setattr(deletion, "sync", lambda _: told.extend(ear.all()))
    told: list[Told] = []
    desk.store.delete(desk.file)
    assert told + ear.all() == []


@pytest.mark.parametrize("listing", [False, True])
@pytest.mark.parametrize("renew", [False, True])
def test_a_tree_that_others_move_away_while_we_delete_it(
    desk: Desk, ear: Ear, monkeypatch: pytest.MonkeyPatch, *, renew: bool, listing: bool
) -> None:
    """What has come elsewhere is new there; what we remove from it is not told."""
    desk.store._lookup.renews_handles = renew
    moved = desk.root / "folder" / "moved"
    unlink = os.unlink

    def move_away(name: bytes, *, dir_fd: int) -> None:
        monkeypatch.undo()
        (desk.root / "tree").rename(moved)
        if listing:
            desk.store.children(FIRST, 0)
        else:
            ear.until(lambda: bool(ear.told))
        unlink(name, dir_fd=dir_fd)

    before = listed(desk.store)
    monkeypatch.setattr(os, "unlink", move_away)
    with suppress(MtpError):  # not all has gone
        desk.store.delete(desk.tree)
    told = [each for each in ear.all() if each != (REMOVED, before["tree"])]
    assert told == [(ADDED, find(desk.store, "folder/moved"))]
    assert names(desk.store, find(desk.store, "folder/moved")) == ["inner"]
    assert not {before["tree"], before["deep"]} & set(listed(desk.store).values())


def test_a_move_to_another_file_system(far: Catalogue, root: Path, second: Path) -> None:
    far.close()
    with Catalogue([each.folder for each in far._lookup.volumes], watch=True) as store:
        (root / "tree" / "inner").mkdir(parents=True)
        (root / "tree" / "inner" / "deep").write_text("deep")
        before = listed(store)
        store.children(SECOND, 0)
        ear = Ear(store, root)
        store.move(before["tree"], SECOND, 0)
        assert ear.all() == []
        assert find(store, "tree/inner/deep", storage=SECOND) == before["deep"]
        (second / "tree" / "inner" / "folder").mkdir()
        assert ear.all() == [(ADDED, find(store, "tree/inner/folder", storage=SECOND))]
        (second / "tree" / "inner" / "deep").unlink()
        assert ear.all() == [(REMOVED, before["deep"])]


# Own and others' doing at once


def test_others_change_what_we_have_just_changed(desk: Desk, ear: Ear) -> None:
    handle = put(desk.store, "new", b"ours")
    ear.all()
    (desk.root / "new").write_text("theirs")
    assert ear.all() == [(CONTENT, handle)]
    desk.store.set_modified(handle, 7.0)
    (desk.root / "new").rename(desk.root / "renamed")
    assert [kind for kind, _ in ear.all() if kind is not CONTENT] == [PLACE]
    assert find(desk.store, "renamed") == handle


def test_we_take_a_name_that_others_have_just_left(desk: Desk, ear: Ear) -> None:
    (desk.root / "file").rename(desk.root / "theirs")
    ours = put(desk.store, "file", b"ours")
    ear.all()
    assert find(desk.store, "file") == ours
    assert desk.store.record(ours).size == 4
    theirs = find(desk.store, "theirs")
    assert theirs != ours
    assert desk.store.record(theirs).size == 7


def test_others_take_a_name_that_we_have_just_left(desk: Desk, ear: Ear) -> None:
    desk.store.rename(desk.file, "ours")
    (desk.root / "file").mkdir()
    assert ear.all() == [(ADDED, find(desk.store, "file"))]
    assert find(desk.store, "ours") == desk.file


@pytest.fixture
def crowd(desk: Desk) -> Iterator[list[int]]:
    """More uploads than notes are kept of."""
    yield [put(desk.store, f"upload {number}", b"1") for number in range(1500)]


def test_many_uploads_are_not_told(desk: Desk, ear: Ear, crowd: list[int]) -> None:
    assert ear.all() == []
    assert len(desk.store._lookup.own._notes) <= 1024
    os.utime(desk.root / "upload 1499", (1, 1))
    assert ear.all() == [(CONTENT, crowd[-1])]


# With a trash


@pytest.fixture
def keeping(root: Path) -> Iterator[Desk]:
    """The same desk, but what is deleted and replaced is kept."""
    (root / "file").write_text("content")
    (root / "folder").mkdir()
    (root / "tree" / "inner").mkdir(parents=True)
    (root / "tree" / "inner" / "deep").write_text("deep")
    with Catalogue([Folder(root, "Card")], watch=True, trash=TrashPolicy()) as store:
        found = listed(store)
        yield Desk(store, root, *(found[each] for each in ("file", "folder", "tree", "inner")))


@pytest.mark.parametrize("doing", DOINGS)
def test_own_doing_is_not_told_where_a_trash_is_kept(keeping: Desk, doing: str) -> None:
    ear = Ear(keeping.store, keeping.root)
    DOINGS[doing](keeping)
    assert ear.all() == []


@pytest.mark.parametrize("listing", [False, True])
def test_what_the_device_does_in_a_tree_until_its_deletion_is_cancelled_is_told(
    keeping: Desk, *, listing: bool
) -> None:
    inner = keeping.root / "tree" / "inner"
    (inner / "other").touch()
    before = listed(keeping.store)
    ear = Ear(keeping.store, keeping.root)
    ear.all()
    told: list[Told] = []
    looks = itertools.count(1)

    def look() -> None:
        if next(looks) == 2:
            (inner / "other").unlink()
            (inner / "deep").write_text("longer")
            (inner / "new").touch()
            if listing:
                listed(keeping.store)
            told.extend(ear.all())
            raise MtpError(ResponseCode.TRANSACTION_CANCELLED)

    with refused(ResponseCode.TRANSACTION_CANCELLED):
        keeping.store.delete(keeping.tree, look=look)
    told += ear.all()
    new = find(keeping.store, "tree/inner/new")
    assert set(told) == {(REMOVED, before["other"]), (CONTENT, before["deep"]), (ADDED, new)}
    assert names(keeping.store, before["inner"]) == ["deep", "new"]


@pytest.mark.parametrize("what", ["file", "tree"])
def test_a_deletion_that_does_not_reach_the_disk_is_told(
    keeping: Desk, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    ear = Ear(keeping.store, keeping.root)

    def failing(fd: int) -> None:
        told.extend(ear.all())
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    told: list[Told] = []
    monkeypatch.setattr(deletion, "sync", failing)
    with refused(ResponseCode.GENERAL_ERROR):
        keeping.store.delete(getattr(keeping, what))
    assert told + ear.all() == [(REMOVED, getattr(keeping, what))]


def test_what_is_restored_is_told_by_who_restores_it(keeping: Desk) -> None:
    keeping.store.delete(keeping.tree)
    ear = Ear(keeping.store, keeping.root)
    (item,) = keeping.store.trash_list()
    restored = keeping.store.trash_restore(FIRST, item.name)
    assert [each.kind for each in restored] == [ADDED]
    assert ear.all() == []


def test_others_exchange_two_files(desk: Desk, ear: Ear) -> None:
    other = put(desk.store, "other", b"1")
    desk.store._lookup.own.forget(other)
    ear.all()
    fd = os.open(desk.root, os.O_RDONLY)
    exchanged = syscalls.exchange(fd, b"file", fd, b"other")
    os.close(fd)
    if not exchanged:
        pytest.skip("the file system exchanges no names")
    assert {desk.file, other} <= {each for _, each in ear.all()}
    assert desk.store.record(find(desk.store, "file")).size == 1
