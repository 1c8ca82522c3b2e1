# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of what takes long to make, and what is not."""

from pathlib import Path

import pytest

from image import cache


def make(work: Path) -> None:
    (work / "thing").write_text("made")


def fail(work: Path) -> None:
    make(work)
    raise OSError


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir() if each.is_dir()}


def test_a_thing_is_made_once(tmp_path: Path) -> None:
    made = cache.get(tmp_path, "base-a-1", make)
    assert (made / "thing").read_text() == "made"
    assert cache.get(tmp_path, "base-a-1", fail) == made


def test_others_of_its_kind_go(tmp_path: Path) -> None:
    for name in ("base-a-1", "base-b-1", "base-a-2"):
        cache.get(tmp_path, name, make)
    assert names(tmp_path) == {"base-b-1", "base-a-2"}


def test_what_cannot_be_made_leaves_nothing_and_the_one_before(tmp_path: Path) -> None:
    cache.get(tmp_path, "base-a-1", make)
    with pytest.raises(OSError):
        cache.get(tmp_path, "base-a-2", fail)
    assert names(tmp_path) == {"base-a-1"}


def test_remains_of_a_making_that_was_killed_go_with_the_next(tmp_path: Path) -> None:
    make_of_another_kind = tmp_path / "making-base-b-x"
    for remains in (tmp_path / "making-base-a-x", make_of_another_kind):
        remains.mkdir()
        make(remains)
    cache.get(tmp_path, "base-a-1", make)
    assert names(tmp_path) == {"base-a-1", make_of_another_kind.name}
