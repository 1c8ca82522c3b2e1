# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder, a store that serves it, and disks to mount."""

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.storage import Catalogue, Folder, scanning
from appliance.storage.directories import Directories
from tests.unit.storage.helpers import mount

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


def _pretend(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inode = place.stat().st_ino
    kind = scanning._kind

    def elsewhere(entry: os.DirEntry[str], device: int) -> bool | None:
        return None if entry.inode() == inode else kind(entry, device)

    def is_here(_: Directories, status: os.stat_result) -> bool:
        return status.st_ino != inode

    monkeypatch.setattr(scanning, "_kind", elsewhere)
    monkeypatch.setattr(Directories, "is_here", is_here)
