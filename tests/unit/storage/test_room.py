# SPDX-License-Identifier: GPL-3.0-or-later
"""What does not fit is refused before it comes, and what the trash would give back is given."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.storage import Catalogue, Folder, TrashPolicy, trees
from tests.unit.storage.helpers import FIRST, SECOND, find, leftovers, names, put, refused

GIB = 1 << 30


@pytest.fixture
def keeping(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """A disk with a lot of space, and something in its trash."""
    _claim_space(root, monkeypatch)
    with Catalogue([Folder(root, "Card")], trash=TrashPolicy()) as store:
        store.delete(put(store, "old", b"1"))
        yield store


def _claim_space(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = list(os.statvfs(root))
    space[:5] = [4096, 4096, 1 << 26, 1 << 25, 1 << 25]
    monkeypatch.setattr(os, "fstatvfs", lambda _: os.statvfs_result(space))


# Files that are too large for their file system


@pytest.fixture
def fat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file end where FAT's do: the kernel says so as soon as somebody goes there."""
    seek = os.lseek

    def ending(fd: int, position: int, how: int) -> int:
        if position >= 4 * GIB:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return seek(fd, position, how)

    monkeypatch.setattr(os, "lseek", ending)


@pytest.mark.usefixtures("fat")
def test_a_file_that_is_too_large_is_refused_before_it_comes(
    keeping: Catalogue, root: Path
) -> None:
    for size in (4 * GIB, 1 << 36):
        with refused(Code.OBJECT_TOO_LARGE):
            keeping.receive(FIRST, 0, "large", size=size, modified=None)
    assert [each for each in leftovers(root) if "/trash/" not in f"/{each}"] == []
    assert [each.name for each in keeping.trash_list()] == ["old"]
    keeping.receive(FIRST, 0, "large", size=4 * GIB - 1, modified=None).discard()


@pytest.mark.usefixtures("fat")
@pytest.mark.parametrize("act", ["copy", "move"])
def test_a_file_that_is_too_large_is_not_copied_in_part(
    far: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    _claim_space(root, monkeypatch)
    (root / "folder").mkdir()
    (root / "folder" / "small").touch()
    with (root / "folder" / "large").open("wb") as file:
        file.truncate(4 * GIB)
    monkeypatch.setattr(trees, "copy", None)  # it is not even tried
    with refused(Code.OBJECT_TOO_LARGE):
        getattr(far, act)(find(far, "folder"), SECOND, 0)
    assert names(far, storage=SECOND) == []
    assert names(far) == ["folder"]
