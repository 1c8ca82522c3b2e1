# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system that takes `dcim` and `DCIM` for one name, as FAT does: one object, one row."""

import os
from pathlib import Path
from typing import Any

import pytest

from appliance.storage import Catalogue
from tests.unit.storage.helpers import FIRST, begin, content, find, names


@pytest.fixture
def folding(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the calls that meet a name in other letters do as they do on such a file system."""
    stat, mkdir, rename = os.stat, os.mkdir, os.rename

    def spelled(name: Any) -> Any:
        known = {each.lower(): each for each in map(os.fsencode, os.listdir(root))}  # noqa: PTH208
        return known.get(name.lower(), name) if isinstance(name, bytes) else name

    def folding_stat(path: Any, **named: Any) -> os.stat_result:
        return stat(spelled(path), **named)

    def folding_mkdir(name: Any, *mode: int, **named: Any) -> None:
        mkdir(spelled(name), *mode, **named)

    def folding_rename(source: Any, target: Any, **named: Any) -> None:
        rename(source, spelled(target), **named)

    monkeypatch.setattr(os, "stat", folding_stat)
    monkeypatch.setattr(os, "mkdir", folding_mkdir)
    monkeypatch.setattr(os, "rename", folding_rename)


LISTED = pytest.mark.parametrize("listed", [False, True], ids=["unlisted", "listed"])


@LISTED
@pytest.mark.usefixtures("folding")
def test_a_folder_is_found(store: Catalogue, root: Path, *, listed: bool) -> None:
    (root / "dcim").mkdir()
    (root / "other").mkdir()
    known = find(store, "dcim") if listed else 0
    handle = store.make_folder(FIRST, 0, "DCIM", modified=None).handle
    assert names(store) == ["dcim", "other"]
    assert handle == find(store, "dcim")
    assert known in (0, handle)


@LISTED
@pytest.mark.usefixtures("folding")
def test_a_file_is_replaced_and_keeps_its_letters(
    store: Catalogue, root: Path, *, listed: bool
) -> None:
    (root / "photo.jpg").write_bytes(b"old")
    known = find(store, "photo.jpg") if listed else 0
    upload = begin(store, "PHOTO.JPG", b"new")
    upload.commit()
    assert upload.replaces
    assert known in (0, upload.replaced)
    assert list(store.children(FIRST, 0)) == [upload.handle]
    assert store.entry(upload.handle).name == "photo.jpg"
    assert content(store, upload.handle) == b"new"
    assert (root / "photo.jpg").read_bytes() == b"new"


def test_another_link_to_a_file_is_another_name(store: Catalogue, root: Path) -> None:
    (root / "a").write_bytes(b"old")
    (root / "b").hardlink_to(root / "a")
    begin(store, "b", b"new").commit()
    assert sorted(names(store)) == ["a", "b"]
    assert (root / "a").read_bytes() == b"old"
    assert (root / "b").read_bytes() == b"new"
