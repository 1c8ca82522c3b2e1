# SPDX-License-Identifier: GPL-3.0-or-later
"""What is deleted goes into the trash, and what is in the trash can be had back."""

import errno
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.errors import ApplianceError
from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Change, ChangeKind
from appliance.storage import (
    Catalogue,
    Folder,
    TrashPolicy,
    syscalls,
    trash_info,
    trash_place,
    trees,
)
from appliance.storage import trash as trash_module
from appliance.storage.staging import StagedFile
from appliance.storage.trash_place import Slot
from tests.unit.storage.conftest import Mount
from tests.unit.storage.ear import Ear
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
    open_descriptors,
    put,
    refused,
)

KEPT = TrashPolicy()
DAY = 86_400
MIB = 1 << 20


@pytest.fixture
def keeping(root: Path) -> Iterator[Catalogue]:
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        yield store


@pytest.fixture
def tree(root: Path) -> Path:
    """A folder with files on three levels."""
    folder = root / "tree"
    for place in ("", "a", "a/b", "c"):
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / "file").write_text(place)
    return folder


def trash(root: Path, *below: str) -> Path:
    return root.joinpath(WORKPLACE, "trash", *below)


def listed(store: Catalogue) -> list[tuple[str, str]]:
    return [(item.name, item.path) for item in store.trash_list()]


def uploads(root: Path) -> list[str]:
    """What lies in the workplace of an upload that is under way, or was."""
    return [each.name for each in (root / WORKPLACE).glob("*-*/*")]


def plant(root: Path, name: str, data: bytes = b"planted", *, note: str | None = None) -> Path:
    """Put something into the trash behind the program's back."""
    for folder in ("files", "info", "expunged"):
        trash(root, folder).mkdir(parents=True, exist_ok=True)
    if note is not None:
        trash(root, "info", f"{name}.trashinfo").write_text(note)
    trash(root, "files", name).write_bytes(data)
    return trash(root, "files", name)


def note(path: str, age: float = 0, size: int | None = None) -> str:
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() - age))
    tail = "" if size is None else f"X-MTP-Appliance-Size={size}\n"
    return f"[Trash Info]\nPath={path}\nDeletionDate={date}\n{tail}"


# In


@pytest.mark.parametrize("path", ["file", "tree", "tree/a/file", "tree/a"])
def test_what_is_deleted_comes_back(keeping: Catalogue, root: Path, tree: Path, path: str) -> None:
    (root / "file").write_text("")
    before = {each: each.read_bytes() for each in root.rglob("*") if each.is_file()}
    handle = find(keeping, path)
    keeping.delete(handle)
    assert not (root / path).exists()
    with refused(Code.INVALID_OBJECT_HANDLE):
        keeping.entry(handle)
    assert [item.path for item in keeping.trash_list()] == [path]
    keeping.trash_restore(FIRST, keeping.trash_list()[0].name)
    after = {each: each.read_bytes() for each in root.rglob("*") if each.is_file()}
    assert after == before
    assert keeping.trash_list() == []


def test_a_folder_goes_in_one_step(
    keeping: Catalogue, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise AssertionError("one by one")

    handle = find(keeping, "tree")
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", failing)
        patch.setattr(os, "rmdir", failing)
        keeping.delete(handle)
    assert not tree.exists()


def test_an_item_says_what_it_is(keeping: Catalogue, tree: Path) -> None:
    (tree / "a" / "file").write_bytes(bytes(5000))
    keeping.delete(find(keeping, "tree/a"))
    keeping.delete(find(keeping, "tree/file"))
    folder, file = keeping.trash_list()
    assert (folder.path, folder.is_folder, folder.name) == ("tree/a", True, "a")
    assert (file.path, file.is_folder) == ("tree/file", False)
    assert folder.size >= 5000
    assert abs(folder.deleted - time.time()) < 5
    assert folder.storage_id == FIRST


def test_the_pc_sees_nothing_of_it(keeping: Catalogue, root: Path) -> None:
    keeping.delete(put(keeping, "file", b"1"))
    assert trash(root, "files", "file").read_bytes() == b"1"
    assert names(keeping) == []
    with refused(Code.INVALID_DATASET):
        begin(keeping, WORKPLACE)
    assert list(keeping.tree(FIRST)) == []


@pytest.mark.parametrize(
    "name", ["plain", "two words", "ünïcödé", "x" * 255, "é" * 127, "a\nb", "%41", ".hidden", "=["]
)
def test_every_name_survives(keeping: Catalogue, root: Path, name: str) -> None:
    keeping.delete(put(keeping, name, b"1"))
    keeping.trash_restore(FIRST, keeping.trash_list()[0].name)
    assert [each.name for each in root.iterdir() if each.name != WORKPLACE] == [name]


def test_a_name_that_is_no_text_survives(keeping: Catalogue, root: Path) -> None:
    raw = os.fsencode(root) + b"/na\xefve"
    Path(os.fsdecode(raw)).write_text("1")
    keeping.delete(keeping.children(FIRST, 0)[0])
    item = keeping.trash_list()[0]
    item.name.encode()
    keeping.trash_restore(FIRST, item.name)
    assert Path(os.fsdecode(raw)).read_text() == "1"


def test_the_same_name_again_and_again(keeping: Catalogue) -> None:
    for number in range(5):
        keeping.delete(put(keeping, "file", b"%d" % number))
    assert {path for _, path in listed(keeping)} == {"file"}
    assert len({name for name, _ in listed(keeping)}) == 5


def test_deleting_rescans_nothing(keeping: Catalogue, tree: Path, scans: dict[str, int]) -> None:
    at_rest(tree)
    keeping.delete(put(keeping, "first", b"1"))
    handle, parent = find(keeping, "tree/file"), find(keeping, "tree")
    scans.clear()
    keeping.delete(handle)
    assert names(keeping, parent) == ["a", "c"]
    assert not scans


def test_without_a_policy_nothing_is_kept(store: Catalogue, root: Path, tree: Path) -> None:
    store.delete(find(store, "tree"))
    assert not (root / WORKPLACE).exists()


def test_a_policy_that_is_taken_back_leaves_what_is_there(root: Path) -> None:
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        store.delete(put(store, "file", b"1"))
    with Catalogue([Folder(root, "Card")]) as store:
        store.delete(put(store, "other", b"1"))
        assert [path for _, path in listed(store)] == ["file"]
        assert store.trash_purge() == 0
        assert store.trash_empty() == 1
    assert list(trash(root).glob("*/*")) == []


# What has to stay


def test_what_is_protected_in_a_folder_stays_and_the_rest_can_be_had_back(
    keeping: Catalogue, tree: Path
) -> None:
    (tree / "a" / "file").chmod(0o444)
    handle = find(keeping, "tree")
    with refused(Code.PARTIAL_DELETION):
        keeping.delete(handle)
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*")) == ["a", "a/file"]
    assert [path for _, path in listed(keeping)] == ["tree"]
    keeping.trash_restore(FIRST, "tree")
    again = tree.parent / "tree (2)"
    assert sorted(str(path.relative_to(again)) for path in again.rglob("*")) == [
        *("a", "a/b", "a/b/file", "c", "c/file", "file"),
    ]


def test_a_folder_of_protected_things_stays_whole(keeping: Catalogue, tree: Path) -> None:
    inner = tree / "a" / "b"
    (inner / "file").chmod(0o444)
    with refused(Code.OBJECT_WRITE_PROTECTED):
        keeping.delete(find(keeping, "tree/a/b"))
    assert (inner / "file").exists()
    assert keeping.trash_list() == []


def test_a_protected_object_stays(keeping: Catalogue, tree: Path) -> None:
    (tree / "file").chmod(0o444)
    with refused(Code.OBJECT_WRITE_PROTECTED):
        keeping.delete(find(keeping, "tree/file"))
    assert keeping.trash_list() == []


def test_a_mounted_disk_stays(keeping: Catalogue, tree: Path, mounted: Mount) -> None:
    (tree / "a" / "b" / "file").unlink()
    handle = find(keeping, "tree")
    mounted(tree / "a" / "b")
    with refused(Code.PARTIAL_DELETION):
        keeping.delete(handle)
    assert (tree / "a" / "b").exists()


# Where it does not work


@pytest.mark.parametrize("where", ["", "trash", "trash/files", "trash/info", "trash/expunged"])
@pytest.mark.parametrize("what", ["file", "link"])
def test_something_in_its_place_is_not_followed(
    keeping: Catalogue,
    root: Path,
    canary: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    where: str,
    what: str,
) -> None:
    handles = [put(keeping, name, b"1") for name in ("one", "two")]
    keeping.close()
    place = root.joinpath(WORKPLACE, where)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch() if what == "file" else place.symlink_to(canary)
    for handle in handles:
        keeping.delete(handle)
    assert names(keeping) == []
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    assert keeping.storage(FIRST).free > 0


@pytest.mark.parametrize("act", ["delete", "replace"])
@pytest.mark.parametrize("what", ["file", "folder", "dangling link"])
def test_what_lies_there_without_a_note_keeps_its_name_and_costs_nothing(
    keeping: Catalogue, root: Path, act: str, what: str
) -> None:
    plant(root, "file").unlink()
    there = trash(root, "files", "file")
    if what == "file":
        there.touch()
    elif what == "folder":
        there.mkdir()
    else:
        there.symlink_to("nowhere")
    handle = put(keeping, "file", b"old")
    keeping.delete(handle) if act == "delete" else put(keeping, "file", b"new")
    mine = {name for name, _ in listed(keeping)} - {"file"}
    assert [trash(root, "files", name).read_bytes() for name in mine] == [b"old"]
    assert len(list(trash(root, "info").iterdir())) == 1


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("call", ["mkdir", "note", "rename"])
def test_deletion_works_all_the_same(
    keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, fault: int, call: str
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(fault, os.strerror(fault))

    handle = put(keeping, "file", b"1")
    with monkeypatch.context() as patch:
        patch.setattr(*{
            "mkdir": (os, "mkdir"),
            "note": (trash_info, "encode"),
            "rename": (syscalls, "rename_new"),
        }[call], failing)  # fmt: skip
        keeping.delete(handle)
    assert not (root / "file").exists()
    assert list(trash(root).glob("*/*")) == []


@pytest.mark.parametrize("away", [FIRST, SECOND])
def test_a_storage_that_goes_while_it_is_asked_hides_no_other_trash(
    far: Catalogue, root: Path, second: Path, monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    """Its folder goes after the look whether it is there: then all asking of it fails."""
    for each, folder in ((FIRST, root), (SECOND, second)):
        far._lookup.volumes.present(each).trash.policy = KEPT
        (folder / "file").write_text("1")
        far.delete(find(far, "file", storage=each))
    (other,) = {FIRST, SECOND} - {away}

    def gone(*_: object) -> int:
        raise MtpError(Code.STORE_NOT_AVAILABLE, "the storage is away")

    directories = far._lookup.volumes.present(away).directories
    with monkeypatch.context() as patch:
        patch.setattr(directories, "get", gone)
        assert [item.storage_id for item in far.trash_list()] == [other]
        assert far.trash_empty() == 1
        with refused(Code.STORE_NOT_AVAILABLE):
            far.trash_empty(away, "file")
    assert [item.storage_id for item in far.trash_list()] == [away]


def test_another_file_system_has_no_trash(far: Catalogue, second: Path) -> None:
    """Each storage has its own; what is mounted inside one is not deleted at all."""
    far._lookup.volumes.present(SECOND).trash.policy = KEPT
    (second / "file").write_text("1")
    far.delete(find(far, "file", storage=SECOND))
    assert [item.storage_id for item in far.trash_list()] == [SECOND]


def delete_a_folder(store: Catalogue) -> None:
    folder = store.make_folder(FIRST, 0, "large", modified=None).handle
    put(store, "file", b"1" * 5000, parent=folder)
    store.delete(folder)


def replace_a_file(store: Catalogue) -> None:
    put(store, "large", b"1" * 5000)
    put(store, "large", b"2")


@pytest.mark.parametrize("act", [delete_a_folder, replace_a_file])
def test_what_is_larger_than_the_trash_pushes_nothing_out_and_that_is_told(
    root: Path, act: Callable[[Catalogue], None], caplog: pytest.LogCaptureFixture
) -> None:
    with Catalogue([Folder(root, "Card")], trash=TrashPolicy(share=1e-12)) as store:
        act(store)
        assert store.trash_list() == []
    (told,) = (each.getMessage() for each in caplog.records if each.levelname == "WARNING")
    assert "'large'" in told
    assert "gone for good" in told


# Replaced


def test_what_an_upload_replaces_can_be_had_back(keeping: Catalogue, root: Path) -> None:
    put(keeping, "file", b"old")
    handle = put(keeping, "file", b"new")
    assert content(keeping, handle) == b"new"
    assert [path for _, path in listed(keeping)] == ["file"]
    keeping.trash_restore(FIRST, "file")
    assert (root / "file (2)").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("policy", "old"),
    [(TrashPolicy(replaced=False), b"old"), (KEPT, b""), (None, b"old")],
    ids=["not wanted", "empty", "no trash"],
)
def test_what_is_not_worth_it_is_replaced(
    root: Path, policy: TrashPolicy | None, old: bytes
) -> None:
    with Catalogue([Folder(root, "Card")], trash=policy) as store:
        put(store, "file", old)
        put(store, "file", b"new")
        assert store.trash_list() == []
    assert (root / "file").read_bytes() == b"new"


@pytest.fixture(params=["links", "no links"])
def without_exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file system exchange no names, as exFAT does not; some have links all the same."""
    rename = syscalls._renameat2

    def renameat2(*arguments: Any) -> int:
        return errno.EINVAL if len(arguments) == 5 else rename(*arguments)

    def link(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(syscalls, "_renameat2", renameat2)
    if request.param == "no links":
        monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("without_exchange")
def test_a_file_system_that_cannot_exchange(root: Path) -> None:
    with Catalogue([Folder(root, "Card")], trash=KEPT, watch=True) as store:
        put(store, "file", b"old")
        store.children(FIRST, 0)
        ear = Ear(store, root)
        handle = put(store, "file", b"new")
        assert content(store, handle) == b"new"
        assert names(store) == ["file"]
        assert ear.all() == []
        assert [path for _, path in listed(store)] == ["file"]
        assert uploads(root) == []
        store.trash_restore(FIRST, "file")
        assert (root / "file (2)").read_bytes() == b"old"


@pytest.mark.usefixtures("without_exchange")
def test_what_cannot_be_replaced_there_is_as_it_was(
    keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = put(keeping, "file", b"old")
    upload = begin(keeping, "file", b"new")

    def failing(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "bad sector")

    with monkeypatch.context() as patch, refused(Code.GENERAL_ERROR):
        patch.setattr(StagedFile, "rename", failing)
        upload.commit()
    assert content(keeping, handle) == b"old"
    assert names(keeping) == ["file"]
    assert keeping.trash_list() == []
    assert uploads(root) == []
    assert list(trash(root, "info").iterdir()) == []


@pytest.mark.usefixtures("without_exchange")
def test_where_the_trash_does_not_work_either_it_is_replaced(
    keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(keeping, "file", b"old")

    def failing(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(trash_module.Trash, "put", failing)
    put(keeping, "file", b"new")
    assert (root / "file").read_bytes() == b"new"
    assert keeping.trash_list() == []
    assert list(trash(root, "info").iterdir()) == []


def test_no_note_stays_where_the_folder_moves_before_a_file_in_it_is_replaced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").write_bytes(b"older")
    with Catalogue([Folder(root, "Card")], trash=TrashPolicy(), watch=True, renew=True) as store:
        ear = Ear(store, root)
        upload = begin(store, "file", b"newer", parent=find(store, "folder"))
        reserve = trash_module.Trash.reserve

        def late(*arguments: Any) -> Slot:
            slot = reserve(*arguments)
            if (root / "folder").exists():
                (root / "folder").rename(root / "other")
                ear.all()
            return slot

        monkeypatch.setattr(trash_module.Trash, "reserve", late)
        upload.commit()
    assert (root / "other" / "file").read_bytes() == b"newer"
    assert [each.name for each in trash(root, "info").iterdir()] == ["file.trashinfo"]
    assert trash(root, "files", "file").read_bytes() == b"older"


@pytest.mark.usefixtures("without_exchange")
def test_a_power_cut_while_replacing_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has come of it, the older file is there or can be had back, whole."""
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        put(store, "file", b"old")
        upload = begin(store, "file", b"new")

        def cut(*_: object) -> None:
            raise PowerCutError

        with monkeypatch.context() as patch, pytest.raises(PowerCutError):
            patch.setattr(StagedFile, "rename", cut)
            upload.commit()
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        for name, _ in listed(store):
            store.trash_restore(FIRST, name)
        assert names(store) == ["file"]
        assert (root / "file").read_bytes() == b"old"
    assert list(trash(root).glob("*/*")) == []


@pytest.mark.usefixtures("without_exchange")
def test_a_file_that_is_gone_when_it_is_replaced(
    keeping: Catalogue, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(keeping, "file", b"old")
    upload = begin(keeping, "file", b"new")
    reserve = keeping._arrivals._replacing.reserve

    def late(*arguments: object) -> object:
        slot = reserve(*arguments)  # type: ignore[arg-type]
        (root / "file").unlink()
        return slot

    keeping._arrivals._replacing.reserve = late  # type: ignore[method-assign, assignment]
    upload.commit()
    assert (root / "file").read_bytes() == b"new"
    assert keeping.trash_list() == []
    assert list(trash(root, "info").iterdir()) == []
    assert not [each for each in caplog.records if each.levelname == "WARNING"]


@pytest.mark.usefixtures("without_exchange")
def test_a_folder_that_took_the_name_meanwhile_stays_there_too(
    keeping: Catalogue, root: Path
) -> None:
    let_a_folder_take_the_name(keeping, root)


def test_a_folder_that_took_the_name_meanwhile_stays(keeping: Catalogue, root: Path) -> None:
    let_a_folder_take_the_name(keeping, root)


def let_a_folder_take_the_name(keeping: Catalogue, root: Path) -> None:
    put(keeping, "file", b"old")
    upload = begin(keeping, "file", b"new")
    rename = keeping._arrivals._replacing.reserve
    (root / "file").rename(root / "was")

    def late(*arguments: object) -> object:
        (root / "was").rename(root / "file")
        slot = rename(*arguments)  # type: ignore[arg-type]
        (root / "file").unlink()
        (root / "file").mkdir()
        return slot

    keeping._arrivals._replacing.reserve = late  # type: ignore[method-assign, assignment]
    with refused(Code.ACCESS_DENIED):
        upload.commit()
    assert (root / "file").is_dir()
    assert keeping.trash_list() == []
    assert leftovers(root)


# Space and age


def test_what_is_in_the_trash_is_free(small: Path) -> None:
    with Catalogue([Folder(small, "Card")], trash=TrashPolicy(share=1)) as store:
        handle = put(store, "file", bytes(MIB))
        before = store.storage(FIRST).free
        store.delete(handle)
        after = store.storage(FIRST).free
        assert MIB - 64 * 1024 <= after - before <= MIB
        assert os.statvfs(small).f_bavail * os.statvfs(small).f_frsize < after


def test_what_is_known_is_not_read_again(keeping: Catalogue, scans: dict[str, int]) -> None:
    keeping.delete(put(keeping, "file", b"1"))
    keeping.storage(FIRST)
    scans.clear()
    keeping.delete(put(keeping, "other", b"1"))
    for _ in range(3):
        keeping.storage(FIRST)
    assert not scans


def test_the_oldest_goes_when_the_space_is_needed(small: Path) -> None:
    with Catalogue([Folder(small, "Card")], trash=TrashPolicy(share=1)) as store:
        for name in ("first", "second", "third"):
            store.delete(put(store, name, bytes(MIB)))
        put(store, "large", bytes(2 * MIB))
        assert [path for _, path in listed(store)] == ["third"]
        with refused(Code.STORE_FULL):
            put(store, "too large", bytes(3 * MIB))
        assert [path for _, path in listed(store)] == ["third"]


@pytest.mark.parametrize("days", [-10_000, -100, 0, 100])
def test_the_oldest_is_the_oldest_whatever_the_clock_says(
    root: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    clock = time.time
    deleted = [f"{number}.txt" for number in (3, 7, 1, 8, 2, 6, 4, 5)]
    for ago, name in zip(range(8, 0, -1), deleted, strict=True):
        monkeypatch.setattr(time, "time", partial(_later, clock, -ago * DAY))
        with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
            store.delete(put(store, name, b"x"))
    monkeypatch.setattr(time, "time", partial(_later, clock, days * DAY))
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        assert [each.path for each in store.trash_list()] == deleted
        store.delete(put(store, "latest.txt", b"x"))
        assert [each.path for each in store.trash_list()] == [*deleted, "latest.txt"]
        store.set_trash(TrashPolicy(count=3))
        store.trash_purge()
        assert [each.path for each in store.trash_list()] == [*deleted[-2:], "latest.txt"]


def _later(clock: Callable[[], float], seconds: float) -> float:
    return clock() + seconds


def test_the_oldest_goes_when_an_upload_fills_the_disk(small: Path) -> None:
    with Catalogue([Folder(small, "Card")], trash=TrashPolicy(share=1)) as store:
        for name in ("first", "second", "third"):
            store.delete(put(store, name, bytes(MIB)))
        upload = store.receive(FIRST, 0, "large", size=None, modified=None)
        for _ in range(5):
            upload.write(memoryview(bytes(MIB // 2)))
        upload.commit()
        assert (small / "large").stat().st_size == 5 * MIB // 2
        assert [path for _, path in listed(store)] == ["third"]


def test_the_oldest_goes_when_an_edit_needs_the_space(small: Path) -> None:
    with Catalogue([Folder(small, "Card")], trash=TrashPolicy(share=0.9)) as store:
        for name in ("one", "two"):
            store.delete(put(store, name, bytes(MIB)))
        handle = put(store, "file", b"1")
        edit = store.edit(handle)
        edit.truncate(MIB)
        edit.write(MIB, memoryview(bytes(MIB * 3 // 2)))
        assert [name for name, _ in listed(store)] == ["one", "two"]
        edit.write(0, memoryview(bytes(MIB)))
        assert [name for name, _ in listed(store)] == ["two"]
        with refused(Code.STORE_FULL):
            edit.truncate(5 * MIB)
        assert [name for name, _ in listed(store)] == ["two"]
        edit.truncate(7 * MIB // 2)
        assert listed(store) == []
        edit.commit()


def test_a_copy_of_a_folder_makes_room_too(small: Path) -> None:
    with Catalogue([Folder(small, "Card")], trash=TrashPolicy(share=1)) as store:
        store.delete(put(store, "old", bytes(2 * MIB)))
        folder = store.make_folder(FIRST, 0, "folder", modified=None).handle
        put(store, "file", bytes(3 * MIB // 2), parent=folder)
        target = store.make_folder(FIRST, 0, "target", modified=None).handle
        store.copy(folder, FIRST, target)
        assert (small / "target" / "folder" / "file").stat().st_size == 3 * MIB // 2
        assert store.trash_list() == []


@pytest.mark.parametrize("what", ["a large file", "many small files"])
def test_a_folder_that_cannot_fit_costs_no_trash(
    small: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """What a thousand files of a byte take is blocks."""
    with Catalogue([Folder(small, "Card")], trash=TrashPolicy(share=1)) as store:
        for name in ("first", "second", "third"):
            store.delete(put(store, name, bytes(MIB // 4)))
        folder, target = small / "folder", small / "target"
        folder.mkdir()
        target.mkdir()
        if what == "a large file":
            (folder / "file").write_bytes(bytes(5 * MIB // 2))
        else:
            for number in range(600):
                (folder / str(number)).write_bytes(b"1")
        monkeypatch.setattr(trees, "copy", None)  # it is not even tried
        with refused(Code.STORE_FULL):
            store.copy(find(store, "folder"), FIRST, find(store, "target"))
        assert [path for _, path in listed(store)] == ["first", "second", "third"]


@pytest.mark.parametrize("call", ["mkdir", "open", "copy_file_range", "write"])
def test_a_disk_that_gets_full_in_a_copy_is_given_room_and_nothing_is_written_twice(
    keeping: Catalogue, root: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    for name in ("first", "second", "third"):
        keeping.delete(put(keeping, name, b"1"))
    target = keeping.make_folder(FIRST, 0, "target", modified=None).handle
    handle, calls = find(keeping, "tree"), Counter[str]()

    def full_once(*arguments: Any, **named: Any) -> object:
        if call != "open" or arguments[1] & os.O_CREAT:
            calls[call] += 1
            if calls[call] == 2:
                raise OSError(errno.ENOSPC, "full")
        return getattr(os, call)(*arguments, **named)

    def no_range(*_: object) -> int:
        raise OSError(errno.EXDEV, "not here")

    def counted(*arguments: Any) -> None:
        calls["copies"] += 1
        copy(*arguments)

    copy = trees.copy
    ways = {"copy_file_range": no_range} if call == "write" else {}
    with monkeypatch.context() as patch:
        patch.setattr(trees, "copy", counted)
        patch.setattr(trees, "os", SimpleNamespace(**(vars(os) | ways | {call: full_once})))
        keeping.copy(handle, FIRST, target)
    assert calls["copies"] == 1
    assert calls[call] > 2
    assert [path for _, path in listed(keeping)] == ["second", "third"]
    copied = root / "target" / "tree"
    assert {str(each.relative_to(copied)) for each in copied.rglob("*")} == {
        str(each.relative_to(tree)) for each in tree.rglob("*")
    }
    assert (copied / "a/b/file").read_text() == "a/b"


def test_on_a_full_disk_things_can_be_deleted(small: Path) -> None:
    with Catalogue([Folder(small, "Card")], trash=TrashPolicy(share=1)) as store:
        handle = put(store, "first", bytes(MIB))
        upload = store.receive(FIRST, 0, "rest", size=None, modified=None)
        while os.statvfs(small).f_bavail:
            upload.write(memoryview(bytes(4096)))
        upload.commit()
        store.delete(handle)
        assert not (small / "first").exists()
        put(store, "next", bytes(MIB // 2))


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (TrashPolicy(days=30, share=1), ["day", "fresh"]),
        (TrashPolicy(days=365, share=1), ["month", "day", "fresh"]),
        (TrashPolicy(days=0, share=1), []),
        (TrashPolicy(days=365, share=1, count=2), ["day", "fresh"]),
        (TrashPolicy(days=365, share=2.5 / 4), ["day", "fresh"]),
        (TrashPolicy(days=365, share=0), []),
    ],
)
def test_what_is_kept(small: Path, policy: TrashPolicy, left: list[str]) -> None:
    ages = {"month": 31, "fresh": 0, "day": 1}
    for name, days in ages.items():
        plant(small, name, bytes(MIB), note=note(name, days * DAY))
    trash(small, "days.json").write_text(json.dumps({"seen": [today()], "kept": ages}))
    with Catalogue([Folder(small, "Card")], trash=policy) as store:
        assert store.trash_purge() == 3 - len(left)
        assert [name for name, _ in listed(store)] == left
    assert list(trash(small, "expunged").iterdir()) == []
    assert len(list(trash(small, "info").iterdir())) == len(left)


def today() -> int:
    return int(time.time()) // DAY


@pytest.mark.parametrize("jump", [1000, -1000, 20_000, -20_000])
def test_a_clock_that_is_wrong_at_a_start_costs_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    """Whatever the clock says at each of many starts, and back to the true time in between."""
    true = time.time()
    for start in range(100):
        wrong = true + (jump * DAY if start % 2 else 0)
        monkeypatch.setattr(time, "time", partial(float, wrong))
        with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
            if start == 0:
                store.delete(put(store, "file", b"1"))
            assert store.trash_purge() == 0
    assert trash(root, "files", "file").exists()


def test_a_clock_that_jumps_on_and_on_while_it_runs_costs_nothing(
    keeping: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.delete(put(keeping, "file", b"1"))
    for day in range(100):
        monkeypatch.setattr(time, "time", partial(float, day * 400 * DAY))
        assert keeping.trash_purge() == 0


def test_days_that_pass_are_counted_over_starts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the first day and one of the third: each goes when it has been there long enough.

    The day on which something came is not counted.
    """
    true, gone = time.time(), {}
    for day in range(40):
        monkeypatch.setattr(time, "time", partial(float, true + day * DAY))
        with Catalogue([Folder(root, "Card")], trash=TrashPolicy(days=30)) as store:
            for _ in range(3):  # several times a day
                if store.trash_purge():
                    gone[day] = [name for name, _ in listed(store)]
            if day in (0, 2):
                store.delete(put(store, f"file{day}", b"1"))
    assert gone == {31: ["file2"], 33: []}


def test_a_run_that_goes_on_counts_its_days(
    keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.delete(put(keeping, "file", b"1"))
    true, running = time.time(), time.monotonic()
    for day in range(31):
        monkeypatch.setattr(time, "time", partial(float, true + day * DAY))
        monkeypatch.setattr(time, "monotonic", partial(float, running + day * DAY))
        assert keeping.trash_purge() == (day == 30), day


def wait(monkeypatch: pytest.MonkeyPatch, *, days: int) -> None:
    """Let days pass while the program runs."""
    wall, running = time.time() + days * DAY, time.monotonic() + days * DAY
    monkeypatch.setattr(time, "time", partial(float, wall))
    monkeypatch.setattr(time, "monotonic", partial(float, running))


def keep_for(store: Catalogue, monkeypatch: pytest.MonkeyPatch, *, days: int) -> None:
    """Delete a file, which is in the trash for some days then; the day of its coming is none."""
    store.delete(put(store, "file", b"old"))
    for _ in range(days):
        assert store.trash_purge() == 0
        wait(monkeypatch, days=1)


@pytest.mark.parametrize("end", ["emptied", "restored", "emptied behind its back"])
def test_what_takes_a_name_that_was_left_has_all_its_days(
    keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """An empty trash is not counted, so that the file says 29 for a long time."""
    keep_for(keeping, monkeypatch, days=30)
    if end == "emptied":
        keeping.trash_empty()
    elif end == "restored":
        keeping.trash_restore(FIRST, "file")
        (root / "file").unlink()
    else:
        for each in ("files/file", "info/file.trashinfo"):
            trash(root, each).unlink()
    for day in range(31):
        wait(monkeypatch, days=1 if day else 90)
        if day == 0:
            keeping.delete(put(keeping, "file", b"new"))
        assert [name for name, _ in listed(keeping)] == ["file"]
        assert keeping.trash_purge() == (day == 30), day


def test_what_takes_a_name_on_the_day_on_which_it_was_purged_has_all_its_days(
    keeping: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_for(keeping, monkeypatch, days=30)
    assert keeping.trash_purge() == 1
    for replacing in (b"new", b"newer"):
        put(keeping, "file", replacing)
    assert [name for name, _ in listed(keeping)] == ["file"]
    assert keeping.trash_purge() == 0


def test_what_another_program_puts_there_by_a_known_name_has_all_its_days(
    keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_for(keeping, monkeypatch, days=30)
    with Catalogue([Folder(root, "Again")], trash=KEPT) as other:
        other.trash_empty()
        other.delete(put(other, "file", b"new"))
    for day in range(32):  # the one of its first look counts no more than that of its coming
        assert keeping.trash_purge() == (day == 31), day
        wait(monkeypatch, days=1)


def test_a_power_cut_makes_no_days_shorter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was written when it came: the file of the days is the newest, or any older one."""
    written = set()
    for cut in (*STEPS, (trash_module, "clear_away"), (trash_info, "remove")):
        with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
            keep_for(store, monkeypatch, days=30)
            written.add(trash(root, "days.json").read_text())
            cut_off(monkeypatch, *cut, store.trash_empty)
        for said in written:
            trash(root, "days.json").write_text(said)
            with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
                store.trash_empty()
                store.delete(put(store, "file", b"new"))
                assert store.trash_purge() == 0
                store.trash_empty()


def cut_off(
    monkeypatch: pytest.MonkeyPatch, module: object, step: str, act: Callable[[], object]
) -> None:
    """Let the power go at a step of some work, if it gets there."""

    def cut(*_: object, **__: object) -> None:
        raise PowerCutError

    with monkeypatch.context() as patch, suppress(PowerCutError):
        patch.setattr(module, step, cut)
        act()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"kept": 7, "seen": []}', '{"seen": [1], "kept": {"file": "x"}}', "\xff"),
        *('{"seen": [1], "kept": {"file": Infinity}}', "[" * 100_000),
    ],
)
def test_days_that_cannot_be_read_are_counted_anew(root: Path, text: str) -> None:
    plant(root, "file", note=note("file", 400 * DAY))
    trash(root, "days.json").write_text(text, encoding="latin-1")
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        assert store.trash_purge() == 0
    assert json.loads(trash(root, "days.json").read_text())["kept"] == {"file": 0}


def test_days_that_cannot_be_written_stop_nothing(
    keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.delete(put(keeping, "file", b"1"))
    trash(root, "days.json.new").mkdir()
    assert keeping.trash_purge() == 0
    assert not trash(root, "days.json").exists()


def test_a_clock_that_is_set_forward_costs_nothing(
    keeping: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.delete(put(keeping, "file", b"1"))
    later = time.time() + 1000 * DAY
    monkeypatch.setattr(time, "time", lambda: later)
    assert keeping.trash_purge() == 0


@pytest.mark.parametrize("jump", [1000 * DAY, -1000 * DAY])
def test_what_is_deleted_before_the_clock_is_set_gets_its_true_date(
    root: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    true = time.time()
    monkeypatch.setattr(time, "time", lambda: true - jump)
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        store.delete(put(store, "file", b"1"))
        monkeypatch.setattr(time, "time", lambda: true)
        store.delete(put(store, "later", b"1"))
        store.trash_purge()
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        assert store.trash_purge() == 0
        assert {item.path for item in store.trash_list()} == {"file", "later"}
        assert all(abs(item.deleted - true) < 60 for item in store.trash_list())
        assert len(list(trash(root, "info").iterdir())) == 2
        for name, _ in listed(store):
            store.trash_restore(FIRST, name)
    assert {each.name for each in root.iterdir()} >= {"file", "later"}


def test_nobody_waits_for_the_disk_while_many_dates_are_corrected(
    keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notes are synced together, and the lock is free meanwhile, in which one of them goes."""
    for number in range(50):
        keeping.delete(put(keeping, f"{number}", b"1"))
    true = time.time() + 1000 * DAY
    monkeypatch.setattr(time, "time", lambda: true)
    synced: list[bool] = []

    def noting(sync: Callable[[int], None], *, goes: str = "") -> Callable[[int], None]:
        def call(fd: int) -> None:
            synced.append(keeping._lock._is_owned())  # type: ignore[attr-defined]
            sync(fd)
            if goes:
                keeping.trash_empty(FIRST, goes)

        return call

    monkeypatch.setattr(os, "fsync", noting(os.fsync))
    together = noting(syscalls.sync_file_system, goes="7")
    monkeypatch.setattr(syscalls, "sync_file_system", together)
    keeping.trash_purge()
    assert len(synced) < 10
    assert not any(synced[:-1])  # the last one counts the day
    items = keeping.trash_list()
    assert len(items) == 49
    assert all(abs(item.deleted - true) < 60 for item in items)
    assert len(list(trash(root, "info").iterdir())) == 49


def test_a_date_that_cannot_be_corrected_hurts_nothing(
    keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.delete(put(keeping, "file", b"1"))
    keeping.delete(put(keeping, "lost", b"1"))
    trash(root, "info", "lost.trashinfo").unlink()
    later = time.time() + 1000 * DAY
    monkeypatch.setattr(time, "time", lambda: later)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(trash_info, "write", refuse)
    assert keeping.trash_purge() == 0
    assert sorted(path for _, path in listed(keeping)) == ["file", "lost"]


def test_emptying(both: Catalogue, root: Path, second: Path) -> None:
    for place in (root, second):
        for name in ("one", "two"):
            plant(place, name, note=note(name))
    assert both.trash_empty(FIRST, "one") == 1
    assert both.trash_empty(FIRST, "one") == 0
    assert both.trash_empty(SECOND) == 2
    assert [(item.storage_id, item.name) for item in both.trash_list()] == [(FIRST, "two")]
    assert both.trash_empty() == 1
    with refused(Code.INVALID_STORAGE_ID):
        both.trash_empty(0x00030001)


@pytest.mark.parametrize("name", ["", ".", "..", "../info", "../../../share", "/etc", "x\0"])
def test_no_name_leads_out_of_the_trash(keeping: Catalogue, root: Path, name: str) -> None:
    keeping.delete(put(keeping, "file", b"1"))
    assert keeping.trash_empty(FIRST, name) == 0
    with pytest.raises(ApplianceError):
        keeping.trash_restore(FIRST, name)
    assert trash(root, "info", "file.trashinfo").exists()


# Out


def test_what_is_restored_is_told_of(keeping: Catalogue, root: Path, tree: Path) -> None:
    keeping.delete(find(keeping, "tree/a/b/file"))
    keeping.delete(find(keeping, "tree/a"))
    changes = keeping.trash_restore(FIRST, "file")
    handles = [find(keeping, path) for path in ("tree/a", "tree/a/b", "tree/a/b/file")]
    assert changes == tuple(Change(ChangeKind.ADDED, each) for each in handles)
    assert (tree / "a/b/file").read_text() == "a/b"


def test_restoring_rescans_nothing(keeping: Catalogue, tree: Path, scans: dict[str, int]) -> None:
    at_rest(tree.parent, tree)
    names(keeping, find(keeping, "tree"))
    keeping.delete(find(keeping, "tree/file"))
    scans.clear()
    (change,) = keeping.trash_restore(FIRST, "file")
    assert names(keeping, find(keeping, "tree")) == ["a", "c", "file"]
    assert keeping.entry(change.number).name == "file"
    assert not scans


@pytest.mark.parametrize(
    ("name", "taken", "restored"),
    [
        ("a.txt", ["a.txt"], "a (2).txt"),
        ("a.txt", ["a.txt", "a (2).txt"], "a (3).txt"),
        (".rc", [".rc"], ".rc (2)"),
        ("noext", ["noext"], "noext (2)"),
        ("x" * 255, ["x" * 255], "x" * 251 + " (2)"),
    ],
)
def test_it_comes_over_nothing(
    keeping: Catalogue, root: Path, name: str, taken: list[str], restored: str
) -> None:
    keeping.delete(put(keeping, name, b"deleted"))
    for each in taken:
        (root / each).write_text("taken")
    keeping.trash_restore(FIRST, keeping.trash_list()[0].name)
    assert (root / restored).read_bytes() == b"deleted"
    assert all((root / each).read_text() == "taken" for each in taken)


@pytest.mark.parametrize("what", ["file", "link"])
def test_where_its_folder_cannot_be_it_comes_near(
    keeping: Catalogue, tree: Path, canary: Path, what: str
) -> None:
    keeping.delete(find(keeping, "tree/a/b/file"))
    (tree / "a" / "b").rmdir()
    if what == "file":
        (tree / "a" / "b").touch()
    else:
        (tree / "a" / "b").symlink_to(canary)
    keeping.trash_restore(FIRST, "file")
    assert (tree / "a" / "file (2)").read_text() == "a/b"


@pytest.mark.parametrize(
    "path",
    [
        "../../outside/new",
        "/etc/new",
        "a/../../new",
        "a/%2E%2E/%2e%2e/new",
        "a%2F..%2F..%2Fnew",
        f"{WORKPLACE}/trash/info/new",
        f"{WORKPLACE.upper()}/new",
        "a%00b",
        "",
        ".",
        "..",
        "a//b",
    ],
)
def test_a_note_leads_nowhere_outside(root: Path, canary: Path, path: str) -> None:
    plant(root, "file", note=note(path))
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        assert listed(store) == [("file", "file")]
        store.trash_restore(FIRST, "file")
    assert (root / "file").read_bytes() == b"planted"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[Trash Info]",
        "no note at all",
        "Path=%ZZ\nDeletionDate=never\nX-MTP-Appliance-Size=-5",
        "DeletionDate=0001-01-01T00:00:00\nX-MTP-Appliance-Size=" + "9" * 40,
        "\0" * 70_000,
    ],
)
def test_a_bad_note_stops_nothing(root: Path, text: str | None) -> None:
    plant(root, "file", note=text)
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        (item,) = store.trash_list()
        assert 0 < item.size < MIB
        assert store.storage(FIRST).free <= store.storage(FIRST).capacity
        store.trash_restore(FIRST, item.name)
        assert len(names(store)) == 1


def test_a_note_that_exaggerates_makes_no_space(root: Path) -> None:
    plant(root, "file", note=note("file", size=10**17))
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        record = store.storage(FIRST)
        assert record.free <= record.capacity


def test_links_in_the_trash_are_not_followed(root: Path, canary: Path) -> None:
    plant(root, "file", note=note("file"))
    trash(root, "files", "link").symlink_to(canary)
    trash(root, "files", "folder").mkdir()
    trash(root, "files", "folder", "link").symlink_to(canary)
    trash(root, "info", "file.trashinfo").unlink()
    trash(root, "info", "file.trashinfo").symlink_to(canary / "secret.txt")
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        with pytest.raises(ApplianceError, match="not in the trash"):
            store.trash_restore(FIRST, "link")
        assert {path for _, path in listed(store)} == {"file", "folder", "link"}
        assert store.trash_empty() == 3
    assert list(trash(root, "files").iterdir()) == []


def test_what_cannot_be_restored(keeping: Catalogue) -> None:
    with pytest.raises(ApplianceError, match="nothing is not in the trash"):
        keeping.trash_restore(FIRST, "nothing")
    with refused(Code.INVALID_STORAGE_ID):
        keeping.trash_restore(SECOND, "nothing")


def test_a_read_only_storage_keeps_its_trash_to_itself(root: Path) -> None:
    plant(root, "file", note=note("file"))
    with Catalogue([Folder(root, "Card", read_only=True)], trash=KEPT) as store:
        assert store.trash_list() == []
        with refused(Code.STORE_READ_ONLY):
            store.trash_restore(FIRST, "file")
        assert store.trash_empty() == 0
        with refused(Code.STORE_READ_ONLY):
            store.trash_empty(FIRST)
    assert trash(root, "files", "file").exists()


def test_a_storage_that_is_missing_hides_no_other(
    both: Catalogue, root: Path, second: Path
) -> None:
    plant(root, "file", note=note("file"))
    second.rename(second.with_name("gone"))
    assert listed(both) == [("file", "file")]
    assert both.trash_purge() == 0
    assert both.trash_empty() == 1


def test_a_storage_that_fails_keeps_no_other_from_being_purged(
    root: Path, second: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folders = [Folder(root, "Card"), Folder(second, "Stick")]
    for each in folders:
        plant(each.path, "file", note=note("file"))
    with Catalogue(folders, trash=TrashPolicy(days=0)) as store:
        bad = store._lookup.volumes.present(FIRST).trash

        def failing(one: trash_module.Trash) -> int:
            if one is bad:
                raise OSError(errno.EIO, "bad sector")
            return MIB

        with monkeypatch.context() as patch:
            patch.setattr(trash_module.Trash, "limit", property(failing))
            assert store.trash_purge() == 1
        assert "of Card could not be looked through" in caplog.text
        assert not trash(second, "files", "file").exists()
        assert store.trash_purge() == 1


def test_hidden_names_come_back_unseen(root: Path) -> None:
    plant(root, "one", note=note(".hidden/one"))
    plant(root, "two", note=note("folder/.two"))
    with Catalogue([Folder(root, "Card", hidden_files=False)], trash=KEPT) as store:
        assert store.trash_restore(FIRST, "one") == ()
        changes = store.trash_restore(FIRST, "two")
        assert [store.entry(each.number).name for each in changes] == ["folder"]
        assert names(store) == ["folder"]
    assert (root / ".hidden" / "one").exists()
    assert (root / "folder" / ".two").exists()


# Power cuts


class PowerCutError(BaseException):
    """Ends everything, as far as a test can."""


STEPS = [
    (trash_place, "_make"),
    (trash_info, "encode"),
    (os, "fsync"),
    (trash_place, "sync"),
    (syscalls, "rename_new"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize(
    ("module", "step"), STEPS, ids=["make", "encode", "fsync", "sync", "rename"]
)
def test_a_power_cut_while_deleting(
    root: Path,
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    module: object,
    step: str,
    number: int,
    after: bool,
) -> None:
    store = Catalogue([Folder(root, "Card")], trash=KEPT)
    handle = find(store, "tree")
    original = getattr(module, step)
    left = [number]

    def cut(*arguments: object, **named: object) -> object:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise PowerCutError
        result = original(*arguments, **named)
        if left[0] == 0:
            raise PowerCutError
        return result

    with monkeypatch.context() as patch:
        patch.setattr(module, step, cut)
        with suppress(PowerCutError):
            store.delete(handle)
    store._lookup.volumes.present(FIRST).directories.close()  # as the kernel does: no cleaning up
    check_nothing_is_lost(root, tree)


def check_nothing_is_lost(root: Path, tree: Path) -> None:
    """The tree is in its place or in the trash, whole, once; and nothing else is in the trash."""
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        items = store.trash_list()
        assert len(items) + tree.exists() == 1
        for item in items:
            store.trash_restore(FIRST, item.name)
        assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*")) == [
            *("a", "a/b", "a/b/file", "a/file", "c", "c/file", "file"),
        ]
    assert list(trash(root).glob("*/*")) == []


def test_a_power_cut_while_expunging(
    root: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        store.delete(find(store, "tree"))

        def cut(*_: object) -> None:
            raise PowerCutError

        with monkeypatch.context() as patch, pytest.raises(PowerCutError):
            patch.setattr(trash_module, "clear_away", cut)
            store.trash_empty()
    assert list(trash(root, "expunged").iterdir())
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        assert store.trash_list() == []
    assert list(trash(root).glob("*/*")) == []


def test_a_power_cut_while_replacing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        put(store, "file", b"old")
        upload = begin(store, "file", b"new")

        def cut(*_: object) -> None:
            raise PowerCutError

        with monkeypatch.context() as patch, pytest.raises(PowerCutError):
            patch.setattr(trash_module.Trash, "put", cut)
            upload.commit()
        assert (root / "file").read_bytes() == b"new"
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        assert names(store) == ["file"]
    assert list(trash(root).glob("*/*")) == []


def test_a_program_that_starts_leaves_our_note_alone(
    keeping: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the note and the object."""
    handle = put(keeping, "file", b"1")
    rename = syscalls.rename_new

    def late(*arguments: object) -> None:
        with Catalogue([Folder(root, "Again")], trash=KEPT) as other:
            other.storage(FIRST)
        rename(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "rename_new", late)
        keeping.delete(handle)
    assert listed(keeping) == [("file", "file")]
    assert trash(root, "info", "file.trashinfo").exists()


def test_what_another_program_does_there_is_seen(keeping: Catalogue, root: Path) -> None:
    keeping.delete(put(keeping, "file", b"1"))
    free = keeping.storage(FIRST).free
    with Catalogue([Folder(root, "Again")], trash=KEPT) as other:
        other.delete(put(other, "other", bytes(MIB)))
        other.trash_empty(FIRST, "file")
    assert [path for _, path in listed(keeping)] == ["other"]
    assert keeping.storage(FIRST).free > free - 64 * MIB


def test_a_date_in_the_future_is_now(root: Path) -> None:
    plant(root, "file", note=note("file", -1000 * DAY))
    with Catalogue([Folder(root, "Card")], trash=KEPT) as store:
        assert store.trash_purge() == 0
        assert len(store.trash_list()) == 1


# Threads


def test_many_at_once(keeping: Catalogue, root: Path) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for count in range(20):
                keeping.delete(put(keeping, f"{number}-{count}", b"1"))
                keeping.storage(FIRST)
                if count % 5 == 0:
                    keeping.trash_restore(FIRST, f"{number}-{count}")
                if count % 7 == 0:
                    keeping.trash_empty(FIRST, f"{number}-{count}")
        except BaseException as error:
            failed.append(error)
            raise

    before = open_descriptors()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sorted(names(keeping)) == sorted(f"{n}-{c}" for n in range(4) for c in (0, 5, 10, 15))
    assert len(keeping.trash_list()) == 4 * (20 - 4 - 2)
    assert open_descriptors() - before < 24
    assert keeping._lookup.volumes.present(FIRST).trash.size == sum(
        item.size for item in keeping.trash_list()
    )
