# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are mounted on a storage's folder, or in it, while it is served."""

import os
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.ports import Change, ChangeKind
from appliance.storage import Catalogue, Folder, WriteSafety
from appliance.storage.storages import State
from tests.unit.storage.helpers import (
    FIRST,
    WORKPLACE,
    at_rest,
    begin,
    content,
    find,
    mount,
    names,
    open_descriptors,
    put,
    refused,
    wait_until,
)

Disk = Callable[[Path], None]
MIB = 1 << 20


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Mount a disk of 1 MiB somewhere, with a file on it."""
    places: list[Path] = []

    def put_in(place: Path) -> None:
        if not mount("-t", "tmpfs", "-o", "size=1m", "none", str(place)):
            pytest.skip("this machine lets us mount nothing")
        places.append(place)
        (place / "on the disk").touch()

    yield put_in
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


@pytest.fixture(params=[False, True], ids=["unwatched", "watched"])
def serving(request: pytest.FixtureRequest, root: Path) -> Iterator[Catalogue]:
    with Catalogue([Folder(root, "Card")], watch=request.param, renew=request.param) as store:
        yield store


def take_away(root: Path) -> None:
    subprocess.run(["umount", "--lazy", str(root)], check=True)


def beneath(root: Path) -> list[str]:
    """What lies where a disk was mounted, after it has been taken away."""
    take_away(root)
    return [each.name for each in root.iterdir()]


def test_a_disk_that_comes_later_is_what_is_served(
    serving: Catalogue, root: Path, disk: Disk
) -> None:
    (root / "of the card").touch()
    put(serving, "first", b"1")
    assert sorted(names(serving)) == ["first", "of the card"]
    gone = find(serving, "of the card")
    disk(root)
    assert names(serving) == ["on the disk"]
    assert serving.storage(FIRST).capacity == MIB
    with refused(Code.INVALID_OBJECT_HANDLE):
        serving.record(gone)
    put(serving, "second", b"2")
    serving.make_folder(FIRST, 0, "folder", modified=None)
    assert sorted(names(serving)) == ["folder", "on the disk", "second"]
    assert (root / "second").read_bytes() == b"2"
    assert sorted(beneath(root)) == ["first", "of the card"]


def test_an_upload_is_the_first_to_meet_it(serving: Catalogue, root: Path, disk: Disk) -> None:
    put(serving, "first", b"1")
    disk(root)
    put(serving, "second", b"2")
    assert (root / "second").read_bytes() == b"2"
    assert beneath(root) == ["first"]


def test_an_upload_meets_it_while_the_thread_waits_to_look(root: Path, disk: Disk) -> None:
    """The thread was told of it first, and cannot look before the upload has let it."""
    with Catalogue([Folder(root, "Card")], watch=True) as store:
        put(store, "first", b"1")
        threading.Event().wait(1)
        with store._lock:
            disk(root)
            threading.Event().wait(0.2)
            put(store, "second", b"2")
        assert (root / "second").read_bytes() == b"2"
        assert beneath(root) == ["first"]


def test_what_is_under_way_ends(serving: Catalogue, root: Path, disk: Disk) -> None:
    edit = serving.edit(put(serving, "first", b"1"))
    edit.write(0, memoryview(b"2"))
    upload = begin(serving, "second", b"1")
    disk(root)
    assert names(serving) == ["on the disk"]
    with refused(Code.STORE_NOT_AVAILABLE):
        edit.write(0, memoryview(b"3"))
    with refused(Code.STORE_NOT_AVAILABLE):
        upload.commit()
    with refused(Code.INVALID_OBJECT_HANDLE):  # what it has written is not in the storage
        edit.commit()
    assert names(serving) == ["on the disk"]
    assert beneath(root) == ["first"]
    assert (root / "first").read_bytes() == b"2"


def test_it_is_the_storage_from_then_on(serving: Catalogue, root: Path, disk: Disk) -> None:
    """What lies beneath is not served in its place when it goes."""
    put(serving, "first", b"1")
    disk(root)
    assert names(serving) == ["on the disk"]
    assert beneath(root) == ["first"]
    assert [each.state for each in serving.storages()] == [State.MISSING]
    with refused(Code.STORE_NOT_AVAILABLE):
        begin(serving, "second")
    disk(root)
    assert names(serving) == ["on the disk"]
    put(serving, "second", b"2")
    assert (root / "second").exists()


@pytest.mark.parametrize("depth", ["a", "a/b"])
def test_a_disk_in_a_folder_is_not_served(
    serving: Catalogue, root: Path, disk: Disk, depth: str
) -> None:
    (root / "a" / "b" / "c").mkdir(parents=True)
    below = find(serving, "a/b/c")
    put(serving, "first", b"1", parent=below)
    disk(root / depth)
    assert len(serving.tree(FIRST)) == depth.count("/")
    with refused(Code.INVALID_PARENT_OBJECT):
        begin(serving, "second", parent=below)
    subprocess.run(["umount", "--lazy", str(root / depth)], check=True)
    assert content(serving, find(serving, "a/b/c/first")) == b"1"


def test_a_disk_above(serving: Catalogue, root: Path, disk: Disk) -> None:
    put(serving, "first", b"1")
    disk(root.parent)
    with refused(Code.STORE_NOT_AVAILABLE):
        serving.children(FIRST, 0)
    with refused(Code.STORE_NOT_AVAILABLE):
        begin(serving, "second")
    subprocess.run(["umount", "--lazy", str(root.parent)], check=True)
    assert names(serving) == ["first"]


def test_a_disk_elsewhere_changes_nothing(
    serving: Catalogue, root: Path, tmp_path: Path, disk: Disk
) -> None:
    edit = serving.edit(put(serving, "first", b"1"))
    upload = begin(serving, "second", b"1")
    for name in ("share2", "elsewhere"):
        (tmp_path / name).mkdir()
        disk(tmp_path / name)
        assert names(serving) == ["first"]
    edit.write(0, memoryview(b"2"))
    edit.commit()
    upload.commit()
    assert sorted(names(serving)) == ["first", "second"]


def test_it_is_told(root: Path, disk: Disk) -> None:
    (root / "of the card").touch()
    with Catalogue([Folder(root, "Card")], watch=True) as store:
        gone = find(store, "of the card")
        told: list[tuple[ChangeKind, int]] = []
        store.listen(lambda change: told.append((change.kind, change.number)))
        disk(root)
        wait_until(lambda: len(told) >= 2)
        assert (ChangeKind.REMOVED, gone) in told
        assert (ChangeKind.ADDED, find(store, "on the disk")) in told
        told.clear()
        (root / "later").touch()
        wait_until(lambda: bool(told))
        assert (ChangeKind.ADDED, find(store, "later")) in told


def test_who_reads_by_a_handle_that_was_known_sees_it_soon(root: Path, disk: Disk) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").touch()
    with Catalogue([Folder(root, "Card")], watch=True) as store:
        file = find(store, "folder/file")
        disk(root)
        wait_until(lambda: file not in list(store.tree(FIRST)))
        with refused(Code.INVALID_OBJECT_HANDLE):
            store.record(file)


def test_what_was_left_on_it_is_removed(serving: Catalogue, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / WORKPLACE / "1-gone").mkdir(parents=True)
    if not mount("--bind", str(other), str(root)):
        pytest.skip("this machine lets us mount nothing")
    try:
        assert names(serving) == []
        assert not (root / WORKPLACE).exists()
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


def test_nothing_stays_open_of_what_lies_beneath(root: Path, disk: Disk) -> None:
    before = open_descriptors()
    store = Catalogue([Folder(root, "Card")], write_safety=WriteSafety.FAST)
    put(store, "first", b"1")
    disk(root)
    put(store, "second", b"1")
    store.close()
    assert open_descriptors() == before


def test_a_disk_elsewhere_has_nothing_scanned_anew(
    serving: Catalogue, root: Path, tmp_path: Path, disk: Disk, scans: Counter[str]
) -> None:
    at_rest(root)
    assert names(serving) == []
    (tmp_path / "elsewhere").mkdir()
    disk(tmp_path / "elsewhere")
    assert names(serving) == []
    assert scans[str(root)] == 1


def test_events_that_are_lost_when_it_comes(root: Path, disk: Disk) -> None:
    """All folders are looked through then, those on the disk too."""
    with Catalogue([Folder(root, "Card")], watch=True) as store:
        assert names(store) == []
        told: list[int] = []
        store.listen(
            lambda change: told.append(change.number) if change.kind is ChangeKind.ADDED else None
        )
        watching = store._watching
        assert watching is not None
        with store._lock:
            disk(root)
            store._lookup.look_at_mounts()
            watching._look_everywhere()
            watching.wake()
        wait_until(lambda: bool(told))
        assert told == [find(store, "on the disk")]


class Told:
    """What the listeners of a store were told: names of what came, handles of what went."""

    def __init__(self, store: Catalogue) -> None:
        self._store = store
        self.came: list[str] = []
        self.went: list[int] = []
        store.listen(self._hear)

    def _hear(self, change: Change) -> None:
        if change.kind is ChangeKind.ADDED:
            self.came.append(os.fsdecode(self._store._lookup.table.name(change.number)))
        elif change.kind is ChangeKind.REMOVED:
            self.went.append(change.number)


def is_seen_to_be_gone(store: Catalogue) -> bool:
    """Whether the thread has looked for what lay on a disk that was taken away."""
    watching = store._watching
    assert watching is not None
    with store._lock:
        return not (len(watching._followed) or watching._folders)


def ask_for_space(store: Catalogue) -> None:
    """Reach the disk, as a PC and the status do, without a look at what is mounted."""
    store.storage(FIRST)


@pytest.mark.parametrize("first", [names, ask_for_space])
def test_another_disk_with_the_number_of_the_one_before(
    root: Path, disk: Disk, first: Callable[[Catalogue], object]
) -> None:
    """The kernel gives the next disk the number of one that was pulled, and roots have the same."""
    disk(root)
    (root / "d").mkdir()
    (root / "d" / "one").touch()
    with Catalogue([Folder(root, "Card")], watch=True) as store:
        one = find(store, "d/one")
        number, told = (root.stat().st_dev, root.stat().st_ino), Told(store)
        take_away(root)
        wait_until(lambda: is_seen_to_be_gone(store))
        with store._lock:
            disk(root)
            (root / "d").mkdir()
            (root / "d" / "two").touch()
            if (root.stat().st_dev, root.stat().st_ino) != number:
                pytest.skip("this machine gave it another number")
            first(store)
        wait_until(lambda: "two" in told.came)
        assert one in told.went
        (root / "d" / "three").touch()
        wait_until(lambda: "three" in told.came)


def test_a_disk_that_is_reached_before_it_was_seen_to_be_another(root: Path, disk: Disk) -> None:
    disk(root)
    (root / "one").touch()
    with Catalogue([Folder(root, "Card")], watch=True) as store:
        one, told = find(store, "one"), Told(store)
        upload = begin(store, "upload", b"1")
        with store._lock:
            take_away(root)
            disk(root)
            (root / "two").touch()
            ask_for_space(store)
        wait_until(lambda: "two" in told.came)
        assert one in told.went
        with refused(Code.STORE_NOT_AVAILABLE):
            upload.commit()


@pytest.mark.parametrize("is_seen", [False, True])
@pytest.mark.parametrize("away", ["eject", "lock"])
def test_a_disk_that_is_changed_while_the_storage_is_away(
    serving: Catalogue, root: Path, tmp_path: Path, disk: Disk, away: str, *, is_seen: bool
) -> None:
    """It is no news once the storage is back: what begins then goes on."""
    (tmp_path / "elsewhere").mkdir()
    disk(root)
    file = find(serving, "on the disk")
    serving.eject(FIRST) if away == "eject" else serving.lock()
    disk(root)
    (root / "two").touch()
    if is_seen:
        with refused(Code.STORE_NOT_AVAILABLE):
            begin(serving, "too early")
    serving.load(FIRST) if away == "eject" else serving.unlock()
    edit = serving.edit(file)
    disk(tmp_path / "elsewhere")
    assert sorted(names(serving)) == ["on the disk", "two"]
    edit.write(0, memoryview(b"2"))
    edit.commit()
    assert (root / "on the disk").read_bytes() == b"2"
