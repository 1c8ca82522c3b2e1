# SPDX-License-Identifier: GPL-3.0-or-later
"""A look into a storage: what is shown is what a PC is shown, not more than is of use."""

import os
from pathlib import Path

import pytest

from appliance.mtp.errors import MtpError
from appliance.storage import Catalogue, Folder, WriteSafety, browsing
from tests.unit.storage.helpers import FIRST, put


def names(store: Catalogue, *path: str) -> list[str]:
    return [each.name for each in store.browse(FIRST, path)]


@pytest.mark.parametrize(("hidden_files", "shown"), [(True, [".dot", "file"]), (False, ["file"])])
def test_hidden_names_as_the_storage_says(
    tmp_path: Path, hidden_files: bool, shown: list[str]
) -> None:
    for name in ("file", ".dot"):
        (tmp_path / name).touch()
    (tmp_path / ".folder").mkdir()
    with Catalogue([Folder(tmp_path, "Card", hidden_files=hidden_files)]) as store:
        assert [each for each in names(store) if each != ".folder"] == shown
        if not hidden_files:
            with pytest.raises(MtpError):
                names(store, ".folder")


def test_what_is_no_file_or_folder_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    with Catalogue([Folder(tmp_path, "Card")]) as store:
        assert names(store) == ["file"]


def test_a_folder_whose_name_cannot_be_shown_is_entered_by_what_stands_for_it(
    tmp_path: Path,
) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102 - bytes
    Path(os.fsdecode(folder), "inside").touch()
    with Catalogue([Folder(tmp_path, "Card")]) as store:
        (shown,) = names(store)
        assert names(store, shown) == ["inside"]
        with pytest.raises(MtpError):
            names(store, "caf~00000000")


def test_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "MOST", 3)
    for name in ("d", "B", "a", "c"):
        (tmp_path / name).touch()
    (tmp_path / "z").mkdir()
    with Catalogue([Folder(tmp_path, "Card")]) as store:
        assert names(store) == ["z", "a", "B"]


def test_what_is_not_on_the_card_yet_is_there_to_see(tmp_path: Path) -> None:
    with Catalogue([Folder(tmp_path, "Card")], write_safety=WriteSafety.FAST) as store:
        put(store, "just come", b"1")
        assert names(store) == ["just come"]
