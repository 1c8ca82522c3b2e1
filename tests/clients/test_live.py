# SPDX-License-Identifier: GPL-3.0-or-later
"""A device that stays mounted: what happens on it is seen, and files are changed in place."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.clients import gvfs
from tests.clients.driver import ClientError, Driver
from tests.clients.file_systems import FileSystem

pytestmark = pytest.mark.guest

_PATIENCE = 120.0


def eventually(look: Callable[[], object], expected: object) -> None:
    """Look again and again until what is seen is as expected."""
    deadline = time.monotonic() + _PATIENCE
    while (seen := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert seen == expected


# Seen by a desktop that holds the device


@pytest.fixture
def live(client: Driver, share: Path) -> Iterator[Path]:
    """Hold the device mounted, and look at a file and at a folder with one."""
    (share / "file.txt").write_bytes(b"before")
    (share / "folder").mkdir()
    (share / "folder" / "inner.txt").write_bytes(b"inner")
    with gvfs.mounted():
        eventually(lambda: listed(""), {"file.txt", "folder"})
        eventually(lambda: listed("folder"), {"inner.txt"})
        eventually(lambda: size("file.txt"), 6)
        yield share


def listed(folder: str) -> set[str]:
    return set(gvfs.gio("list", gvfs.uri(folder)).splitlines())


def size(path: str) -> int:
    said = gvfs.gio("info", "-a", "standard::size", gvfs.uri(path))
    found = re.search(r"size: +(\d+)", said)
    return int(found[1]) if found else -1


def content(path: str) -> str:
    return gvfs.gio("cat", gvfs.uri(path))


def is_there(path: str) -> bool:
    try:
        gvfs.gio("info", gvfs.uri(path))
    except ClientError:
        return False
    return True


def _monitored(share: Path, folder: str) -> AbstractContextManager[Callable[[], gvfs.Happened]]:
    return gvfs.monitored(folder, share / folder / "probe")


@pytest.mark.needs("live")
@pytest.mark.parametrize("path", ["new.txt", "folder/new.txt"])
def test_a_file_made_on_the_device_is_seen(live: Path, path: str) -> None:
    with _monitored(live, path.rpartition("/")[0]) as events:
        (live / path).write_bytes(b"new")
        eventually(lambda: ("created", path) in events(), True)
    assert size(path) == 3
    assert content(path) == "new"


@pytest.mark.needs("live")
@pytest.mark.parametrize("after", ["before, and more", "less", ""], ids=["longer", "shorter", "0"])
@pytest.mark.parametrize("path", ["file.txt", "folder/inner.txt"])
def test_a_file_changed_on_the_device_is_read_with_its_new_size(
    live: Path, path: str, after: str
) -> None:
    content(path)
    (live / path).write_text(after)
    eventually(lambda: size(path), len(after))
    eventually(lambda: content(path), after)


@pytest.mark.needs("live")
def test_a_file_replaced_on_the_device_is_read_anew(live: Path) -> None:
    content("file.txt")
    (live / "folder" / "inner.txt").rename(live / "file.txt")
    eventually(lambda: content("file.txt"), "inner")
    eventually(lambda: is_there("folder/inner.txt"), False)


@pytest.mark.needs("live")
@pytest.mark.parametrize("name", ["file.txt", "folder"])
def test_what_is_renamed_on_the_device_has_its_new_name(live: Path, name: str) -> None:
    with _monitored(live, "") as events:
        (live / name).rename(live / "other")
        eventually(lambda: ("created", "other") in events(), True)
        eventually(lambda: ("deleted", name) in events(), True)
    eventually(lambda: is_there(name), False)
    if name == "folder":
        assert content("other/inner.txt") == "inner"
    else:
        assert content("other") == "before"


@pytest.mark.needs("live")
@pytest.mark.parametrize("path", ["file.txt", "folder/inner.txt"])
def test_what_is_deleted_on_the_device_is_gone(live: Path, path: str) -> None:
    with _monitored(live, path.rpartition("/")[0]) as events:
        (live / path).unlink()
        eventually(lambda: ("deleted", path) in events(), True)
    assert not is_there(path)


@pytest.mark.needs("live")
def test_what_the_desktop_does_itself_is_not_undone(live: Path, tmp_path: Path) -> None:
    (tmp_path / "up.txt").write_bytes(b"up")
    with _monitored(live, "") as events:
        gvfs.gio("copy", tmp_path / "up.txt", gvfs.uri("up.txt"))
        (live / "last.txt").touch()
        eventually(lambda: ("created", "last.txt") in events(), True)
        assert ("deleted", "up.txt") not in events()
    assert content("up.txt") == "up"


# Changed in place

BEFORE = bytes(range(256)) * 1000
EDITS: dict[str, Callable[[bytearray], object]] = {
    "append": lambda data: data.extend(b"at the end" * 1000),
    "overwrite": lambda data: data.__setitem__(slice(100_001, 100_011), b"0123456789"),
    "first byte": lambda data: data.__setitem__(0, 0xFF),
    "truncate": lambda data: data.__delitem__(slice(4097, None)),
    "empty": lambda data: data.clear(),
}


@pytest.mark.needs("edit")
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_in_place_arrives(client: Driver, share: Path, edit: str) -> None:
    assert isinstance(client, FileSystem)
    (share / "file.bin").write_bytes(BEFORE)
    expected = bytearray(BEFORE)
    EDITS[edit](expected)
    with client.mounted() as root:
        _change(root / "file.bin", edit)
    assert (share / "file.bin").read_bytes() == expected


def _change(path: Path, edit: str) -> None:
    with path.open("r+b") as file:
        if edit == "append":
            file.seek(0, 2)
            file.write(b"at the end" * 1000)
        elif edit == "overwrite":
            file.seek(100_001)
            file.write(b"0123456789")
        elif edit == "first byte":
            file.write(b"\xff")
        else:
            file.truncate(4097 if edit == "truncate" else 0)


@pytest.mark.needs("edit")
def test_a_file_written_in_pieces_arrives(client: Driver, share: Path) -> None:
    assert isinstance(client, FileSystem)
    with client.mounted() as root, (root / "new.bin").open("wb") as file:
        for start in range(0, len(BEFORE), 10_007):
            file.write(BEFORE[start : start + 10_007])
    assert (share / "new.bin").read_bytes() == BEFORE
