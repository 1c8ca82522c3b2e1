# SPDX-License-Identifier: GPL-3.0-or-later
import os
import subprocess
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.mtp.codes import ResponseCode as Code
from appliance.storage import Catalogue, Folder
from tests.unit.storage.helpers import (
    FIRST,
    SECOND,
    WORKPLACE,
    begin,
    find,
    mount,
    names,
    open_descriptors,
    put,
    refused,
)


def test_storages_in_their_order(both: Catalogue) -> None:
    assert tuple(both.storage_ids()) == (FIRST, SECOND)
    assert [both.storage(each).name for each in both.storage_ids()] == ["Card", "Stick"]


@pytest.mark.parametrize("storage", [0, 1, 0x00010000, 0x00030001, 0xFFFFFFFF])
def test_no_such_storage(both: Catalogue, storage: int) -> None:
    for ask in (both.storage, both.tree, lambda each: both.children(each, 0)):
        with refused(Code.INVALID_STORAGE_ID):
            ask(storage)
    with refused(Code.INVALID_STORAGE_ID):
        both.make_folder(storage, 0, "a", modified=None)


def test_sizes_are_the_file_systems(store: Catalogue, root: Path) -> None:
    space = os.statvfs(root)
    record = store.storage(FIRST)
    assert record.capacity == space.f_blocks * space.f_frsize
    assert abs(record.free - space.f_bavail * space.f_frsize) < 1 << 30
    assert record.free <= record.capacity
    assert not record.read_only


def test_what_only_root_may_use_is_not_free(
    store: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def statvfs(_: int) -> os.statvfs_result:
        return os.statvfs_result((4096, 1024, 100, 50, 40, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "fstatvfs", statvfs)
    record = store.storage(FIRST)
    assert (record.capacity, record.free) == (100 * 1024, 40 * 1024)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "cannot be a storage's name"),
        ("  ", "cannot be a storage's name"),
        ("a/b", "cannot be a storage's name"),
        ("a\nb", "cannot be a storage's name"),
        ("a\udc80", "cannot be a storage's name"),
        ("a" * 101, "cannot be a storage's name"),
    ],
)
def test_a_storage_has_a_name_that_can_be_said(root: Path, name: str, complaint: str) -> None:
    with pytest.raises(ApplianceError, match=complaint) as caught:
        Catalogue([Folder(root, name)])
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_two_storages_need_two_names_and_two_folders(root: Path, second: Path) -> None:
    with pytest.raises(ApplianceError, match="two storages are named Card"):
        Catalogue([Folder(root, "Card"), Folder(second, "Card")])
    link = root.parent / "link"
    link.symlink_to(root)
    for again in (root, root / ".." / root.name, link):
        with pytest.raises(ApplianceError, match="given twice"):
            Catalogue([Folder(root, "Card"), Folder(again, "Stick")])


def test_a_folder_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for name, complaint in (
        ("missing", "does not exist"),
        ("file", "is not a folder"),
        ("loop", "cannot be read"),
    ):
        with pytest.raises(ApplianceError, match=complaint) as caught:
            Catalogue([Folder(tmp_path / name, "Card")])
        assert caught.value.hint


def test_a_root_that_is_a_link_is_followed_once(tmp_path: Path, root: Path) -> None:
    (root / "a").touch()
    link = tmp_path / "link"
    link.symlink_to(root)
    with Catalogue([Folder(link, "Card")]) as store:
        link.unlink()
        link.symlink_to("/etc")
        assert names(store) == ["a"]


def test_a_read_only_storage_refuses_every_change(root: Path, second: Path) -> None:
    (root / "file").write_bytes(b"as it was")
    (root / "folder").mkdir()
    before = sorted(root.rglob("*"))
    with Catalogue([Folder(root, "Card", read_only=True), Folder(second, "Stick")]) as store:
        assert store.storage(FIRST).read_only
        assert not store.storage(SECOND).read_only
        file, folder = find(store, "file"), find(store, "folder")
        other = store.make_folder(SECOND, 0, "other", modified=None).handle
        for change in (
            lambda: begin(store, "new"),
            lambda: begin(store, "file"),
            lambda: store.make_folder(FIRST, 0, "new", modified=None),
            lambda: store.delete(file),
            lambda: store.delete(folder),
            lambda: store.rename(file, "new"),
            lambda: store.move(file, FIRST, folder),
            lambda: store.move(file, SECOND, 0),
            lambda: store.move(other, FIRST, 0),
            lambda: store.copy(other, FIRST, 0),
            lambda: store.copy(file, FIRST, folder),
        ):
            with refused(Code.STORE_READ_ONLY):
                change()
        assert (second / store.entry(store.copy(file, SECOND, 0)).name).read_bytes() == b"as it was"
    assert sorted(root.rglob("*")) == before


def test_a_file_system_that_is_mounted_read_only(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = mount("-t", "tmpfs", "-o", "ro", "none", str(root))
    if not mounted:
        flags = (4096, 4096, 9, 9, 9, 9, 9, 9, os.ST_RDONLY, 255)
        monkeypatch.setattr(os, "fstatvfs", lambda _: os.statvfs_result(flags))
    try:
        with Catalogue([Folder(root, "Card")]) as store:
            assert store.storage(FIRST).read_only
            with refused(Code.STORE_READ_ONLY):
                begin(store, "new")
    finally:
        if mounted:
            subprocess.run(["umount", str(root)], check=True)


def test_a_folder_that_cannot_be_written(
    root: Path, store: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert store.storage(FIRST).read_only
    with refused(Code.STORE_READ_ONLY):
        begin(store, "new")


def test_closing_leaves_nothing_behind(root: Path) -> None:
    before = open_descriptors()
    store = Catalogue([Folder(root, "Card")])
    put(store, "file", b"1")
    store.make_folder(FIRST, 0, "folder", modified=None)
    begin(store, "never finished", b"1").discard()
    assert (root / WORKPLACE).is_dir()
    store.close()
    store.close()
    assert sorted(path.name for path in root.iterdir()) == ["file", "folder"]
    assert open_descriptors() == before
