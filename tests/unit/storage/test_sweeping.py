# SPDX-License-Identifier: GPL-3.0-or-later
"""Large trees are removed for good while nobody waits for it."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.storage import Catalogue, Folder, TrashPolicy, sweeping
from appliance.storage.removal import AT_ONCE
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
