# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings file: read, edited, and damaged."""

import stat
from collections.abc import Callable
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


#: Nested as far as Python can, and as far as only what reads it can.
NESTED = ("x = " + "[" * 3000, "x = " + "[" * 300 + "]" * 300, ".".join("a" * 3000) + " = 1")


@pytest.mark.parametrize(
    "damage",
    [
        *(b"name = ", b"\xff\xfe", b"name = 5", b"x" * (1 << 19), b"a = 1\na = 2", b"\0", b"[[["),
        *map(str.encode, NESTED),
        b'[[storages]]\npath = "/srv/a\\u0000b"',
        b'usbredir = ["unix:/tmp/x\\u0000y"]',
    ],
    ids=lambda damage: repr(damage[:20]),
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
    file.set_in_storage(Path("/srv/music"), "read_only", False)
    file.set_in_storage(Path("/srv/share"), "read_only", True)
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


ONE = """\
# one
[[storages]]
path = "/one"
"""
TWO = """
# two
[[storages]]
path = "/two"  # the second
"""
REST = """
# the trash
[trash]
days = 7
"""
THREE = """
[[storages]]
path = "/three"
name = "Three"
"""


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda file: file.remove_storage(Path("/one")), f"# one\n{TWO}{REST}"),
        (lambda file: file.remove_storage(Path("/two")), f"{ONE}\n# two\n{REST}"),
        (
            lambda file: [file.remove_storage(Path(each)) for each in ("/one", "/two")],
            f"# one\n\n# two\n{REST}",
        ),
        (
            lambda file: file.add_storage(StorageSetting(Path("/three"), "Three")),
            f"{ONE}{TWO}{THREE}{REST}",
        ),
        (
            lambda file: file.set_in_storage(Path("/one"), "read_only", True),
            f"{ONE}read_only = true\n{TWO}{REST}",
        ),
        (
            lambda file: file.add_storage(StorageSetting(Path("/one"), "One")),
            f'{ONE}name = "One"\n{TWO}{REST}',
        ),
    ],
)
def test_comments_stay_with_what_they_stand_above(
    tmp_path: Path, edit: Callable[[SettingsFile], object], expected: str
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(ONE + TWO + REST)
    edit(SettingsFile(path, tmp_path / "state"))
    assert path.read_text() == expected


@pytest.mark.parametrize("text", ["storages = []\n", 'storages = [{path = "/one"}]\n'])
def test_storages_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    file = SettingsFile(path, tmp_path / "state")
    before = file.read().settings.storages
    file.add_storage(StorageSetting(Path("/two"), "Two"))
    assert file.read().settings.storages == (*before, StorageSetting(Path("/two"), "Two"))
    file.remove_storage(Path("/two"))
    assert file.read().settings.storages == before


def test_all_storages_may_go_and_one_come(file: SettingsFile) -> None:
    file.remove_storage(Path("/srv/share"))
    file.add_storage(StorageSetting(Path("/srv/music")))
    assert file.read().settings.storages == (StorageSetting(Path("/srv/music")),)


def test_an_edit_leaves_the_file_where_and_whose_it_is(file: SettingsFile, path: Path) -> None:
    real = path.with_name("real.toml")
    path.rename(real)
    path.symlink_to(real.name)
    real.chmod(0o640)
    file.remove_storage(Path("/srv/share"))
    assert path.is_symlink()
    assert "storages" not in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@pytest.mark.parametrize("damage", ["name = ", "name = 5"])
def test_a_damaged_file_is_not_edited(file: SettingsFile, path: Path, damage: str) -> None:
    path.write_text(damage)
    with pytest.raises(ApplianceError, match=str(path)):
        file.add_storage(StorageSetting(Path("/srv/music")))
    assert path.read_text() == damage


@pytest.mark.parametrize("text", NESTED, ids=["Python", "an editor", "keys"])
def test_what_is_nested_too_deeply_is_not_taken_over(
    file: SettingsFile, path: Path, text: str
) -> None:
    with pytest.raises(ApplianceError, match="nested too deeply"):
        file.replace(text)
    with pytest.raises(ApplianceError, match="nested too deeply"):
        file.edit(lambda _: text)
    assert path.read_text() == TEXT


def test_what_could_not_be_read_again_is_not_written(file: SettingsFile, path: Path) -> None:
    long = TEXT + f"# {'x' * 80}\n" * 4000
    with pytest.raises(ApplianceError, match="longer than 65536 bytes"):
        file.replace(long)
    with pytest.raises(ApplianceError, match="longer than 65536 bytes"):
        file.edit(lambda _: long)
    assert path.read_text() == TEXT


def test_a_mark_before_the_text_as_windows_puts_it(file: SettingsFile, path: Path) -> None:
    path.write_text(TEXT, encoding="utf-8-sig")
    reading = file.read()
    assert (reading.settings.name, reading.findings.errors) == ("Kitchen", [])
    assert not file.is_broken()
    file.set({"name": "Garden"})
    assert path.read_text() == TEXT.replace("Kitchen", "Garden")


def test_an_edit_of_what_is_not_there(file: SettingsFile, path: Path) -> None:
    with pytest.raises(ApplianceError, match="no storage /nowhere"):
        file.remove_storage(Path("/nowhere"))
    with pytest.raises(ApplianceError, match="no storage /nowhere"):
        file.set_in_storage(Path("/nowhere"), "read_only", True)
    assert path.read_text() == TEXT
