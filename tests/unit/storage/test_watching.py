# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on the device is told: real folders, the real kernel, the real thread.

Nothing here depends on how long a moment is, but where one is made long on purpose.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import ChangeKind
from appliance.storage import Catalogue, Folder
from appliance.storage.changes import Changes
from appliance.storage.watch import Watch
from appliance.storage.watching import Watching
from tests.unit.storage.ear import Ear
from tests.unit.storage.helpers import (
    FIRST,
    SECOND,
    WORKPLACE,
    content,
    find,
    names,
    put,
    refused,
)

ADDED, REMOVED = ChangeKind.ADDED, ChangeKind.REMOVED
CONTENT, PLACE = ChangeKind.CONTENT, ChangeKind.PLACE


def listed(store: Catalogue, *, storage: int = FIRST) -> dict[str, int]:
    """Handles of all there is, by names; all folders are listed by that."""
    return {store.entry(each).name: each for each in store.tree(storage)}


def test_files_and_folders_come_change_and_go(watched: Catalogue, root: Path, ear: Ear) -> None:
    (root / "file").write_text("1")
    (root / "folder").mkdir()
    told = ear.all()
    file, folder = (find(watched, each) for each in ("file", "folder"))
    assert [each for each in told if each != (CONTENT, file)] == [(ADDED, file), (ADDED, folder)]
    with (root / "file").open("a") as open_file:
        open_file.write("2")
    assert ear.all() == [(CONTENT, file)]
    os.utime(root / "file", (1, 1))
    assert ear.all() == [(CONTENT, file)]
    (root / "folder").chmod(0o700)
    assert ear.all() == [(CONTENT, folder)]
    (root / "file").unlink()
    (root / "folder").rmdir()
    assert ear.all() == [(REMOVED, file), (REMOVED, folder)]


def test_only_what_was_listed_is_followed(watched: Catalogue, root: Path, ear: Ear) -> None:
    (root / "folder" / "inner").mkdir(parents=True)
    assert ear.all() == [(ADDED, find(watched, "folder"))]
    (root / "folder" / "file").touch()
    assert ear.all() == []
    assert names(watched, find(watched, "folder")) == ["file", "inner"]
    (root / "folder" / "second").touch()
    assert (ADDED, find(watched, "folder/second")) in ear.all()


@pytest.mark.parametrize("target", ["renamed", "elsewhere/folder", "elsewhere/renamed"])
def test_a_move_keeps_all_handles(watched: Catalogue, root: Path, ear: Ear, target: str) -> None:
    (root / "folder" / "inner").mkdir(parents=True)
    (root / "folder" / "inner" / "file").write_text("1")
    (root / "elsewhere").mkdir()
    before = listed(watched)
    ear.all()
    (root / "folder").rename(root / target)
    assert ear.all() == [(PLACE, before["folder"])]
    assert find(watched, target) == before["folder"]
    assert find(watched, f"{target}/inner/file") == before["file"]
    (root / target / "inner" / "new").mkdir()
    assert ear.all() == [(ADDED, find(watched, f"{target}/inner/new"))]


def test_moves_across_storages(root: Path, second: Path) -> None:
    with Catalogue([Folder(root, "Card"), Folder(second, "Stick")], watch=True) as store:
        (root / "folder").mkdir()
        (root / "folder" / "file").touch()
        before = listed(store)
        store.children(SECOND, 0)
        ear = Ear(store, root)
        (root / "folder").rename(second / "folder")
        assert ear.all() == [(PLACE, before["folder"])]
        assert find(store, "folder/file", storage=SECOND) == before["file"]
        assert store.entry(before["file"]).storage_id == SECOND


def test_moves_to_and_from_where_nobody_looks(
    watched: Catalogue, root: Path, second: Path, ear: Ear
) -> None:
    for each in ("out", "below"):
        (root / each).mkdir()
    (second / "in").mkdir()
    (root / "unseen").mkdir()
    before = listed(watched)
    watched.children(FIRST, before["below"])
    ear.all()
    (second / "in").rename(root / "in")
    (root / "out").rename(second / "out")
    (root / "unseen" / "later").mkdir()
    told = ear.all()
    later = find(watched, "unseen/later")
    expected = [(ADDED, find(watched, "in")), (REMOVED, before["out"]), (ADDED, later)]
    assert sorted(told, key=str) == sorted(expected, key=str)


def test_names_that_change_places(watched: Catalogue, root: Path, ear: Ear) -> None:
    (root / "a").write_text("a")
    (root / "b").write_text("b")
    a, b = find(watched, "a"), find(watched, "b")
    ear.all()
    (root / "a").rename(root / "c")
    (root / "b").rename(root / "a")
    (root / "c").rename(root / "b")
    told = ear.all()
    assert {each for _, each in told} == {a, b}
    assert {kind for kind, _ in told} == {PLACE}
    assert (find(watched, "a"), find(watched, "b")) == (b, a)


@pytest.mark.parametrize("by", [1, 2, 3])
@pytest.mark.parametrize("renew", [False, True])
@pytest.mark.usefixtures("long_moments")
def test_files_that_are_renumbered_among_themselves(root: Path, *, renew: bool, by: int) -> None:
    """As what sorts photos does: by names in between, within a moment; there are no others."""
    count = 4
    for number in range(count):
        (root / f"{number}.jpg").write_text(f"{number}")
    with Catalogue([Folder(root, "Card")], watch=True, renew=renew) as store:
        before = [find(store, f"{number}.jpg") for number in range(count)]
        ear = Ear(store, root)
        for number in range(count):
            (root / f"{number}.jpg").rename(root / f"between {number}")
        for number in range(count):
            (root / f"between {number}").rename(root / f"{(number + by) % count}.jpg")
        told = ear.all()
        assert sorted(told, key=str) == sorted(((PLACE, each) for each in before), key=str)
        after = [find(store, f"{number}.jpg") for number in range(count)]
        assert ear.all() == []
        origins = [(number - by) % count for number in range(count)]
        assert [store.current(before[each]) for each in origins] == after
        assert [content(store, each) for each in after] == [b"%d" % each for each in origins]


# What is in a folder that has moved: a PC believes of a handle what it was told first


def save_anew(folder: Path) -> None:
    (folder / "beside").write_text("a longer one")
    (folder / "beside").rename(folder / "file")


def write_in_place(folder: Path) -> None:
    (folder / "file").write_text("a longer one")


def replace_by_a_move(folder: Path) -> None:
    (folder / "other").rename(folder / "file")


def remove(folder: Path) -> None:
    (folder / "file").unlink()


def add(folder: Path) -> None:
    (folder / "new").touch()


@pytest.mark.parametrize("when", ["later", "later, unlisted", "just after", "just before"])
@pytest.mark.parametrize("act", [save_anew, write_in_place, replace_by_a_move, remove, add])
def test_what_changes_in_a_folder_that_was_moved(
    request: pytest.FixtureRequest, root: Path, act: Callable[[Path], None], when: str
) -> None:
    target = "elsewhere/renamed"
    if when.startswith("just"):
        request.getfixturevalue("long_moments")
    (root / "elsewhere").mkdir()
    (root / "folder").mkdir()
    for each in ("file", "other"):
        (root / "folder" / each).write_text(each)
    with Catalogue([Folder(root, "Card")], watch=True, renew=True) as store:
        before = listed(store)
        ear = Ear(store, root)
        if when == "just before":
            act(root / "folder")
        (root / "folder").rename(root / target)
        if when.startswith("later"):
            assert ear.all() == [(PLACE, before["folder"])]
        if when == "later":
            store.children(FIRST, find(store, target))
        if when != "just before":
            act(root / target)
        told = ear.all()
        known = {store._table.name(row) for row in store._table.children(find(store, target))}
        after = listed(store)
        assert ear.all() == []
    assert known == {each.name.encode() for each in (root / target).iterdir()}
    if act is remove:
        assert (REMOVED, before["file"]) in told
    elif act is add:
        assert (ADDED, after["new"]) in told
    else:
        assert after["file"] != before["file"]
        assert before["file"] in {number for _, number in told}


@pytest.mark.parametrize("listing", [False, True])
def test_a_file_that_grows_in_a_folder_that_is_moved(
    monkeypatch: pytest.MonkeyPatch, root: Path, *, listing: bool
) -> None:
    monkeypatch.setattr("appliance.storage.changes.GROWTH", 0.05)
    (root / "folder").mkdir()
    (root / "folder" / "file").touch()
    with Catalogue([Folder(root, "Card")], watch=True, renew=True) as store:
        listed(store)
        ear = Ear(store, root)
        with (root / "folder" / "file").open("wb", buffering=0) as file:
            file.write(b"1")
            (root / "folder").rename(root / "moved")
            ear.until(lambda: PLACE in {kind for kind, _ in ear.told})
            ear.all()
            if listing:
                listed(store)
            for _ in range(2):
                handle = find(store, "moved/file")
                file.write(b"1")
                ear.until(lambda handle=handle: (CONTENT, handle) in ear.told)  # type: ignore[misc]
                ear.all()
        ear.all()
        assert ear.all() == []


def test_a_folder_in_two_storages_is_moved(root: Path) -> None:
    """One watch is for two rows; each is told of."""
    (root / "inner" / "folder").mkdir(parents=True)
    (root / "inner" / "folder" / "file").touch()
    storages = [Folder(root, "All"), Folder(root / "inner", "Part")]
    with Catalogue(storages, watch=True, renew=True) as store:
        for each in (FIRST, SECOND):
            listed(store, storage=each)
        ear = Ear(store, root)
        (root / "inner" / "folder").rename(root / "inner" / "moved")
        ear.all()
        before = [find(store, "inner/moved/file"), find(store, "moved/file", storage=SECOND)]
        (root / "inner" / "moved" / "file").write_text("1")
        told = ear.all()
    assert {number for _, number in told} == set(before)


def test_folders_that_change_over_and_under(watched: Catalogue, root: Path, ear: Ear) -> None:
    (root / "over" / "under").mkdir(parents=True)
    before = listed(watched)
    ear.all()
    (root / "over" / "under").rename(root / "under")
    (root / "over").rename(root / "under" / "over")
    told = ear.all()
    assert set(told) == {(PLACE, before["over"]), (PLACE, before["under"])}
    assert find(watched, "under/over") == before["over"]


def test_a_move_over_another_file(watched: Catalogue, root: Path, ear: Ear) -> None:
    (root / "moved").write_text("1")
    (root / "old").write_text("2")
    before = listed(watched)
    ear.all()
    (root / "moved").rename(root / "old")
    assert set(ear.all()) == {(REMOVED, before["old"]), (PLACE, before["moved"])}
    assert find(watched, "old") == before["moved"]


def test_a_folder_in_the_place_of_another(watched: Catalogue, root: Path, ear: Ear) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "old").touch()
    before = listed(watched)
    ear.all()
    (root / "folder").rename(root.parent / "was folder")
    (root / "folder").mkdir()
    (root / "folder" / "new").touch()
    told = ear.all()
    after = find(watched, "folder")
    assert after != before["folder"]
    assert told == [(REMOVED, before["folder"]), (ADDED, after)]
    assert names(watched, after) == ["new"]


# Editors


def by_rename(file: Path) -> None:
    """Write beside, rename over; most editors and office programs do."""
    (file.parent / ".save~1").write_text("new")
    (file.parent / ".save~1").rename(file)


def by_backup(file: Path) -> None:
    """Move away, write anew, remove what was moved away; as vim does."""
    file.rename(file.with_name("file~"))
    file.write_text("new")
    file.with_name("file~").unlink()


def by_deletion(file: Path) -> None:
    file.unlink()
    file.write_text("new")


def in_place(file: Path) -> None:
    file.write_text("new")


@pytest.fixture
def long_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a moment last as long as a busy machine may need for what is to be one."""
    monkeypatch.setattr("appliance.storage.changes.QUIET", 0.5)
    monkeypatch.setattr("appliance.storage.changes.LONGEST", 2.0)


@pytest.mark.parametrize("save", [by_rename, by_backup, by_deletion, in_place])
def test_an_editor_saves(
    long_moments: None, watched: Catalogue, root: Path, ear: Ear, save: Callable[[Path], None]
) -> None:
    (root / "file").write_text("old")
    file = find(watched, "file")
    ear.all()
    save(root / "file")
    assert ear.all() == [(CONTENT, file)]
    assert find(watched, "file") == file


def test_an_editor_that_keeps_the_old_file(
    long_moments: None, watched: Catalogue, root: Path, ear: Ear
) -> None:
    (root / "file").write_text("old")
    old = find(watched, "file")
    ear.all()
    (root / "file").rename(root / "file~")
    (root / "file").write_text("new")
    assert ear.all() == [(PLACE, old), (ADDED, find(watched, "file"))]


def test_what_comes_and_goes_at_once_is_not_told(
    long_moments: None, watched: Catalogue, root: Path, ear: Ear
) -> None:
    for _ in range(10):
        (root / "file").write_text("1")
        (root / "file").rename(root / "other")
        (root / "other").unlink()
    assert ear.all() == []


def test_a_thousand_writes_are_one_change(
    long_moments: None, watched: Catalogue, root: Path, ear: Ear
) -> None:
    (root / "file").touch()
    file = find(watched, "file")
    ear.all()
    for _ in range(1000):
        (root / "file").write_text("1")
    told = ear.all()
    assert set(told) == {(CONTENT, file)}
    assert len(told) < 10


def test_a_file_that_grows_is_told_of_again_and_again(
    monkeypatch: pytest.MonkeyPatch, watched: Catalogue, root: Path, ear: Ear
) -> None:
    monkeypatch.setattr("appliance.storage.changes.GROWTH", 0.05)
    with (root / "file").open("wb", buffering=0) as file:
        ear.until(lambda: bool(ear.told))
        handle = find(watched, "file")
        assert ear.all()[0] == (ADDED, handle)
        for _ in range(2):
            file.write(b"1")
            ear.until(lambda: (CONTENT, handle) in ear.told)
            ear.all()
        file.write(b"1")
    ear.until(lambda: (CONTENT, handle) in ear.told)


# What is not shown


def test_what_is_not_shown_is_not_told(watched: Catalogue, root: Path, ear: Ear) -> None:
    (root / "link").symlink_to(root)
    os.mkfifo(root / "pipe")
    (root / WORKPLACE).mkdir()
    (root / WORKPLACE / "inner").touch()
    (root / "pipe").chmod(0o600)
    (root / "link").unlink()
    (root / "lost+found").mkdir(0o700)
    assert ear.all() == []


def test_hidden_names(root: Path) -> None:
    with Catalogue([Folder(root, "Card", hidden_files=False)], watch=True) as store:
        (root / "seen").touch()
        handle = find(store, "seen")
        ear = Ear(store, root)
        (root / ".hidden").touch()
        assert ear.all() == []
        (root / "seen").rename(root / ".seen")
        assert ear.all() == [(REMOVED, handle)]
        (root / ".hidden").rename(root / "shown")
        assert ear.all() == [(ADDED, find(store, "shown"))]


def test_a_file_becomes_a_link(watched: Catalogue, root: Path, ear: Ear, canary: Path) -> None:
    (root / "file").touch()
    file = find(watched, "file")
    ear.all()
    (root / "file").unlink()
    (root / "file").symlink_to(canary / "secret.txt")
    assert ear.all() == [(REMOVED, file)]


def test_a_folder_becomes_a_link(watched: Catalogue, root: Path, ear: Ear, canary: Path) -> None:
    (root / "folder" / "inner").mkdir(parents=True)
    before = listed(watched)
    ear.all()
    (root / "folder").rename(root / "moved")
    (root / "folder").symlink_to(canary)
    assert ear.all() == [(PLACE, before["folder"])]
    (root / "moved").rename(root.parent / "out")
    (root / "moved").symlink_to(canary)
    assert ear.all() == [(REMOVED, before["folder"])]
    (root.parent / "out" / "unseen").touch()
    assert ear.all() == []


def test_names_that_are_not_utf_8(watched: Catalogue, root: Path, ear: Ear) -> None:
    os.mkdir(os.fsencode(root) + b"/\xff\xfe")  # noqa: PTH102 - bytes
    assert ear.all() == [(ADDED, find(watched, names(watched)[0]))]


# Sessions that look before they are told


def test_a_session_that_lists_at_once_finds_a_moved_folder(
    watched: Catalogue, root: Path, ear: Ear
) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").touch()
    before = listed(watched)
    (root / "folder").rename(root / "renamed")
    assert listed(watched) == {
        "renamed": before["folder"],
        **{name: handle for name, handle in before.items() if name != "folder"},
    }


def test_a_session_that_asks_at_once_does_not_lose_a_moved_file(
    watched: Catalogue, root: Path, ear: Ear
) -> None:
    (root / "file").touch()
    handle = find(watched, "file")
    (root / "file").rename(root / "renamed")
    try:
        watched.record(handle)
    except MtpError as error:
        assert error.code is ResponseCode.INVALID_OBJECT_HANDLE
    assert watched.record(handle).name == "renamed"


def test_a_session_finds_a_file_gone(watched: Catalogue, root: Path, ear: Ear) -> None:
    (root / "file").touch()
    handle = find(watched, "file")
    ear.all()
    (root / "file").unlink()
    with refused(ResponseCode.INVALID_OBJECT_HANDLE):
        watched.record(handle)
    assert ear.all() == [(REMOVED, handle)]


def test_what_a_listing_finds_is_told_without_a_watch_too(store: Catalogue, root: Path) -> None:
    ear = Ear(store, root)
    (root / "first").touch()
    first = find(store, "first")
    assert ear.told == []
    (root / "second").touch()
    (root / "first").unlink()
    second = find(store, "second")
    assert ear.told == [(REMOVED, first), (ADDED, second)]
    put(store, "own")
    names(store)
    assert len(ear.told) == 2


def test_what_happened_while_the_root_was_away(watched: Catalogue, root: Path) -> None:
    """The disk was gone when the kernel told, and a change of our own hides it from the date."""
    os.utime(root, (1, 1))
    names(watched)
    row = next(iter(watched._lookup.volumes)).root
    with watched._lock:
        with watched._lookup.own_change(row, watched._lookup.fd(row)):
            (root / "new").touch()
        root.rename(root.with_name("away"))
        watched._lookup.watcher.catch_up()
        root.with_name("away").rename(root)
    assert "new" in names(watched)


# Limits


def test_no_room_for_watches(
    watched: Catalogue,
    root: Path,
    ear: Ear,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for each in ("one", "two"):
        (root / each).mkdir()
    ear.all()
    assert watched.unwatched == ""
    assert watched._watching is not None
    calls = watched._watching._watch._calls
    monkeypatch.setattr(calls, "inotify_add_watch", lambda *_: -1)
    monkeypatch.setattr(calls, "get_errno", lambda: errno.ENOSPC)
    for each in ("one", "two"):
        watched.children(FIRST, find(watched, each))
    warnings = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "max_user_watches" in warnings[0]
    assert "max_user_watches" in watched.unwatched
    (root / "one" / "file").touch()
    assert ear.all() == []
    assert names(watched, find(watched, "one")) == ["file"]


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.EMFILE, "max_user_instances"), (errno.ENOSYS, "not implemented")]
)
def test_no_watch_at_all(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
    hint: str,
) -> None:
    def refuse(_: Watch) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Watch, "open", refuse)
    (root / "folder").mkdir()
    with Catalogue([Folder(root, "Card")], watch=True) as store:
        (root / "file").touch()
        assert sorted(names(store)) == ["file", "folder"]
        store.children(FIRST, find(store, "folder"))
        (root / "another").touch()
        assert sorted(names(store)) == ["another", "file", "folder"]
        assert hint in store.unwatched
    assert [hint in each.message for each in caplog.records] == [True]


def test_the_end_is_clean(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        with Catalogue([Folder(root, "Card")], watch=True) as store:
            (root / "file").touch()
            names(store)
        store.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_listener_that_fails_does_no_harm(
    watched: Catalogue, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(change: object) -> None:
        raise RuntimeError(f"not {change}")

    watched.children(FIRST, 0)
    watched.listen(fail)
    ear = Ear(watched, root)
    (root / "file").touch()
    assert (ADDED, find(watched, "file")) in ear.all()
    assert "DEFECT" in caplog.text


def test_a_listener_may_use_the_store(watched: Catalogue, root: Path) -> None:
    watched.children(FIRST, 0)
    seen: list[str] = []
    watched.listen(lambda change: seen.append(watched.record(change.number).name))
    ear = Ear(watched, root)
    (root / "folder").mkdir()
    ear.all()
    assert seen[0] == "folder"


def test_moments_can_be_small(root: Path) -> None:
    """Many places, few of which fit into a moment: nothing is lost, nothing told twice."""
    changes = Changes(most_places=3)
    with Catalogue([Folder(root, "Card")]) as store:
        store._watching = Watching(store._lookup, store._lock, changes)
        store._watching.start()
        store.children(FIRST, 0)
        ear = Ear(store, root)
        for number in range(50):
            (root / f"folder {number}").mkdir()
        told = ear.all()
        assert [kind for kind, _ in told] == [ADDED] * 50
        assert len(set(told)) == 50
