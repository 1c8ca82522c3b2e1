# SPDX-License-Identifier: GPL-3.0-or-later
"""Formatting empties a storage of what is shown, and touches nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.transaction import Look
from appliance.storage import Catalogue, Folder, TrashPolicy
from appliance.storage.deletion import Deletion
from tests.unit.storage.helpers import FIRST, SECOND, WORKPLACE, begin, names, put, refused


@pytest.fixture
def filled(root: Path) -> Path:
    """A folder with files, folders, hidden ones and a link."""
    for name in ("file", "folder/file", "folder/.hidden", ".hidden/file", ".rc"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.fixture
def formattable(filled: Path, second: Path) -> Iterator[Catalogue]:
    (second / "other").touch()
    folders = [Folder(filled, "Card"), Folder(second, "Stick")]
    with Catalogue(folders, allow_format=True) as store:
        yield store


def rest(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def test_everything_goes(formattable: Catalogue, filled: Path, second: Path) -> None:
    formattable.format(FIRST)
    assert names(formattable) == []
    assert rest(filled) == set()
    assert rest(second) == {"other"}
    put(formattable, "new", b"1")


@pytest.mark.parametrize("trash", [None, TrashPolicy()], ids=["for good", "trash"])
def test_what_is_not_shown_stays(filled: Path, canary: Path, trash: TrashPolicy | None) -> None:
    (filled / "link").symlink_to(canary)
    card = Folder(filled, "Card", hidden_files=False)
    with Catalogue([card], trash=trash, allow_format=True) as store:
        store.format(FIRST)
        assert names(store) == []
        assert len(store.trash_list()) == (2 if trash else 0)
        for item in store.trash_list():
            store.trash_restore(FIRST, item.name)
    kept = {".hidden", ".rc", "link"}
    assert rest(filled) - {WORKPLACE} == (kept | {"file", "folder"} if trash else kept)
    assert (filled / "folder" / ".hidden").exists() is bool(trash)


def test_an_upload_meanwhile_is_not_hurt(formattable: Catalogue, filled: Path) -> None:
    upload = begin(formattable, "new", b"1")
    formattable.format(FIRST)
    upload.commit()
    assert rest(filled) - {WORKPLACE} == {"new"}


def test_a_part_of_it_stays(formattable: Catalogue, filled: Path) -> None:
    (filled / "folder" / "file").chmod(0o444)
    with refused(Code.PARTIAL_DELETION):
        formattable.format(FIRST)
    assert names(formattable) == ["folder"]


def test_all_of_it_stays(formattable: Catalogue, filled: Path, second: Path) -> None:
    (second / "other").chmod(0o444)
    with refused(Code.OBJECT_WRITE_PROTECTED):
        formattable.format(SECOND)
    assert rest(second) == {"other"}


def test_what_goes_meanwhile_is_as_good_as_deleted(
    formattable: Catalogue, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = Deletion.delete

    def late(deletion: Deletion, handle: int, *, look: Look) -> None:
        (filled / "file").unlink(missing_ok=True)
        delete(deletion, handle, look=look)

    monkeypatch.setattr(Deletion, "delete", late)
    formattable.format(FIRST)
    assert names(formattable) == []


def test_it_is_refused(store: Catalogue, root: Path) -> None:
    put(store, "file")
    with refused(Code.ACCESS_DENIED):
        store.format(FIRST)
    with refused(Code.INVALID_STORAGE_ID):
        store.format(SECOND)
    assert names(store) == ["file"]
    assert not store.may_format
    store.may_format = True
    store.format(FIRST)
    assert names(store) == []


def test_a_read_only_storage(root: Path) -> None:
    (root / "file").touch()
    with Catalogue([Folder(root, "Card", read_only=True)], allow_format=True) as store:
        with refused(Code.STORE_READ_ONLY):
            store.format(FIRST)
        assert names(store) == ["file"]
