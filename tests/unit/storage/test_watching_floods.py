# SPDX-License-Identifier: GPL-3.0-or-later
"""Very much at once, and from all sides: nothing is lost and nothing is told twice."""

import logging
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.mtp.errors import MtpError
from appliance.mtp.ports import ChangeKind
from appliance.storage import Catalogue, Folder, scanning
from appliance.storage import lookup as lookup_module
from appliance.storage.watch import Event, Kind, Watch
from tests.unit.storage.ear import Ear, Told
from tests.unit.storage.helpers import FIRST, WORKPLACE, find, names, put
from tests.unit.storage.test_watching import listed

ADDED, REMOVED = ChangeKind.ADDED, ChangeKind.REMOVED
CONTENT, PLACE = ChangeKind.CONTENT, ChangeKind.PLACE
MANY = 10_000


def rows(told: list[Told], kind: ChangeKind) -> list[int]:
    return [each for told_kind, each in told if told_kind is kind]


def test_ten_thousand_files_from_an_archive(
    watched: Catalogue, root: Path, tmp_path: Path, ear: Ear
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(MANY):
        (source / f"file {number}").write_text("1")
    archive = tmp_path / "archive.tar"
    subprocess.run(["tar", "cf", archive, "-C", source, "."], check=True)
    subprocess.run(["tar", "xf", archive, "-C", root], check=True)
    told = ear.all()
    added = rows(told, ADDED)
    assert len(added) == len(set(added)) == MANY
    assert set(added) == {*watched.children(FIRST, 0)} - {find(watched, "sign 1")}
    assert set(rows(told, CONTENT)) <= set(added)
    for each in root.glob("file *"):
        each.unlink()
    removed = rows(ear.all(), REMOVED)
    assert len(removed) == MANY
    assert set(removed) == set(added)


def test_ten_thousand_moves(watched: Catalogue, root: Path, ear: Ear) -> None:
    (root / "from").mkdir()
    (root / "to").mkdir()
    for number in range(MANY):
        (root / "from" / f"file {number}").touch()
    before = listed(watched)
    ear.all()
    for number in range(MANY):
        (root / "from" / f"file {number}").rename(root / "to" / f"file {number}")
    told = ear.all()
    files = {handle for name, handle in before.items() if name.startswith("file")}
    assert {kind for kind, _ in told} == {PLACE}
    assert sorted(each for _, each in told) == sorted(files)
    assert set(watched.children(FIRST, before["to"])) == files


def test_a_flood_without_end_keeps_nobody_waiting(
    watched: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "file").touch()
    readings = 0

    def flooding(watch: Watch) -> Iterator[Event]:
        nonlocal readings
        if threading.current_thread() is threading.main_thread():
            readings += 1
            assert readings < 1000
            yield Event(-2, Kind.ALTERED, 0, b"elsewhere")

    monkeypatch.setattr(Watch, "read", flooding)
    assert names(watched) == ["file"]


@pytest.fixture
def overflowing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the kernel's queue overflow at the next reading: what it holds then is lost."""
    read = Watch.read
    armed = threading.Event()

    def losing(watch: Watch) -> Iterator[Event]:
        events = list(read(watch))
        if armed.is_set() and events:
            armed.clear()
            while list(read(watch)):
                pass
            events = [Event(-1, Kind.OVERFLOWED, 0, b"")]
        yield from events

    monkeypatch.setattr(Watch, "read", losing)
    return armed.set


def test_what_was_lost_is_found(
    watched: Catalogue, root: Path, ear: Ear, overflowing: Callable[[], None]
) -> None:
    (root / "folder").mkdir()
    for name in ("goes", "stays", "changes"):
        (root / "folder" / name).write_text(name)
    before = listed(watched)
    own = put(watched, "own", b"1")
    ear.all()
    with watched._lock:
        overflowing()
        (root / "folder" / "goes").unlink()
        (root / "folder" / "comes").mkdir()
        (root / "folder" / "changes").write_text("changed")
        (root / "new").mkdir()
    lost = {(REMOVED, before["goes"]), (CONTENT, before["changes"])}
    ear.until(lambda: lost <= set(ear.told) and len(rows(ear.told, ADDED)) >= 2)
    told = ear.all()
    assert set(rows(told, REMOVED)) == {before["goes"]}
    assert set(rows(told, ADDED)) == {find(watched, "folder/comes"), find(watched, "new")}
    assert before["changes"] in rows(told, CONTENT)
    assert own not in rows(told, CONTENT)
    (root / "folder" / "later").mkdir()
    assert rows(ear.all(), ADDED) == [find(watched, "folder/later")]


def test_the_kernels_own_overflow(
    watched: Catalogue, root: Path, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with watched._lock:
        for number in range(limit // 2 + 100):
            (root / f"file {number}").touch()
            (root / f"file {number}").unlink()
        (root / "last").mkdir()
    told = ear.all()
    assert "RESCAN" in caplog.text
    assert told == [(ADDED, find(watched, "last"))]


# The first scan


def test_what_comes_between_watch_and_scan_is_listed(
    watched: Catalogue, root: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "folder").mkdir()
    ear.all()

    def scan(fd: int, *, hidden_files: bool) -> tuple[dict[bytes, bool], list[bytes]]:
        (root / "folder" / "before").mkdir()
        found = scanning.scan(fd, hidden_files=hidden_files)
        (root / "folder" / "after").mkdir()
        return found

    folder = find(watched, "folder")
    monkeypatch.setattr(lookup_module, "scan", scan)
    first = names(watched, folder)
    monkeypatch.undo()
    told = ear.all()
    assert first == ["before"]
    assert told == [(ADDED, find(watched, "folder/after"))]
    assert sorted(names(watched, folder)) == ["after", "before"]


def test_files_come_while_a_folder_is_listed(watched: Catalogue, root: Path, ear: Ear) -> None:
    """Each file was in the first listing or is told, never both, never neither."""
    for turn in range(20):
        (root / f"folder {turn}").mkdir()
        ear.all()
        folder = find(watched, f"folder {turn}")
        made = threading.Thread(target=fill, args=(root / f"folder {turn}", 30))
        made.start()
        first = set(watched.children(FIRST, folder))
        made.join()
        added = rows(ear.all(), ADDED)
        every = set(watched.children(FIRST, folder))
        assert len(added) == len(set(added))
        assert first | set(added) == every
        assert not first & set(added)
        assert len(every) == 30


def fill(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"folder {number}").mkdir()


# From all sides


class Device:
    """Programs on the device that make, change, move and delete at random."""

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        self._random = random.Random(seed)
        self._places = [root, *(root / f"folder {number}" for number in range(4))]

    def _place(self) -> Path:
        return self._random.choice(self._places) / f"{self._random.randrange(12)}"

    def act(self) -> None:
        place = self._place()
        try:
            match self._random.randrange(6):
                case 0:
                    place.write_text("device")
                case 1:
                    place.mkdir()
                case 2:
                    place.unlink()
                case 3:
                    shutil.rmtree(place)
                case _:
                    place.rename(self._place())
        except OSError:
            return


class Session:
    """An initiator that does as much at random."""

    def __init__(self, store: Catalogue, seed: int) -> None:
        self._store = store
        self._random = random.Random(seed)

    def act(self) -> None:
        try:
            every = list(self._store.tree(FIRST))
            folders = [0, *(each for each in every if self._store.entry(each).is_folder)]
            handle = self._random.choice(every)
            folder = self._random.choice(folders)
            name = f"{self._random.randrange(12)}"
            match self._random.randrange(7):
                case 0:
                    put(self._store, name, b"session", parent=folder)
                case 1:
                    self._store.make_folder(FIRST, folder, name, modified=None)
                case 2 if self._store.entry(handle).name.isdigit():
                    self._store.delete(handle)
                case 3 if self._store.entry(handle).name.isdigit():
                    self._store.rename(handle, name)
                case 4 if self._store.entry(handle).name.isdigit():
                    self._store.move(handle, FIRST, folder)
                case 5 if not self._store.entry(handle).is_folder:
                    self._store.copy(handle, FIRST, folder)
                case _:
                    self._store.record(handle)
        except (MtpError, IndexError):
            return


def until(deadline: float, act: Callable[[], None], failed: list[BaseException]) -> None:
    try:
        while time.monotonic() < deadline:
            act()
    except BaseException as error:
        failed.append(error)
        raise


@pytest.mark.parametrize("seed", range(3))
def test_device_and_sessions_at_once(
    watched: Catalogue, root: Path, ear: Ear, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    for number in range(4):
        (root / f"folder {number}").mkdir()
    listed(watched)
    told = Ear(watched, root)
    failed: list[BaseException] = []
    deadline = time.monotonic() + 3
    acts = [
        *(Device(root, seed * 10 + number).act for number in range(2)),
        *(Session(watched, seed * 10 + number).act for number in range(3, 6)),
    ]
    hands = [threading.Thread(target=until, args=(deadline, act, failed)) for act in acts]
    for each in hands:
        each.start()
    for each in hands:
        each.join()
    assert not failed
    listed(watched)
    told.all()
    assert_true(watched, root)
    assert "DEFECT" not in caplog.text
    assert not list(root.glob(f"{WORKPLACE}/*/*"))


def assert_true(store: Catalogue, root: Path) -> None:
    """Compare the table with the disk, without another scan."""
    table = store._table
    known: set[str] = set()
    for folder in table.scanned_below(store._lookup.volume(FIRST).root):
        for row in table.children(folder):
            _, path = table.place(folder)
            known.add("/".join(each.decode() for each in (*path, table.name(row))))
    on_disk = {
        str(each.relative_to(root))
        for each in root.rglob("*")
        if each.relative_to(root).parts[0] != WORKPLACE
    }
    unseen = {each for each in on_disk if not is_listed(store, each)}
    assert known == on_disk - unseen


def is_listed(store: Catalogue, path: str) -> bool:
    """Whether the folder of a path has been listed; the rest is not known of."""
    table = store._table
    row = store._lookup.volume(FIRST).root
    for name in path.split("/")[:-1]:
        below = table.find(row, name.encode())
        if below is None:
            return False
        row = below
    return row in table.marks


def test_many_folders_cost_little(root: Path) -> None:
    for number in range(2000):
        (root / f"{number}").mkdir()
    with Catalogue([Folder(root, "Card")], watch=True) as store:
        listed(store)
        assert store._watching is not None
        assert len(store._watching._followed) == 2001
        ear = Ear(store, root)
        (root / "1999" / "new").mkdir()
        assert ear.all() == [(ADDED, find(store, "1999/new"))]
        for number in range(2000):
            shutil.rmtree(root / f"{number}")
        assert len(rows(ear.all(), REMOVED)) >= 2000
        assert len(store._watching._followed) == 1
