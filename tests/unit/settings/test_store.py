# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings file: read, edited, and damaged."""

from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.settings.schema import Settings, StorageSetting
from appliance.settings.store import SettingsFile

TEXT = """\
# what I want
name = "Kitchen"  # by the window

[trash]
days = 7

# the card
[[storages]]
path = "/srv/share"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(TEXT)
    return file


@pytest.fixture
def file(path: Path, tmp_path: Path) -> SettingsFile:
    return SettingsFile(path, tmp_path / "state")


def test_reading(file: SettingsFile) -> None:
    reading = file.read()
    assert reading.settings.name == "Kitchen"
    assert reading.settings.storages == (StorageSetting(Path("/srv/share")),)
    assert not reading.findings.errors


@pytest.mark.parametrize(
    "damage",
    [b"name = ", b"\xff\xfe", b"name = 5", b"x" * (1 << 19), b"a = 1\na = 2", b"\0", b"[[["],
)
def test_what_was_understood_last_serves(file: SettingsFile, path: Path, damage: bytes) -> None:
    good = file.read().settings
    path.write_bytes(damage)
    reading = file.read()
    assert len(reading.findings.errors) == 1
    assert reading.from_good_copy
    assert reading.settings == good
    path.write_text(TEXT)
    assert not file.read().findings.errors


def test_without_anything_the_defaults_serve(path: Path, tmp_path: Path) -> None:
    path.unlink()
    reading = SettingsFile(path, tmp_path / "state").read()
    assert reading.settings == Settings()
    assert reading.findings.errors == ["No such file or directory"]
    path.mkdir()
    assert SettingsFile(path, tmp_path / "state").read().settings == Settings()


def test_an_edit_changes_nothing_else(file: SettingsFile, path: Path) -> None:
    file.add_storage(StorageSetting(Path("/srv/music"), "Music", read_only=True))
    assert path.read_text().startswith(TEXT)
    file.set_read_only(Path("/srv/music"), read_only=False)
    file.set_read_only(Path("/srv/share"), read_only=True)
    assert [each.read_only for each in file.read().settings.storages] == [True, False]
    file.remove_storage(Path("/srv/music"))
    assert file.read().settings.storages == (StorageSetting(Path("/srv/share"), read_only=True),)
    for comment in ("# what I want", "# by the window", "# the card"):
        assert comment in path.read_text()


def test_the_first_storage_of_a_file_without_one(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('name = "A"\n')
    file = SettingsFile(path, tmp_path / "state")
    file.add_storage(StorageSetting(Path("/srv/share"), hidden_files=False))
    expected = StorageSetting(Path("/srv/share"), hidden_files=False)
    assert file.read().settings.storages == (expected,)
    file.remove_storage(Path("/srv/share"))
    assert file.read().settings == Settings(name="A")


@pytest.mark.parametrize("damage", ["name = ", "name = 5"])
def test_a_damaged_file_is_not_edited(file: SettingsFile, path: Path, damage: str) -> None:
    path.write_text(damage)
    with pytest.raises(ApplianceError, match=str(path)):
        file.add_storage(StorageSetting(Path("/srv/music")))
    assert path.read_text() == damage


def test_an_edit_of_what_is_not_there(file: SettingsFile, path: Path) -> None:
    with pytest.raises(ApplianceError, match="no storage /nowhere"):
        file.remove_storage(Path("/nowhere"))
    with pytest.raises(ApplianceError, match="no storage /nowhere"):
        file.set_read_only(Path("/nowhere"), read_only=True)
    assert path.read_text() == TEXT
