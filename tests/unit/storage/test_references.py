# SPDX-License-Identifier: GPL-3.0-or-later
"""What objects refer to is kept, whatever happens to them."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.errors import MtpError
from appliance.storage import (
    Catalogue,
    Folder,
    TrashPolicy,
    reference_file,
    staging,
    syscalls,
)
from tests.unit.storage.faults import Faults
from tests.unit.storage.helpers import (
    FIRST,
    SECOND,
    WORKPLACE,
    at_rest,
    begin,
    find,
    names,
    put,
    refused,
)

PROJECT = Path(__file__).parents[3]


def state(root: Path, name: str = "references.json") -> Path:
    return root / WORKPLACE / "state" / name


def fill(store: Catalogue) -> dict[str, int]:
    """A playlist of three songs, one of them in a folder."""
    made = {name: put(store, name, name.encode()) for name in ("list.pla", "one", "two")}
    folder = made["folder"] = store.make_folder(FIRST, 0, "folder", modified=None).handle
    made["three"] = put(store, "three", b"three", parent=folder)
    store.set_references(made["list.pla"], [made["two"], made["three"], made["one"]])
    return made


def shown(store: Catalogue, path: str = "list.pla") -> list[str]:
    return [store.entry(each).name for each in store.references(find(store, path))]


def test_they_are_told_in_their_order(store: Catalogue) -> None:
    made = fill(store)
    assert list(store.references(made["list.pla"])) == [made["two"], made["three"], made["one"]]
    assert list(store.references(made["one"])) == []
    assert list(store.references(made["folder"])) == []


def test_one_object_twice_and_the_object_itself(store: Catalogue) -> None:
    handle = put(store, "list")
    store.set_references(handle, [handle, handle])
    assert list(store.references(handle)) == [handle, handle]


def test_new_ones_replace_the_old_ones(store: Catalogue, root: Path) -> None:
    made = fill(store)
    store.set_references(made["list.pla"], [made["one"]])
    assert shown(store) == ["one"]
    store.set_references(made["list.pla"], [])
    assert shown(store) == []
    assert json.loads(state(root).read_text())["objects"] == []


def nothing(root: Path) -> None:
    """Leave all as it is."""


def rename_all(root: Path) -> None:
    (root / "folder").rename(root / "moved")
    (root / "one").rename(root / "moved" / "uno")
    (root / "list.pla").rename(root / "moved" / "list.pla")


def rename_in_turn(root: Path) -> None:
    (root / "one").rename(root / "between")
    (root / "two").rename(root / "one")
    (root / "between").rename(root / "two")


def copy_away(root: Path) -> None:
    """As a backup that is played back: other numbers, the same places and looks."""
    shutil.copytree(root, root.parent / "copy", symlinks=True)
    shutil.rmtree(root)
    (root.parent / "copy").rename(root)


@pytest.mark.parametrize(
    ("happens", "path", "expected"),
    [
        (nothing, "list.pla", ["two", "three", "one"]),
        (rename_all, "moved/list.pla", ["two", "three", "uno"]),
        (rename_in_turn, "list.pla", ["one", "three", "two"]),
        (copy_away, "list.pla", ["two", "three", "one"]),
    ],
    ids=["nothing", "renamed", "in turn", "copied"],
)
def test_over_a_restart(
    root: Path, happens: Callable[[Path], None], path: str, expected: list[str]
) -> None:
    with Catalogue([Folder(root, "Card")]) as store:
        fill(store)
    happens(root)
    with Catalogue([Folder(root, "Other name")]) as store:
        assert shown(store, path) == expected
        assert shown(store, path) == expected


@pytest.mark.parametrize("lasting", [True, False])
def test_what_a_pc_renames_and_moves(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, lasting: bool
) -> None:
    if not lasting:
        monkeypatch.setattr(syscalls, "file_handle", lambda *_: None)
    with Catalogue([Folder(root, "Card")]) as store:
        made = fill(store)
        store.rename(made["folder"], "music")
        store.rename(made["two"], "zwei")
        store.move(made["list.pla"], FIRST, made["folder"])
        assert shown(store, "music/list.pla") == ["zwei", "three", "one"]
    with Catalogue([Folder(root, "Card")]) as store:
        assert shown(store, "music/list.pla") == ["zwei", "three", "one"]


@pytest.mark.parametrize("lasting", [True, False])
def test_what_the_device_changes_and_renames(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, lasting: bool
) -> None:
    if not lasting:
        monkeypatch.setattr(syscalls, "file_handle", lambda *_: None)
    with Catalogue([Folder(root, "Card")], watch=True, renew=True) as store:
        store.children(FIRST, 0)
        made = fill(store)
        (root / "list.pla").write_text("changed")
        (root / "one").rename(root / "uno")
        assert shown(store) == ["two", "three", "uno"]
        assert find(store, "list.pla") != made["list.pla"]
        listed = set(store.tree(FIRST))
        assert set(store.references(find(store, "list.pla"))) <= listed
        assert set(store.references(made["list.pla"])) <= listed


def test_without_lasting_numbers_renamed_files_are_found(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, "file_handle", lambda *_: None)
    with Catalogue([Folder(root, "Card")]) as store:
        fill(store)
    rename_all(root)
    with Catalogue([Folder(root, "Card")]) as store:
        assert shown(store, "moved/list.pla") == ["two", "three", "uno"]


def test_what_is_gone_is_left_out(root: Path) -> None:
    with Catalogue([Folder(root, "Card")]) as store:
        made = fill(store)
        store.delete(made["two"])
        (root / "folder" / "three").unlink()
        assert shown(store) == ["one"]
    with Catalogue([Folder(root, "Card")]) as store:
        assert shown(store) == ["one"]
        put(store, "two", b"another one")
        assert shown(store) == ["one"]


def test_what_comes_back_from_the_trash_is_there_again(root: Path) -> None:
    with Catalogue([Folder(root, "Card")], trash=TrashPolicy()) as store:
        made = fill(store)
        store.delete(made["two"])
        assert shown(store) == ["three", "one"]
        store.delete(made["list.pla"])
        with refused(Code.INVALID_OBJECT_HANDLE):
            store.references(made["list.pla"])
        store.trash_restore(FIRST, "two")
        store.trash_restore(FIRST, "list.pla")
        assert shown(store) == ["two", "three", "one"]


def test_what_is_lost_is_searched_for_once(root: Path, scans: dict[str, int]) -> None:
    with Catalogue([Folder(root, "Card")]) as store:
        fill(store)
    (root / "one").unlink()
    at_rest(root, root / "folder")
    with Catalogue([Folder(root, "Card")]) as store:
        handle = find(store, "list.pla")
        store.references(handle)
        scans.clear()
        store.references(handle)
        assert not scans


def test_over_two_storages(root: Path, second: Path) -> None:
    folders = [Folder(root, "Card"), Folder(second, "Stick")]
    with Catalogue(folders) as store:
        playlist, song = put(store, "list"), put(store, "song", b"1")
        (second / "other").write_text("other")
        other = find(store, "other", storage=SECOND)
        store.set_references(playlist, [other, song])
        assert list(store.references(playlist)) == [other, song]
    with Catalogue(folders[::-1]) as store:
        playlist = find(store, "list", storage=SECOND)
        assert [store.entry(each).name for each in store.references(playlist)] == ["other", "song"]
    with Catalogue(folders[:1]) as store:
        assert shown(store, "list") == ["song"]


def test_what_moves_to_another_storage(far: Catalogue, root: Path, second: Path) -> None:
    made = fill(far)
    far.move(made["list.pla"], SECOND, 0)
    far.move(made["two"], SECOND, 0)
    expected = ["two", "three", "one"]
    assert [far.entry(each).name for each in far.references(made["list.pla"])] == expected
    far.close()
    with Catalogue([Folder(root, "Card"), Folder(second, "Stick")]) as store:
        playlist = find(store, "list.pla", storage=SECOND)
        assert [store.entry(each).name for each in store.references(playlist)] == expected


def test_refusals(store: Catalogue, root: Path) -> None:
    made = fill(store)
    with refused(Code.INVALID_OBJECT_REFERENCE):
        store.set_references(made["list.pla"], [made["one"], 999])
    (root / "two").unlink()
    with refused(Code.INVALID_OBJECT_REFERENCE):
        store.set_references(made["list.pla"], [made["two"]])
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.set_references(999, [])
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.references(999)
    assert shown(store) == ["three", "one"]


def test_a_read_only_storage_tells_but_keeps_nothing(root: Path) -> None:
    with Catalogue([Folder(root, "Card")]) as store:
        fill(store)
    with Catalogue([Folder(root, "Card", read_only=True)]) as store:
        assert shown(store) == ["two", "three", "one"]
        with refused(Code.STORE_READ_ONLY):
            store.set_references(find(store, "list.pla"), [])


def test_a_storage_that_goes_keeps_its_own(root: Path, second: Path) -> None:
    folders = [Folder(root, "Card"), Folder(second, "Stick")]
    with Catalogue(folders) as store:
        made = fill(store)
        (second / "list").touch()
        other = find(store, "list", storage=SECOND)
        store.set_references(other, [made["one"], other])
        store.rename(made["one"], "uno")
        store.remove_storage(FIRST)
        assert list(store.references(other)) == [other]
        written = state(root).read_bytes()
    assert state(root).read_bytes() == written
    with Catalogue(folders) as store:
        assert shown(store) == ["two", "three", "uno"]


def test_a_storage_that_became_read_only_hinders_no_other(root: Path, second: Path) -> None:
    folders = [Folder(root, "Card"), Folder(second, "Stick")]
    with Catalogue(folders) as store:
        on_card, on_stick = (_playlist(store, each) for each in (FIRST, SECOND))
        store.set_references(on_card[0], [on_card[1]])
        store.rename(on_card[1], "renamed.mp3")
        store.set_read_only(FIRST, read_only=True)
        store.set_references(on_stick[0], [on_stick[1], on_card[1]])
        assert list(store.references(on_stick[0])) == [on_stick[1], on_card[1]]
        assert list(store.references(on_card[0])) == [on_card[1]]
        with refused(Code.STORE_READ_ONLY):
            store.set_references(on_card[0], [])
        store.rename(on_stick[1], "moved.mp3")
    with Catalogue(folders) as store:
        assert _told(store, FIRST) == ["renamed.mp3"]
        assert _told(store, SECOND) == ["moved.mp3", "renamed.mp3"]


def test_a_playlist_that_left_a_storage_before_that_became_read_only(
    far: Catalogue,
) -> None:
    source, target = _playlist(far, FIRST)
    far.set_references(source, [target])
    far.move(source, SECOND, 0)
    far.set_read_only(FIRST, read_only=True)
    other = _playlist(far, SECOND, "other")
    far.set_references(other[0], [other[1]])
    assert list(far.references(source)) == [target]
    far.set_references(source, [])
    assert list(far.references(source)) == []


def _playlist(store: Catalogue, storage: int, name: str = "list") -> tuple[int, int]:
    """Make a playlist and what is to be in it."""
    made = []
    for each in (f"{name}.pla", f"{name}.mp3"):
        upload = begin(store, each, each.encode(), storage=storage)
        upload.commit()
        made.append(upload.handle)
    return made[0], made[1]


def _told(store: Catalogue, storage: int) -> list[str]:
    source = find(store, "list.pla", storage=storage)
    return [store.entry(each).name for each in store.references(source)]


def test_too_many(store: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fill(store)
    monkeypatch.setattr("appliance.storage.references.MAX_MARKS", 6)
    with refused(Code.STORE_FULL):
        store.set_references(made["one"], [made["two"]] * 3)
    store.set_references(made["one"], [made["two"]])
    store.delete(made["list.pla"])


def test_a_full_disk_leaves_what_was(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fill(store)

    def failing(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch, refused(Code.STORE_FULL):
        patch.setattr(os, "fsync", failing)
        store.set_references(made["list.pla"], [])
    assert shown(store) == ["two", "three", "one"]
    assert [each.name for each in state(root).parent.iterdir()] == ["references.json"]


MARK = [1, 2, 3, 4, "path"]
BAD_MARKS: list[list[object]] = [
    [],
    [1, 2, 3, 4],
    ["1", 2, 3, 4, "x"],
    [1, 2, 3, 4, 5],
    [2**64, 2, 3, 4, ""],
    [True, 2, 3, 4, ""],
    [1, 2, 3, 4, "\ud800"],
    [1, 2, 3, 4, "x", 5],
]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"objects": 5}',
        b'{"objects": [5]}',
        b'{"objects": [["a", "b"]]}',
        *(
            json.dumps({"objects": [[mark, [mark]]]}).encode()
            for mark in BAD_MARKS
        ),
        json.dumps({"objects": [[MARK, [MARK] * 20_000]]}).encode(),
        b" " * (5 << 20),
        b'{"objects": [[[' + b"9" * 5000 + b",2,3,4,5], []]]}",
    ],
)  # fmt: skip
def test_a_damaged_file_is_put_aside(root: Path, content: bytes) -> None:
    state(root).parent.mkdir(parents=True)
    state(root).write_bytes(content)
    with Catalogue([Folder(root, "Card")]) as store:
        made = put(store, "list")
        assert list(store.references(made)) == []
        assert state(root, "references.json.damaged").read_bytes() == content
        store.set_references(made, [made])
    with Catalogue([Folder(root, "Card")]) as store:
        assert shown(store, "list") == ["list"]


@pytest.mark.parametrize(
    "path", ["../outside/secret.txt", "/etc/passwd", "..", "", "folder/../../outside/secret.txt",
             "link/secret.txt", f"{WORKPLACE}/state/references.json", "a\0b"]
)  # fmt: skip
def test_a_path_in_the_file_leads_nowhere_else(root: Path, canary: Path, path: str) -> None:
    (root / "folder").mkdir()
    (root / "link").symlink_to(canary)
    (root / "list").touch()
    status, secret = (root / "list").stat(), (canary / "secret.txt").stat()
    source = [0, status.st_ino, status.st_size, status.st_mtime_ns, "list"]
    target = [0, secret.st_ino, secret.st_size, secret.st_mtime_ns, path]
    state(root).parent.mkdir(parents=True)
    state(root).write_text(json.dumps({"version": 1, "objects": [[source, [target]]]}))
    with Catalogue([Folder(root, "Card")]) as store:
        assert shown(store, "list") == []


@pytest.mark.parametrize("what", ["link to a file", "link to a folder", "folder", "pipe"])
def test_something_in_its_place(root: Path, canary: Path, what: str) -> None:
    state(root).parent.parent.mkdir(parents=True)
    if what == "link to a folder":
        state(root).parent.symlink_to(canary)
    else:
        state(root).parent.mkdir()
        make: dict[str, Callable[[], None]] = {
            "link to a file": lambda: state(root).symlink_to(canary / "secret.txt"),
            "folder": lambda: state(root).mkdir(),
            "pipe": lambda: os.mkfifo(state(root)),
        }
        make[what]()
    with Catalogue([Folder(root, "Card")]) as store:
        made = put(store, "list")
        assert list(store.references(made)) == []
        if what == "link to a folder":
            with refused(Code.ACCESS_DENIED):
                store.set_references(made, [made])
        else:
            store.set_references(made, [made])
            assert list(store.references(made)) == [made]


def test_what_another_program_writes_is_seen(store: Catalogue, root: Path) -> None:
    made = fill(store)
    with Catalogue([Folder(root, "Again")]) as other:
        other.set_references(find(other, "list.pla"), [find(other, "one")])
        other.set_references(find(other, "one"), [find(other, "two")])
    assert shown(store) == ["one"]
    store.set_references(made["two"], [made["one"]])
    assert (shown(store), shown(store, "one"), shown(store, "two")) == (["one"], ["two"], ["one"])


def test_a_power_cut_while_writing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class PowerCutError(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCutError

    store = Catalogue([Folder(root, "Card")])
    made = fill(store)
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        patch.setattr(staging.StagedFile, "rename", cut)
        store.set_references(made["list.pla"], [])
    store._lookup.volumes.present(FIRST).staging._release()
    with Catalogue([Folder(root, "Card")]) as again:
        assert shown(again) == ["two", "three", "one"]


@pytest.mark.parametrize("fault", [errno.EIO, errno.EMFILE])
def test_a_card_that_fails_while_they_are_read_costs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    """At each call of the system that is made for new references, one after the other."""
    faults, first, calls = Faults(), 0, 1
    while first <= calls:
        root = tmp_path / str(first)
        root.mkdir()
        with Catalogue([Folder(root, "Card")]) as store:
            fill(store)
        with Catalogue([Folder(root, "Card")]) as store:
            lists = [find(store, "list.pla"), put(store, "other.pla")]
            faults.plan(first, fault, stays=False)
            with faults.at_work(monkeypatch), suppress(MtpError):
                store.set_references(lists[1], [lists[0]])
                assert list(store.references(lists[1])) == lists[:1]
        calls = calls if first else faults.count
        with Catalogue([Folder(root, "Card")]) as store:
            assert shown(store) == ["two", "three", "one"], f"call {first}: {faults.where}"
        assert not state(root, "references.json.damaged").exists()
        first += 1
    assert calls > 10


def test_a_card_that_cannot_be_read_is_told_of(store: Catalogue, root: Path) -> None:
    made = fill(store)
    with Catalogue([Folder(root, "Again")]) as other, pytest.MonkeyPatch.context() as patch:
        handle = find(other, "list.pla")
        patch.setattr(reference_file, "_pieces", failing_pieces)
        with refused(Code.GENERAL_ERROR):
            other.references(handle)
        with refused(Code.GENERAL_ERROR):
            other.set_references(handle, [])
    assert shown(store) == ["two", "three", "one"]
    assert list(store.references(made["list.pla"]))


def failing_pieces(_: int) -> Iterator[bytes]:
    raise OSError(errno.EIO, "bad sector")


def test_what_moves_into_a_storage_leaves_what_is_written_there(root: Path, second: Path) -> None:
    """Nobody has asked for what that storage has."""
    with Catalogue([Folder(second, "Stick")]) as store:
        fill(store)
    folders = [Folder(root, "Card"), Folder(second, "Stick")]
    with Catalogue(folders) as store:
        lists = [put(store, "mine.pla"), put(store, "song")]
        store.set_references(lists[0], lists[1:])
        store.move(lists[0], SECOND, 0)
    with Catalogue([Folder(second, "Stick")]) as store:
        assert shown(store) == ["two", "three", "one"]
    with Catalogue(folders) as store:
        handle = find(store, "mine.pla", storage=SECOND)
        assert [store.entry(each).name for each in store.references(handle)] == ["song"]


def test_names_that_are_no_text(root: Path) -> None:
    raw = os.fsencode(root) + b"/na\xefve"
    Path(os.fsdecode(raw)).write_text("1")
    with Catalogue([Folder(root, "Card")]) as store:
        made, other = put(store, "list"), store.children(FIRST, 0)[0]
        store.set_references(made, [other])
    with Catalogue([Folder(root, "Card")]) as store:
        assert len(store.references(find(store, "list"))) == 1


def test_the_pc_sees_nothing_of_it(store: Catalogue) -> None:
    fill(store)
    assert names(store) == ["list.pla", "one", "two", "folder"]


def test_those_who_never_ask_pay_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from appliance.storage import Catalogue, Folder\n"
        "with Catalogue([Folder(Path(sys.argv[1]), 'Card')]) as store: store.children(0x10001, 0)\n"
        "print([name for name in sys.modules if 'reference' in name or name == 'json'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_many_at_once(store: Catalogue, root: Path) -> None:
    made = fill(store)
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            mine: Any = put(store, f"list {number}")
            for count in range(20):
                store.set_references(mine, [made["one"], made["two"]])
                store.rename(made["three"], f"three {number} {count}")
                assert len(store.references(mine)) == 2
                assert len(store.references(made["list.pla"])) == 3
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(json.loads(state(root).read_text())["objects"]) == 4
