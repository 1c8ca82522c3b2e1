# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of the kernel's watch, by itself."""

import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.storage.followed import Followed
from appliance.storage.watch import Event, Kind, Watch


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    assert not watch.is_open
    assert list(watch.read()) == []
    watch.open()
    yield watch
    watch.close()


def follow(watch: Watch, folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        number = watch.add(fd)
    finally:
        os.close(fd)
    assert number is not None
    return number


def happened(watch: Watch) -> list[tuple[Kind, bytes]]:
    return [(each.kind, each.name) for each in watch.read()]


def test_what_happens(watch: Watch, tmp_path: Path) -> None:
    follow(watch, tmp_path)
    assert happened(watch) == []
    (tmp_path / "file").write_text("1")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "file").rename(tmp_path / "other")
    (tmp_path / "other").unlink()
    (tmp_path / "folder").mkdir()
    assert select.select([watch], [], [], 0)[0]
    events = list(watch.read())
    assert [(each.kind, each.name) for each in events] == [
        (Kind.CREATED, b"file"),
        (Kind.WRITTEN, b"file"),
        (Kind.CLOSED, b"file"),
        (Kind.ALTERED, b"file"),
        (Kind.LEFT, b"file"),
        (Kind.CAME, b"other"),
        (Kind.DELETED, b"other"),
        (Kind.CREATED, b"folder"),
    ]
    assert events[4].cookie == events[5].cookie != 0


@pytest.mark.parametrize("name", [b"\xff", b"a" * 255, "ä☃".encode(), b"\n", b"a\\0"])
def test_any_name(watch: Watch, tmp_path: Path, name: bytes) -> None:
    follow(watch, tmp_path)
    os.mkdir(os.fsencode(tmp_path) + b"/" + name)  # noqa: PTH102 - bytes
    assert happened(watch) == [(Kind.CREATED, name)]


def test_the_open_directory_is_watched_and_not_a_path(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    fd = os.open(tmp_path / "folder", os.O_RDONLY | os.O_DIRECTORY)
    (tmp_path / "folder").rename(tmp_path / "moved")
    (tmp_path / "folder").mkdir()
    watch.add(fd)
    os.close(fd)
    (tmp_path / "folder" / "unseen").mkdir()
    (tmp_path / "moved" / "seen").mkdir()
    assert happened(watch) == [(Kind.CREATED, b"seen")]


def test_the_end_of_a_watch(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    number = follow(watch, tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    assert list(watch.read())[-1] == Event(number, Kind.ENDED, 0, b"")
    watch.remove(number)


def test_many_events_come_in_parts(watch: Watch, tmp_path: Path) -> None:
    follow(watch, tmp_path)
    for number in range(3000):
        (tmp_path / f"folder {number}").mkdir()
    found: list[Event] = []
    while part := list(watch.read()):
        found += part
    assert len(found) == 3000


def test_what_is_no_directory(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    assert watch.add(fd) is None
    os.close(fd)


def test_descriptors_are_not_inherited(watch: Watch) -> None:
    assert not os.get_inheritable(watch.fileno())


# Which rows a watch is for


def test_rows_come_and_go(watch: Watch, tmp_path: Path) -> None:
    followed = Followed(watch)
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(2):
        followed.add(1, fd)
        followed.add(2, fd)
    assert (len(followed), list(followed)) == (2, [1, 2])
    (tmp_path / "folder").mkdir()
    (event,) = watch.read()
    assert followed.rows(event.watch) == (1, 2)
    followed.remove(1)
    followed.remove(1)
    assert followed.rows(event.watch) == (2,)
    followed.remove(2)
    assert followed.rows(event.watch) == ()
    (tmp_path / "unseen").mkdir()
    assert [kind for kind, _ in happened(watch)] == [Kind.ENDED]
    os.close(fd)


def test_a_row_gets_another_directory(watch: Watch, tmp_path: Path) -> None:
    followed = Followed(watch)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        fd = os.open(tmp_path / name, os.O_RDONLY)
        followed.add(1, fd)
        os.close(fd)
    (tmp_path / "one" / "unseen").mkdir()
    (tmp_path / "other" / "seen").mkdir()
    events = [each for each in watch.read() if each.kind is not Kind.ENDED]
    assert [each.name for each in events] == [b"seen"]
    followed.ended(events[0].watch)
    assert len(followed) == 0
    assert followed.rows(events[0].watch) == ()
