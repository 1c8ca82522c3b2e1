# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole trees by the commands that people know, where the device is mounted as a file system."""

from pathlib import Path

import pytest

from tests.clients.driver import Driver, run
from tests.clients.file_systems import FileSystem

pytestmark = pytest.mark.guest


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder: None for folders."""
    return {
        str(each.relative_to(folder)): each.read_bytes() if each.is_file() else None
        for each in folder.rglob("*")
        if ".mtp-appliance" not in each.parts
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Twenty files in nested folders, none of them empty."""
    folder = tmp_path / "tree"
    for number in range(20):
        file = folder / f"level {number % 3}" / f"below {number % 2}" / f"file {number}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([number]) * (number * 997 + 1))
    return folder


@pytest.mark.needs("file system")
def test_a_tree_is_copied_in_copied_out_and_removed(
    client: Driver, share: Path, tree: Path, tmp_path: Path
) -> None:
    assert isinstance(client, FileSystem)
    expected = contents(tree)
    with client.mounted() as root:
        run("cp", "-r", tree, root)
    assert contents(share / "tree") == expected
    with client.mounted() as root:
        run("cp", "-r", root / "tree", tmp_path / "copy")
    assert contents(tmp_path / "copy") == expected
    with client.mounted() as root:
        run("rm", "-r", root / "tree" / "level 1")
        run("mv", root / "tree" / "level 0" / "below 0", root / "tree" / "level 0" / "moved")
    assert not (share / "tree" / "level 1").exists()
    moved = contents(tree / "level 0" / "below 0")
    assert contents(share / "tree" / "level 0" / "moved") == moved
    with client.mounted() as root:
        run("rm", "-r", root / "tree")
    assert contents(share) == {}


@pytest.mark.needs("file system", "put empty")
def test_touching_makes_a_file(client: Driver, share: Path) -> None:
    assert isinstance(client, FileSystem)
    with client.mounted() as root:
        run("touch", root / "new.txt")
    assert (share / "new.txt").read_bytes() == b""
