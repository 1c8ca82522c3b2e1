# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions beside one another: each is whole or not there, whenever the power fails."""

import errno
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.update import versions
from tests.unit.storage.disk_model import Tree
from tests.unit.storage.recorder import Recorder
from tests.unit.update.helpers import PROGRAM, manifest_of

NAME = "9.1.0-0123abcd"
OLD = "9.0.0-ffff0000"


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_installed_with_bytecode_that_python_uses(tmp_path: Path) -> None:
    versions.install(tmp_path, NAME, PROGRAM)
    there = content(tmp_path / NAME)
    assert {name: there[name] for name in PROGRAM} == PROGRAM
    assert versions.installed(tmp_path) == (NAME,)
    code = "from appliance import cli; print(cli.__cached__, cli.main.__code__.co_filename)"
    # What is compiled is taken though the source says something else now.
    (tmp_path / NAME / "appliance/cli/__init__.py").write_text(
        "raise SystemExit('compiled anew')\n"
    )
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path.insert(0, '{tmp_path / NAME}'); {code}",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said[0].startswith(str(tmp_path / NAME))
    assert said[1] == str(tmp_path / NAME / "appliance/cli/__init__.py")


def test_what_is_written_is_for_all_to_read_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        versions.install(tmp_path, NAME, PROGRAM)
    finally:
        os.umask(before)
    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in (tmp_path / NAME).rglob("*")}
    assert modes == {True: 0o755, False: 0o644}
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o755


def test_a_program_for_another_python_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="Python cannot run"):
        versions.install(tmp_path, NAME, {**PROGRAM, "appliance/new.py": b"match = = 3\n"})
    assert list(tmp_path.iterdir()) == []


def test_installed_twice_it_is_left_alone(tmp_path: Path) -> None:
    versions.install(tmp_path, NAME, PROGRAM)
    before = (tmp_path / NAME).stat().st_ino
    versions.install(tmp_path, NAME, PROGRAM)
    assert (tmp_path / NAME).stat().st_ino == before


def test_remains_and_versions_that_nobody_wants_go(tmp_path: Path) -> None:
    for name in (NAME, OLD, "8.0.0-00000000"):
        versions.install(tmp_path, name, PROGRAM)
    (tmp_path / ".new/appliance").mkdir(parents=True)
    (tmp_path / ".new/appliance/x").touch()
    (tmp_path / "keys").mkdir()
    (tmp_path / "chosen").touch()
    versions.prune(tmp_path, {NAME, OLD, ""})
    assert sorted(each.name for each in tmp_path.iterdir()) == [OLD, NAME, "chosen", "keys"]


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = manifest_of(PROGRAM, b"x", unpacked=40 << 20)
    versions.require_room(tmp_path, manifest_of(PROGRAM, b"x"))
    full = os.statvfs_result((4096, 4096, 1000, 20_000, 10_000, 9, 9, 9, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(ApplianceError, match=r"needs 89 MB where 39 MB are free"):
        versions.require_room(tmp_path, manifest)


def test_a_disk_that_fills_up_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    write = os.write

    def fill_up(fd: int, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", fill_up)
    with pytest.raises(OSError, match="No space"):
        versions.install(tmp_path, NAME, PROGRAM)
    assert list(tmp_path.iterdir()) == []


def test_the_power_fails_at_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has a version's name is that version, whole; and it is there when install returns."""
    versions.install(tmp_path, OLD, PROGRAM)
    old = content(tmp_path / OLD)
    recorder = Recorder(tmp_path)
    before = len(recorder.notes)
    with recorder.recording(monkeypatch):
        versions.install(tmp_path, NAME, PROGRAM)
    new = content(tmp_path / NAME)
    left: list[set[bool]] = []
    for number, disk in recorder.replay():
        if number >= before:
            trees = disk.remains()
            assert all(in_tree(tree, OLD) == old for tree in trees)
            left.append({NAME in top(tree) for tree in trees})
            assert all(in_tree(tree, NAME) == new for tree in trees if NAME in top(tree))
    assert left[0] == {False}
    assert {False, True} in left
    assert left[-1] == {True}


def top(tree: Tree) -> set[str]:
    return {os.fsdecode(path[0]) for path, _ in tree}


def in_tree(tree: Tree, name: str) -> Mapping[str, bytes]:
    return {
        "/".join(os.fsdecode(part) for part in path[1:]): data
        for path, data in tree
        if data is not None and path[0] == name.encode()
    }
