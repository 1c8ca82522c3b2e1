# SPDX-License-Identifier: GPL-3.0-or-later
"""Large trees are removed for good while nobody waits for it."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.storage import Catalogue, Folder, TrashPolicy, sweeping, trash_place
from appliance.storage.removal import AT_ONCE, Allowance
from appliance.storage.sweeping import Sweep
from tests.unit.storage.helpers import (
    FIRST,
    WORKPLACE,
    begin,
    find,
    names,
    open_descriptors,
    put,
    wait_until,
)

MANY = 4 * AT_ONCE


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Count how many names each thread has removed."""
    counted: Counter[int] = Counter()

    def counting(remove: Callable[..., None]) -> Callable[..., None]:
        def call(*words: Any, **more: Any) -> None:
            counted[threading.get_ident()] += 1
            remove(*words, **more)

        return call

    for name in ("unlink", "rmdir"):
        monkeypatch.setattr(os, name, counting(getattr(os, name)))
    return counted


@pytest.fixture
def halted(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let no thread begin before the event."""
    begin = threading.Event()
    run = Sweep._run

    def late(sweep: Sweep) -> None:
        begin.wait()
        run(sweep)

    monkeypatch.setattr(Sweep, "_run", late)
    return begin


def plant(folder: Path) -> None:
    """Make a tree of many names: files, and folders with files."""
    for number in range(MANY // 4):
        (folder / f"{number}").mkdir(parents=True)
        (folder / f"{number}" / "file").touch()
        (folder / f"{number}.txt").touch()
        (folder / f"{number} empty").mkdir()


def expunged(root: Path) -> Path:
    return root / WORKPLACE / "trash" / "expunged"


def test_who_deletes_a_little_thing_does_not_wait_for_a_large_one(
    root: Path, removed: Counter[int]
) -> None:
    plant(root / "large")
    (root / "small").write_bytes(b"1")
    with Catalogue([Folder(root, "Card")], trash=TrashPolicy(count=1)) as store:
        store.delete(find(store, "large"))
        store.delete(find(store, "small"))
        assert [each.name for each in store.trash_list()] == ["small"]
        assert removed[threading.get_ident()] < 2 * AT_ONCE
        wait_until(lambda: not any(expunged(root).iterdir()))
        assert sum(removed.values()) >= MANY


def test_what_is_little_goes_at_once(root: Path) -> None:
    with Catalogue([Folder(root, "Card")], trash=TrashPolicy(count=1)) as store:
        for name in ("a", "b", "c"):
            store.delete(put(store, name, b"1"))
        assert not any(expunged(root).iterdir())


@pytest.mark.parametrize("place", [f"{WORKPLACE}/1-gone", f"{WORKPLACE}/trash/expunged"])
def test_a_start_does_not_wait_for_what_was_left(
    root: Path, removed: Counter[int], place: str
) -> None:
    plant(root / place / "tree")
    with Catalogue([Folder(root, "Card")]) as store:
        assert names(store) == []
        assert removed[threading.get_ident()] < 3 * AT_ONCE
        begin(store, "ours", b"1").commit()
        wait_until(lambda: not (root / place / "tree").exists())
        assert names(store) == ["ours"]


def test_an_upload_that_is_under_way_is_not_taken_for_left(
    root: Path, halted: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without locks there is no telling whose it is."""
    monkeypatch.setattr("appliance.storage.staging.lock", lambda _: True)
    plant(root / WORKPLACE / "1-gone" / "tree")
    with Catalogue([Folder(root, "Card")]) as store:
        upload = begin(store, "ours", b"1")
        halted.set()
        wait_until(lambda: not (root / WORKPLACE / "1-gone").exists())
        upload.commit()
        assert (root / "ours").read_bytes() == b"1"


def test_a_storage_that_goes_away_ends_it(root: Path, halted: threading.Event) -> None:
    plant(root / WORKPLACE / "1-gone" / "tree")
    before = open_descriptors()
    store = Catalogue([Folder(root, "Card")])
    releasing = threading.Timer(0.1, halted.set)
    releasing.start()
    store.eject(FIRST)
    assert any((root / WORKPLACE / "1-gone" / "tree").iterdir())
    releasing.join()
    store.load(FIRST)
    wait_until(lambda: not (root / WORKPLACE / "1-gone").exists())
    store.close()
    assert open_descriptors() == before


def test_no_other_storage_waits_for_it_to_go_away(root: Path) -> None:
    plant(root / WORKPLACE / "1-gone" / "tree")
    with sweeping._TURN, Catalogue([Folder(root, "Card")]) as store:  # another one's
        store.eject(FIRST)
        assert any((root / WORKPLACE / "1-gone" / "tree").iterdir())


def test_where_there_is_no_thread_the_next_start_does_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    plant(root / WORKPLACE / "1-gone" / "tree")
    before = open_descriptors()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", failing)
        with Catalogue([Folder(root, "Card")]) as store:
            assert names(store) == []
    assert open_descriptors() == before
    with Catalogue([Folder(root, "Card")]):
        wait_until(lambda: not (root / WORKPLACE).exists())


def test_the_next_start_goes_on(root: Path, halted: threading.Event) -> None:
    plant(root / WORKPLACE / "1-gone" / "tree")
    halted.set()
    rounds = 0
    while (root / WORKPLACE).exists():
        Catalogue([Folder(root, "Card")]).close()
        rounds += 1
        assert rounds < 100


def sweeps() -> int:
    """Count the threads that sweep."""
    return sum(each.name == "sweep" for each in threading.enumerate())


def delete_large(store: Catalogue, root: Path, name: str) -> None:
    plant(root / name)
    store.delete(find(store, name))


def test_many_deletions_have_one_thread(root: Path) -> None:
    """What comes while it waits for its turn it does too, and what comes while it works."""
    policy = TrashPolicy(count=1, share=1.0)
    with Catalogue([Folder(root, "Card")], trash=policy) as store:
        delete_large(store, root, "first")
        with sweeping._TURN:
            for number in range(10):
                delete_large(store, root, f"{number}")
            assert sweeps() == 1
            assert any(expunged(root).iterdir())
        wait_until(lambda: not any(expunged(root).iterdir()))
        wait_until(lambda: not sweeps())


def test_what_comes_while_the_thread_works_goes_too(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear = trash_place.clear_expunged
    working, going_on = threading.Event(), threading.Event()

    def clearing(root_fd: int, allowance: Allowance) -> bool:
        is_any = clear(root_fd, allowance)
        if threading.current_thread().name == "sweep":
            working.set()
            going_on.wait()
        return is_any

    policy = TrashPolicy(count=1, share=1.0)
    with Catalogue([Folder(root, "Card")], trash=policy) as store:
        delete_large(store, root, "kept")
        monkeypatch.setattr(trash_place, "clear_expunged", clearing)
        delete_large(store, root, "first")
        working.wait()
        delete_large(store, root, "second")
        assert any(expunged(root).iterdir())
        assert sweeps() == 1
        going_on.set()
        wait_until(lambda: not any(expunged(root).iterdir()))
        wait_until(lambda: not sweeps())
        delete_large(store, root, "third")
        wait_until(lambda: not any(expunged(root).iterdir()))


def test_it_goes_on_where_a_person_allows_changes_again(root: Path) -> None:
    policy = TrashPolicy(count=1, share=1.0)
    with Catalogue([Folder(root, "Card")], trash=policy) as store:
        with sweeping._TURN:
            delete_large(store, root, "first")
            delete_large(store, root, "second")
            store.set_read_only(FIRST, read_only=True)
        assert any(expunged(root).iterdir())
        store.set_read_only(FIRST, read_only=False)
        wait_until(lambda: not any(expunged(root).iterdir()))


def test_what_was_left_goes_where_a_person_allows_changes(root: Path) -> None:
    plant(root / WORKPLACE / "1-gone" / "tree")
    with Catalogue([Folder(root, "Card", read_only=True)]) as store:
        assert any((root / WORKPLACE / "1-gone" / "tree").iterdir())
        store.set_read_only(FIRST, read_only=False)
        wait_until(lambda: not (root / WORKPLACE).exists())


def test_what_is_under_way_stays_where_changes_are_allowed_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without locks, too."""
    monkeypatch.setattr("appliance.storage.staging.lock", lambda _: True)
    with Catalogue([Folder(root, "Card")]) as store:
        handle = put(store, "file", b"1")
        begin(store, "upload", b"1")
        store.set_read_only(FIRST, read_only=True)
        ready = [each.name for each in (root / WORKPLACE).iterdir()]
        store.set_read_only(FIRST, read_only=False)
        assert [each.name for each in (root / WORKPLACE).iterdir()] == ready
        store.delete(handle)
        put(store, "file", b"2")
        assert (root / "file").read_bytes() == b"2"


def test_a_disk_that_comes_is_not_swept_by_the_thread_of_the_one_before(
    root: Path, tmp_path: Path
) -> None:
    with sweeping._TURN:
        sweep = Sweep(os.open(root, os.O_RDONLY), [])
        other_fd, root_fd = os.open(tmp_path, os.O_RDONLY), os.open(root, os.O_RDONLY)
        assert not sweep.join(other_fd, [])
        assert sweep.join(root_fd, [])
        sweep.start()
        sweep.let_go()
        assert not sweep.join(root_fd, [])
        os.close(other_fd)
        os.close(root_fd)


def test_who_needs_the_room_does_not_wait_for_the_thread(
    small: Path, halted: threading.Event
) -> None:
    """What has begun to go is removed at once then, before anything else has to go."""
    plant(small / "large")
    (small / "large" / "big").write_bytes(bytes(2 << 20))
    (small / "little").write_bytes(b"1")
    policy = TrashPolicy(count=1, share=1.0)
    with Catalogue([Folder(small, "Card")], trash=policy) as store:
        store.delete(find(store, "large"))
        store.delete(find(store, "little"))
        assert any(expunged(small).iterdir())
        begin(store, "file", bytes(3 << 20)).commit()
        assert (small / "file").stat().st_size == 3 << 20
        assert [each.name for each in store.trash_list()] == ["little"]
        halted.set()
