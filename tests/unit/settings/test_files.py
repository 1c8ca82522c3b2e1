# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files where others may write too: what lies in their way is no obstacle."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.settings import files


def folder(path: Path) -> None:
    """A folder that cannot simply be removed."""
    (path / "within").mkdir(parents=True)
    (path / "within" / "file").touch()
    (path / "link").symlink_to("/")


def empty_folder(path: Path) -> None:
    path.mkdir(mode=0)


def link(path: Path) -> None:
    path.symlink_to("elsewhere")


def ring(path: Path) -> None:
    path.symlink_to(path.name)


def end_of_a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fsencode(path))


OBSTACLES: tuple[Callable[[Path], None], ...] = (
    *(folder, empty_folder, link, ring, end_of_a_socket, os.mkfifo),
)
obstacles = pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda each: each.__name__)


@obstacles
@pytest.mark.parametrize("name", ["file", "file.new", ".file.lock"])
def test_it_is_written_whatever_lies_in_its_place(
    tmp_path: Path, obstacle: Callable[[Path], None], name: str
) -> None:
    (tmp_path / "elsewhere").write_text("somebody's")
    obstacle(tmp_path / name)
    files.make_way(tmp_path / "file")
    for _ in range(2):
        with files.locked(tmp_path / "file"):
            files.write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "file").lstat().st_mode & 0o777 == 0o600
    assert (tmp_path / "elsewhere").read_text() == "somebody's"
    assert not (tmp_path / ".file.lock").is_symlink()
    there = {each.name for each in tmp_path.iterdir()} - {"file", ".file.lock", "elsewhere"}
    assert len(there) == (obstacle is folder)
    assert all((tmp_path / each / "within" / "file").exists() for each in there)


def test_a_folder_is_not_taken_for_an_obstacle_by_who_does_not_say_so(tmp_path: Path) -> None:
    folder(tmp_path / "file")
    with pytest.raises(IsADirectoryError):
        files.write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file" / "within" / "file").exists()
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@obstacles
def test_reading_waits_for_nobody(tmp_path: Path, obstacle: Callable[[Path], None]) -> None:
    obstacle(tmp_path / "file")
    with pytest.raises(OSError, match=r"no regular file|No such file|Too many levels"):
        files.read_regular(tmp_path / "file", 10)


@obstacles
def test_what_is_removed_is_gone_and_nothing_else(
    tmp_path: Path, obstacle: Callable[[Path], None]
) -> None:
    (tmp_path / "elsewhere").touch()
    obstacle(tmp_path / "file")
    files.remove(tmp_path / "file")
    files.remove(tmp_path / "file")
    assert [each.name for each in tmp_path.iterdir()] == ["elsewhere"]


def test_a_folder_too_deep_to_remove_gives_its_name_free(tmp_path: Path) -> None:
    """Whoever made it wants us to stumble over it."""
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for name in ("file", *["d"] * 1100):
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    try:
        files.remove(tmp_path / "file")
        assert not (tmp_path / "file").exists()
    finally:
        subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)  # pytest cannot, either


def test_a_mode_that_keeps_its_owner_out_does_not_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o040)
    files.write_atomically(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o640
