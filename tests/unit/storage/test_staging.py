# SPDX-License-Identifier: GPL-3.0-or-later
"""The workplace: who has it, and what is left of those who are gone."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.storage import Catalogue, Folder, staging
from appliance.storage.directories import Directories, Names
from appliance.storage.removal import Allowance
from tests.unit.storage.helpers import FIRST, WORKPLACE, begin, leftovers, names, put, refused

PROJECT = Path(__file__).parents[3]

#: Uploads half a file, then says so and waits until its input ends; then it dies at once.
OTHER_PROCESS = """
import os, sys
from pathlib import Path
from appliance.storage import Catalogue, Folder

store = Catalogue([Folder(Path(sys.argv[1]), "Card")])
upload = store.receive(0x10001, 0, "theirs", size=10, modified=None)
upload.write(memoryview(b"12345"))
print("ready", flush=True)
word = sys.stdin.read()
if word == "commit":
    upload.commit()
os._exit(0)
"""


def start(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(root)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_what_a_crash_leaves_is_removed_at_the_next_start(root: Path) -> None:
    (root / "theirs").write_text("as it was")
    start(root).communicate("crash")
    assert len(leftovers(root)) == 1
    with Catalogue([Folder(root, "Card")]) as store:
        assert not (root / WORKPLACE).exists()
        assert names(store) == ["theirs"]
    assert (root / "theirs").read_text() == "as it was"


def test_what_another_process_works_on_is_left_alone(root: Path) -> None:
    process = start(root)
    with Catalogue([Folder(root, "Card")]) as store:
        assert len(leftovers(root)) == 1
        put(store, "ours", b"1")
    assert len(leftovers(root)) == 1
    process.communicate("commit")
    assert (root / "theirs").read_text() == "12345"
    assert (root / "ours").exists()


def test_half_a_tree_is_removed(root: Path) -> None:
    place = root / WORKPLACE / "1-gone" / "2-tree" / "folder"
    place.mkdir(parents=True)
    (place / "protected").touch(0o400)
    place.chmod(0o500)
    (root / WORKPLACE / "stray file").touch()
    (root / WORKPLACE / "link").symlink_to(root)
    (root / "own").touch()
    Catalogue([Folder(root, "Card")]).close()
    assert [path.name for path in root.iterdir()] == ["own"]


def test_a_read_only_storage_is_not_cleaned(root: Path) -> None:
    (root / WORKPLACE / "1-gone").mkdir(parents=True)
    with Catalogue([Folder(root, "Card", read_only=True)]) as store:
        assert names(store) == []
    assert (root / WORKPLACE / "1-gone").exists()


@pytest.mark.parametrize("what", ["file", "link", "disk full of faults"])
def test_a_workplace_that_cannot_be_cleaned_stops_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    (root / "own").touch()
    if what == "file":
        (root / WORKPLACE).touch()
    elif what == "link":
        (root / WORKPLACE).symlink_to("/etc")
    else:
        (root / WORKPLACE / "1-gone").mkdir(parents=True)

        def failing(*_: object, **__: object) -> None:
            raise OSError(errno.EIO, "bad sector")

        monkeypatch.setattr(os, "rmdir", failing)
    with Catalogue([Folder(root, "Card")]) as store:
        assert names(store) == ["own"]


def test_a_workplace_that_is_a_file_takes_no_uploads(store: Catalogue, root: Path) -> None:
    (root / WORKPLACE).touch()
    with refused(Code.ACCESS_DENIED):
        begin(store, "file")


def test_a_workplace_that_is_removed_is_made_anew(store: Catalogue, root: Path) -> None:
    put(store, "first")
    for path in (root / WORKPLACE).iterdir():
        path.rmdir()
    (root / WORKPLACE).rmdir()
    put(store, "second")
    assert sorted(names(store)) == ["first", "second"]


def test_a_staged_file_that_is_removed_on_the_device(store: Catalogue, root: Path) -> None:
    upload = begin(store, "file", b"1")
    (root / leftovers(root)[0]).unlink()
    with refused(Code.INVALID_PARENT_OBJECT):
        upload.commit()
    assert names(store) == []


def test_names_in_the_workplace_are_not_foreseen(store: Catalogue, root: Path) -> None:
    uploads = [begin(store, f"{number}") for number in range(20)]
    staged = {Path(path).name for path in leftovers(root)}
    assert len(staged) == 20
    assert all(len(name.partition("-")[2]) == 12 for name in staged)
    for upload in uploads:
        upload.discard()


def test_a_process_that_starts_takes_our_new_place_for_left(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making the directory and locking it, another process cleans up."""
    lock = staging.lock
    cleaned: list[int] = []

    def late(fd: int) -> bool:
        if not cleaned:
            cleaned.append(fd)
            root_fd = os.open(root, os.O_RDONLY)
            staging.clean(root_fd, staging.left(root_fd), Allowance())
            os.close(root_fd)
        return lock(fd)

    monkeypatch.setattr(staging, "lock", late)
    put(store, "file", b"1")
    assert names(store) == ["file"]


def test_another_process_holds_our_new_place_for_a_moment(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(staging, "lock", lambda _: next(answers))
    put(store, "file", b"1")
    assert names(store) == ["file"]


def test_it_is_not_tried_for_ever(store: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "lock", lambda _: False)
    with refused(Code.ACCESS_DENIED):
        begin(store, "file")


def test_a_file_system_without_locks(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", failing)
    put(store, "file")
    (root / WORKPLACE / "1-gone").mkdir()
    fd = os.open(root, os.O_RDONLY)
    staging.clean(fd, staging.left(fd), Allowance())
    os.close(fd)
    assert not (root / WORKPLACE / "1-gone").exists()


def test_two_stores_of_one_process_share_a_folder(store: Catalogue, root: Path) -> None:
    upload = begin(store, "file", b"1")
    with Catalogue([Folder(root, "Again")]) as other:
        put(other, "other")
    upload.commit()
    assert sorted(names(store)) == ["file", "other"]
    assert store.entry(upload.handle).storage_id == FIRST


def test_our_place_goes_just_as_an_upload_begins(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody puts a file where the workplace was, after it was looked at."""
    put(store, "file", b"1")
    is_at = Directories.is_at

    def swapped(self: Directories, fd: int, names: Names) -> bool:
        is_there = is_at(self, fd, names)
        if names[:1] == (b".mtp-appliance",) and (root / WORKPLACE).is_dir():
            (root / WORKPLACE).rename(root / "aside")
            (root / WORKPLACE).write_bytes(b"")
        return is_there

    monkeypatch.setattr(Directories, "is_at", swapped)
    with refused(Code.ACCESS_DENIED):
        begin(store, "other")
