# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages that come, go and change while they are used."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import ApplianceError
from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Change, ChangeKind
from appliance.storage import Catalogue, Folder, trees
from appliance.storage.storages import State
from tests.unit.storage.ear import Ear
from tests.unit.storage.helpers import (
    FIRST,
    SECOND,
    WORKPLACE,
    begin,
    content,
    find,
    mount,
    names,
    open_descriptors,
    put,
    refused,
)
from tests.unit.storage.test_threads import together
from tests.unit.storage.test_watching import listed

Kind = ChangeKind
Act = Callable[[Catalogue], None]
AWAY: dict[str, tuple[Act, Act]] = {
    "removed": (lambda store: store.remove_storage(FIRST), lambda store: None),
    "ejected": (lambda store: store.eject(FIRST), lambda store: store.load(FIRST)),
    "locked": (lambda store: store.lock(), lambda store: store.unlock()),
}


@pytest.fixture(params=[False, True], ids=["unwatched", "watched"])
def shelf(request: pytest.FixtureRequest, root: Path, second: Path) -> Iterator[Catalogue]:
    """Serve two folders, watched or not."""
    folders = [Folder(root, "Card"), Folder(second, "Stick")]
    with Catalogue(folders, watch=request.param) as store:
        yield store


@pytest.fixture
def told(shelf: Catalogue) -> list[tuple[Kind, int]]:
    """What was told of storages; it is told before the method returns, or soon after."""
    changes: list[tuple[Kind, int]] = []

    def take(change: Change) -> None:
        if change.kind is not Kind.STORAGE_INFO:
            changes.append((change.kind, change.number))

    shelf.listen(take)
    return changes


def states(store: Catalogue) -> dict[str, State]:
    return {each.name: each.state for each in store.storages()}


def wait_for(told: list[tuple[Kind, int]], expected: list[tuple[Kind, int]]) -> None:
    deadline = threading.Event()
    for _ in range(2000):
        if told == expected:
            return
        deadline.wait(0.01)
    assert told == expected


def test_adding_and_removing(
    shelf: Catalogue, tmp_path: Path, told: list[tuple[Kind, int]]
) -> None:
    third = tmp_path / "third"
    third.mkdir()
    (third / "file").touch()
    added = shelf.add_storage(Folder(third, "Third", read_only=True))
    assert shelf.storage_ids() == (FIRST, SECOND, added)
    assert names(shelf, storage=added) == ["file"]
    assert shelf.storages()[2].read_only
    file = find(shelf, "file", storage=added)
    shelf.remove_storage(added)
    assert shelf.storage_ids() == (FIRST, SECOND)
    with refused(Code.INVALID_OBJECT_HANDLE):
        shelf.record(file)
    with refused(Code.INVALID_STORAGE_ID):
        shelf.storage(added)
    again = shelf.add_storage(Folder(third, "Third"))
    assert again not in (FIRST, SECOND, added)
    assert find(shelf, "file", storage=again) != file
    kinds = [(Kind.STORAGE_ADDED, added), (Kind.STORAGE_REMOVED, added)]
    wait_for(told, [*kinds, (Kind.STORAGE_ADDED, again)])


@pytest.mark.parametrize(
    ("name", "place", "complaint"),
    [
        ("Card", "third", "two storages are named Card"),
        ("Third", "share", "given twice"),
        ("Third", "nothing", "does not exist"),
        ("", "third", "cannot be a storage's name"),
    ],
)
def test_what_cannot_be_added(
    shelf: Catalogue, tmp_path: Path, name: str, place: str, complaint: str
) -> None:
    (tmp_path / "third").mkdir()
    with pytest.raises(ApplianceError, match=complaint):
        shelf.add_storage(Folder(tmp_path / place, name))
    assert shelf.storage_ids() == (FIRST, SECOND)


@pytest.mark.parametrize("method", ["remove_storage", "eject", "load"])
def test_a_storage_that_there_is_not(shelf: Catalogue, method: str) -> None:
    with pytest.raises(ApplianceError, match="no storage 990001"):
        getattr(shelf, method)(0x990001)


@pytest.mark.parametrize("way", ["ejected", "locked"])
def test_away_and_back(
    shelf: Catalogue, root: Path, told: list[tuple[Kind, int]], way: str
) -> None:
    away, back = AWAY[way]
    (root / "folder" / "inner").mkdir(parents=True)
    before = listed(shelf)
    away(shelf)
    away(shelf)
    ids = (FIRST,) if way == "ejected" else (FIRST, SECOND)
    assert not set(shelf.storage_ids()) & set(ids)
    for act in (
        lambda: shelf.storage(FIRST),
        lambda: shelf.children(FIRST, 0),
        lambda: shelf.record(before["folder"]),
        lambda: shelf.entry(before["inner"]),
        lambda: shelf.delete(before["folder"]),
        lambda: shelf.rename(before["folder"], "other"),
        lambda: begin(shelf, "file"),
        lambda: shelf.make_folder(FIRST, 0, "new", modified=None),
        lambda: shelf.unique_id(before["folder"]),
    ):
        with refused(Code.STORE_NOT_AVAILABLE):
            act()
    assert list(shelf.records([before["folder"]])) == [None]
    (root / "meanwhile").mkdir()
    back(shelf)
    back(shelf)
    assert shelf.storage_ids() == (FIRST, SECOND)
    assert listed(shelf) == {**before, "meanwhile": find(shelf, "meanwhile")}
    gone, come = (
        [(kind, each) for each in ids] for kind in (Kind.STORAGE_REMOVED, Kind.STORAGE_ADDED)
    )
    wait_for([each for each in told if each[0] in (gone[0][0], come[0][0])], [*gone, *come])


def test_ejected_while_locked(shelf: Catalogue, told: list[tuple[Kind, int]]) -> None:
    shelf.lock()
    assert set(states(shelf).values()) == {State.LOCKED}
    shelf.eject(SECOND)
    shelf.unlock()
    assert states(shelf) == {"Card": State.IN, "Stick": State.EJECTED}
    shelf.load(SECOND)
    assert states(shelf) == {"Card": State.IN, "Stick": State.IN}
    gone = [(Kind.STORAGE_REMOVED, each) for each in (FIRST, SECOND)]
    wait_for(told, [*gone, *((Kind.STORAGE_ADDED, each) for each in (FIRST, SECOND))])


def test_loaded_while_locked(shelf: Catalogue, tmp_path: Path) -> None:
    """It comes back alone, and what is added then is seen too."""
    shelf.lock()
    shelf.load(SECOND)
    assert states(shelf) == {"Card": State.LOCKED, "Stick": State.IN}
    (tmp_path / "third").mkdir()
    added = shelf.add_storage(Folder(tmp_path / "third", "Third"))
    assert shelf.storage_ids() == (SECOND, added)
    shelf.unlock()
    assert shelf.storage_ids() == (FIRST, SECOND, added)


def test_added_while_locked(shelf: Catalogue, tmp_path: Path, told: list[tuple[Kind, int]]) -> None:
    shelf.lock()
    (tmp_path / "third").mkdir()
    added = shelf.add_storage(Folder(tmp_path / "third", "Third"))
    assert shelf.storage_ids() == ()
    shelf.remove_storage(SECOND)
    shelf.unlock()
    assert shelf.storage_ids() == (FIRST, added)
    gone = [(Kind.STORAGE_REMOVED, each) for each in (FIRST, SECOND)]
    wait_for(told, [*gone, *((Kind.STORAGE_ADDED, each) for each in (FIRST, added))])


def test_read_only(shelf: Catalogue, root: Path) -> None:
    (root / "file").touch()
    upload = begin(shelf, "late", b"123")
    shelf.set_read_only(FIRST, read_only=True)
    assert shelf.storage(FIRST).read_only
    for act in (
        upload.commit,
        lambda: begin(shelf, "new"),
        lambda: shelf.delete(find(shelf, "file")),
    ):
        with refused(Code.STORE_READ_ONLY):
            act()
    shelf.set_read_only(FIRST, read_only=False)
    put(shelf, "new", b"1")
    assert names(shelf) == ["file", "new"]


def test_read_only_is_told_once(shelf: Catalogue) -> None:
    told: list[Change] = []
    shelf.listen(told.append)
    for wish in (True, True, False):
        shelf.set_read_only(SECOND, read_only=wish)
    ours = [each for each in told if each.number == SECOND]
    assert ours[:2] == [Change(Kind.STORAGE_INFO, SECOND)] * 2


# What is under way


@pytest.mark.parametrize("way", AWAY)
def test_transfers_end_when_the_storage_goes(shelf: Catalogue, root: Path, way: str) -> None:
    away, back = AWAY[way]
    (root / "file").write_bytes(b"1" * 100)
    file = find(shelf, "file")
    before = open_descriptors()
    source, edit = shelf.open(file), shelf.edit(file)
    writing, committing = begin(shelf, "writing", b"12"), begin(shelf, "committing", b"12")
    away(shelf)
    for again in (False, True):
        with refused(Code.STORE_NOT_AVAILABLE):
            source.read_into(memoryview(bytearray(10)))
        with refused(Code.STORE_NOT_AVAILABLE):
            edit.truncate(0)
        if not again:
            with refused(Code.STORE_NOT_AVAILABLE):
                writing.write(memoryview(b"3"))
            back(shelf)
    with refused(Code.STORE_NOT_AVAILABLE):
        committing.commit()
    source.close()
    edit.commit()
    assert sorted(each.name for each in root.iterdir() if each.name != WORKPLACE) == ["file"]
    assert not list(root.glob(f"{WORKPLACE}/*/*"))
    assert (root / "file").stat().st_size == 100
    shelf.close()
    assert open_descriptors() <= before
    assert not (root / WORKPLACE).exists()


@pytest.mark.parametrize("way", AWAY)
def test_a_copy_ends_when_its_storage_goes(
    shelf: Catalogue, root: Path, second: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, _ = AWAY[way]
    (second / "folder").mkdir()
    (second / "folder" / "file").write_text("1")
    folder = find(shelf, "folder", storage=SECOND)
    copy = trees.copy

    def copying(*arguments: int | bytes) -> None:
        copy(*arguments)  # type: ignore[arg-type]
        away(shelf)

    monkeypatch.setattr(trees, "copy", copying)
    with refused(Code.STORE_NOT_AVAILABLE):
        shelf.copy(folder, FIRST, 0)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("way", AWAY)
def test_nothing_stays_open(shelf: Catalogue, root: Path, way: str) -> None:
    (root / "folder" / "inner").mkdir(parents=True)
    put(shelf, "file", b"1", parent=find(shelf, "folder/inner"))
    begin(shelf, "given up", b"1").discard()
    AWAY[way][0](shelf)
    links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    assert [each for each in links if each.is_relative_to(root)] == []
    assert sorted(each.name for each in root.iterdir()) == ["folder"]


@pytest.mark.parametrize("way", AWAY)
def test_what_an_idle_pc_holds_open_is_closed(shelf: Catalogue, root: Path, way: str) -> None:
    (root / "file").write_bytes(b"old")
    edit = shelf.edit(find(shelf, "file"))
    edit.write(0, memoryview(b"new"))
    announced = begin(shelf, "announced", b"1")
    AWAY[way][0](shelf)
    links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    assert [each for each in links if str(each).startswith(str(root))] == []
    assert [(each.name, each.read_bytes()) for each in root.iterdir()] == [("file", b"new")]
    for late in (edit.commit, announced.discard):
        late()


@pytest.mark.parametrize("what", ["folder", "folder/file"])
@pytest.mark.parametrize("leaves", [FIRST, SECOND])
def test_an_edit_goes_along_to_another_storage(
    shelf: Catalogue, root: Path, second: Path, what: str, leaves: int
) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").write_bytes(b"old")
    file = find(shelf, "folder/file")
    edit = shelf.edit(file)
    shelf.move(find(shelf, what), SECOND, 0)
    edit.write(0, memoryview(b"new"))
    shelf.eject(leaves)
    if leaves == FIRST:
        edit.write(3, memoryview(b"er"))
    else:
        with refused(Code.STORE_NOT_AVAILABLE):
            edit.write(3, memoryview(b"er"))
    edit.commit()
    (there,) = second.rglob("file")
    assert there.read_bytes() == (b"newer" if leaves == FIRST else b"new")


def test_changes_while_a_storage_is_away_are_found_when_it_is_back(
    watched: Catalogue, root: Path, ear: Ear
) -> None:
    (root / "stays").mkdir()
    (root / "goes").mkdir()
    before = listed(watched)
    ear.all()
    watched.eject(FIRST)
    (root / "goes").rmdir()
    (root / "stays" / "new").touch()
    watched.load(FIRST)
    assert listed(watched)["stays"] == before["stays"]
    assert {"new", "stays", "goes"} & set(listed(watched)) == {"new", "stays"}
    ear.all()
    (root / "stays" / "later").touch()
    assert (Kind.ADDED, find(watched, "stays/later")) in ear.all()


def test_references_to_and_from_what_is_away(shelf: Catalogue, root: Path, second: Path) -> None:
    (root / "here").touch()
    (second / "there").touch()
    here, there = find(shelf, "here"), find(shelf, "there", storage=SECOND)
    shelf.set_references(here, [there])
    shelf.set_references(there, [here])
    shelf.eject(SECOND)
    assert list(shelf.references(here)) == []
    (root / "more").touch()
    more = find(shelf, "more")
    shelf.set_references(more, [here])
    with refused(Code.STORE_NOT_AVAILABLE):
        shelf.references(there)
    with refused(Code.STORE_NOT_AVAILABLE):
        shelf.set_references(there, [])
    shelf.load(SECOND)
    assert list(shelf.references(here)) == [there]
    assert list(shelf.references(there)) == [here]
    assert list(shelf.references(more)) == [here]


# Roots that vanish


def test_a_root_that_vanishes_and_comes_back(shelf: Catalogue, root: Path) -> None:
    (root / "file").touch()
    file = find(shelf, "file")
    root.rename(root.with_name("elsewhere"))
    assert states(shelf) == {"Card": State.MISSING, "Stick": State.IN}
    with refused(Code.STORE_NOT_AVAILABLE):
        shelf.record(file)
    with refused(Code.STORE_NOT_AVAILABLE):
        shelf.children(FIRST, 0)
    root.with_name("elsewhere").rename(root)
    assert states(shelf) == {"Card": State.IN, "Stick": State.IN}
    assert shelf.record(file).name == "file"


def test_loading_what_is_not_there(shelf: Catalogue, root: Path) -> None:
    shelf.eject(FIRST)
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(ApplianceError, match="cannot be served"):
        shelf.load(FIRST)
    assert states(shelf)["Card"] is State.EJECTED
    root.with_name("elsewhere").rename(root)
    shelf.load(FIRST)
    assert shelf.storage_ids() == (FIRST, SECOND)


# At once


def test_storages_come_and_go_under_many_hands(shelf: Catalogue, tmp_path: Path) -> None:
    places = [tmp_path / f"place {number}" for number in range(8)]
    for place in places:
        place.mkdir()

    def shift(number: int) -> None:
        for _ in range(10):
            added = shelf.add_storage(Folder(places[number], f"Place {number}"))
            shelf.eject(added)
            shelf.load(added)
            shelf.remove_storage(added)

    def use(number: int) -> None:
        for _ in range(40):
            for storage_id in shelf.storage_ids():
                try:
                    folder = shelf.make_folder(storage_id, 0, f"{number}", modified=None).handle
                    upload = shelf.receive(storage_id, folder, "x", size=1, modified=None)
                    upload.write(memoryview(b"1"))
                    upload.commit()
                    shelf.delete(folder)
                except MtpError:
                    continue

    works: list[Callable[[int], None]] = [shift, use]
    together(lambda number: works[number % 2](number))
    assert shelf.storage_ids() == (FIRST, SECOND)
    links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    assert [each for each in links if each.name.startswith("place")] == []
    for place in places:
        assert not list(place.glob(f"{WORKPLACE}/*"))


# Disks


@pytest.fixture
def stick(second: Path) -> Iterator[Path]:
    """A disk that is mounted where the second storage is."""
    if not mount("-t", "tmpfs", "-o", "size=1m", "none", str(second)):
        pytest.skip("this machine lets us mount nothing")
    yield second
    subprocess.run(["umount", "--lazy", str(second)], check=False, capture_output=True)


def unmount(place: Path, *options: str) -> None:
    subprocess.run(["umount", *options, str(place)], check=True)


def test_an_ejected_disk_can_be_taken_out(root: Path, stick: Path, watched_or_not: bool) -> None:
    folders = [Folder(root, "Card"), Folder(stick, "Stick")]
    with Catalogue(folders, watch=watched_or_not) as store:
        upload = store.receive(SECOND, 0, "file", size=1, modified=None)
        upload.write(memoryview(b"1"))
        upload.commit()
        listed(store, storage=SECOND)
        edit = store.edit(upload.handle)
        edit.write(0, memoryview(b"2"))
        announced = begin(store, "announced", b"1", storage=SECOND)
        store.eject(SECOND)
        unmount(stick)
        with refused(Code.STORE_NOT_AVAILABLE):
            edit.write(0, memoryview(b"3"))
        with refused(Code.STORE_NOT_AVAILABLE):
            announced.write(memoryview(b"3"))
        edit.commit()
        with pytest.raises(ApplianceError, match="cannot be served"):
            store.load(SECOND)
        assert mount("-t", "tmpfs", "-o", "size=1m", "none", str(stick))
        (stick / "another").touch()
        store.load(SECOND)
        assert names(store, storage=SECOND) == ["another"]


def test_a_disk_that_is_torn_out(root: Path, stick: Path, watched_or_not: bool) -> None:
    folders = [Folder(root, "Card"), Folder(stick, "Stick")]
    with Catalogue(folders, watch=watched_or_not) as store:
        (stick / "folder").mkdir()
        listed(store, storage=SECOND)
        unmount(stick, "--lazy")
        assert states(store) == {"Card": State.IN, "Stick": State.MISSING}
        for act in (
            lambda: store.children(SECOND, 0),
            lambda: store.make_folder(SECOND, 0, "new", modified=None),
        ):
            with refused(Code.STORE_NOT_AVAILABLE):
                act()
        assert list(stick.iterdir()) == []
        assert mount("-t", "tmpfs", "-o", "size=1m", "none", str(stick))
        (stick / "another").touch()
        assert names(store, storage=SECOND) == ["another"]
        if watched_or_not:
            store.children(FIRST, 0)
            ear = Ear(store, root)
            (stick / "later").mkdir()
            assert ear.all() == [(Kind.ADDED, find(store, "later", storage=SECOND))]


@pytest.fixture(params=[False, True], ids=["unwatched", "watched"])
def watched_or_not(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# What has begun when a storage becomes read-only


def test_an_edit_ends_when_the_storage_becomes_read_only(shelf: Catalogue, root: Path) -> None:
    edit = shelf.edit(put(shelf, "file", b"0000"))
    edit.write(0, memoryview(b"11"))
    shelf.set_read_only(FIRST, read_only=True)
    with refused(Code.STORE_READ_ONLY):
        edit.write(2, memoryview(b"22"))
    with refused(Code.STORE_READ_ONLY):
        edit.truncate(1)
    edit.commit()
    assert (root / "file").read_bytes() == b"1100"
    shelf.set_read_only(FIRST, read_only=False)
    again = shelf.edit(find(shelf, "file"))
    again.write(2, memoryview(b"22"))
    again.commit()
    assert (root / "file").read_bytes() == b"1122"


def test_an_upload_ends_when_the_storage_becomes_read_only(shelf: Catalogue, root: Path) -> None:
    upload, announced = begin(shelf, "file", b"1"), begin(shelf, "other")
    shelf.set_read_only(FIRST, read_only=True)
    with refused(Code.STORE_READ_ONLY):
        upload.write(memoryview(b"2"))
    with refused(Code.STORE_READ_ONLY):
        announced.commit()
    assert list(root.glob(f"{WORKPLACE}/*/*")) == []
    assert names(shelf) == []


@pytest.mark.parametrize("act", ["copy", "move"])
def test_a_copy_does_not_come_into_a_storage_that_became_read_only(
    far: Catalogue, second: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    _become_read_only(far, SECOND, monkeypatch)
    file = put(far, "file", b"1")
    with refused(Code.STORE_READ_ONLY):
        getattr(far, act)(file, SECOND, 0)
    assert [each.name for each in second.iterdir() if each.name != WORKPLACE] == []
    assert list(second.glob(f"{WORKPLACE}/*/*")) == []
    assert content(far, file) == b"1"


def test_nothing_is_moved_out_of_a_storage_that_became_read_only(
    far: Catalogue, root: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _become_read_only(far, FIRST, monkeypatch)
    file = put(far, "file", b"1")
    with refused(Code.STORE_READ_ONLY):
        far.move(file, SECOND, 0)
    assert (root / "file").read_bytes() == b"1"
    assert [each.name for each in second.iterdir() if each.name != WORKPLACE] == []


def _become_read_only(store: Catalogue, storage: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a person do that while something is copied."""
    copy = trees.copy

    def slow(*how: Any) -> None:
        copy(*how)
        person = threading.Thread(
            target=store.set_read_only, args=(storage,), kwargs={"read_only": True}
        )
        person.start()
        person.join()

    monkeypatch.setattr(trees, "copy", slow)
