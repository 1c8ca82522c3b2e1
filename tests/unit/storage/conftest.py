# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder, a store that serves it, and disks to mount."""

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from errno import EXDEV
from pathlib import Path
from typing import Any

import pytest

from appliance.storage import Catalogue, Folder, scanning, syscalls
from tests.unit.storage.ear import Ear
from tests.unit.storage.helpers import FIRST, mount

Mount = Callable[[Path], None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    return folder


@pytest.fixture
def store(root: Path) -> Iterator[Catalogue]:
    with Catalogue([Folder(root, "Card")]) as catalogue:
        yield catalogue


@pytest.fixture
def watched(root: Path) -> Iterator[Catalogue]:
    """Serve a folder, and follow what happens in it."""
    with Catalogue([Folder(root, "Card")], watch=True) as catalogue:
        yield catalogue


@pytest.fixture
def ear(watched: Catalogue, root: Path) -> Ear:
    """Listen to what happens; the root has been listed."""
    watched.children(FIRST, 0)
    return Ear(watched, root)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    folder = tmp_path / "second"
    folder.mkdir()
    return folder


@pytest.fixture
def both(root: Path, second: Path) -> Iterator[Catalogue]:
    """Serve two folders."""
    with Catalogue([Folder(root, "Card"), Folder(second, "Stick")]) as catalogue:
        yield catalogue


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=4m", "none", str(place)):
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A folder outside the storage; it must not be read, listed or changed."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text("secret")
    (folder / "inner").mkdir()
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}
    yield folder
    now = {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}
    assert now == before
    assert (folder / "secret.txt").read_text() == "secret"


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count readings of directories, by their paths."""
    counted: Counter[str] = Counter()
    scandir = os.scandir

    def counting(fd: int | Path) -> Any:
        if isinstance(fd, int):
            counted[str(Path(f"/proc/self/fd/{fd}").readlink())] += 1
        return scandir(fd)

    monkeypatch.setattr(os, "scandir", counting)
    return counted


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mount]:
    """Mount a disk on a folder; where that is not allowed, make the code believe it."""
    places: list[Path] = []

    def mount_on(place: Path) -> None:
        if mount("-t", "tmpfs", "-o", "size=1m", "none", str(place)):
            places.append(place)
        else:
            _pretend(place, monkeypatch)

    yield mount_on
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def far(root: Path, second: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """Serve two folders on two file systems; where nothing can be mounted, act as if."""
    mounted = mount("-t", "tmpfs", "-o", "size=4m", "none", str(second))
    if not mounted:
        rename = syscalls._renameat2

        def crossing(source_fd: int, source: bytes, target_fd: int, target: bytes) -> int:
            places = {
                Path(f"/proc/self/fd/{fd}").readlink().is_relative_to(second)
                for fd in (source_fd, target_fd)
            }
            return rename(source_fd, source, target_fd, target) if len(places) == 1 else EXDEV

        monkeypatch.setattr(syscalls, "_renameat2", crossing)
    with Catalogue([Folder(root, "Card"), Folder(second, "Stick")]) as catalogue:
        yield catalogue
    if mounted:
        subprocess.run(["umount", "--lazy", str(second)], check=True)


class _Elsewhere:
    """What a file looks like, if it lay on another disk."""

    st_dev = -1

    def __init__(self, status: os.stat_result) -> None:
        self._status = status

    def __getattr__(self, name: str) -> Any:
        return getattr(self._status, name)


def _pretend(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inode = place.stat().st_ino
    kind = scanning._kind

    def elsewhere(entry: os.DirEntry[str], device: int) -> bool | None:
        return None if entry.inode() == inode else kind(entry, device)

    def mapped(look: Callable[..., os.stat_result]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            status = look(*arguments, **named)
            return _Elsewhere(status) if status.st_ino == inode else status

        return call

    monkeypatch.setattr(scanning, "_kind", elsewhere)
    monkeypatch.setattr(os, "stat", mapped(os.stat))
    monkeypatch.setattr(os, "fstat", mapped(os.fstat))
