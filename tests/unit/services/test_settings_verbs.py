# SPDX-License-Identifier: GPL-3.0-or-later
"""What the settings page asks of the settings."""

from pathlib import Path
from typing import Any

import pytest

from appliance.errors import ApplianceError
from appliance.services.settings_verbs import SettingsVerbs
from appliance.settings import passwords
from appliance.settings.store import SettingsFile

TEXT = """\
# mine
name = "Kitchen"

[trash]
days = 7

[[storages]]
path = "/srv/share"
name = "Files"
"""
HASH = passwords.hash_password("a good password")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A directory for copies of who reads the same file."""
    return tmp_path / "own"


@pytest.fixture
def reloads() -> list[str]:
    return []


@pytest.fixture
def person(path: Path, tmp_path: Path, reloads: list[str]) -> SettingsVerbs:
    file = SettingsFile(path, tmp_path / "state")

    def reload() -> None:
        file.read()
        reloads.append(path.read_text())

    file.read()
    return SettingsVerbs(file, reload)


def test_a_plan_says_what_would_be_and_writes_nothing(
    person: SettingsVerbs, path: Path, reloads: list[str]
) -> None:
    plan = person.plan({"trash.days": "9", "leds.pins": "17, 27", "name": "Kitchen"})
    assert plan == {
        "changes": [
            change("trash.days", "How long", 7, 9),
            change("leds.pins", "Pins of LEDs", (), (17, 27)),
        ],
        "errors": {},
    }
    assert (path.read_text(), reloads) == (TEXT, [])


def change(key: str, label: str, before: Any, after: Any) -> dict[str, Any]:
    said = {"key": key, "label": label, "before": before, "after": after}
    return said | {"effect": "at once"}


def test_a_plan_names_each_value_that_will_not_do(person: SettingsVerbs) -> None:
    plan = person.plan({"trash.days": "0", "leds.pins": "a", "trash.keep": "no", "name": "\n"})
    assert set(plan["errors"]) == {"trash.days", "leds.pins", "name"}
    assert plan["errors"]["trash.days"] == "is not between 1 and 3650"
    assert [each["key"] for each in plan["changes"]] == ["trash.keep"]


@pytest.mark.parametrize("key", ["web.password", "wifi.passphrase", "nothing", "storages"])
def test_what_cannot_be_set(person: SettingsVerbs, path: Path, key: str) -> None:
    for verb in (person.plan, person.set):
        with pytest.raises(ApplianceError):
            verb({key: HASH})
    assert path.read_text() == TEXT


def test_what_was_set_is_put_into_force_and_undone_and_done_again(
    person: SettingsVerbs, path: Path, reloads: list[str]
) -> None:
    assert person.set({"trash.days": "9"}) == ["trash.days: 7 -> 9"]
    assert len(reloads) == 1
    assert person.undo(dry=True) == [change("trash.days", "How long", 9, 7)]
    assert "days = 9" in path.read_text()
    person.undo(dry=False)
    assert path.read_text() == TEXT
    person.undo(dry=False)
    assert "days = 9" in path.read_text()
    assert len(reloads) == 3


def test_an_undo_with_nothing_to_undo(person: SettingsVerbs, path: Path) -> None:
    with pytest.raises(ApplianceError, match="no change to undo"):
        person.undo(dry=False)
    path.write_text(f"# only a comment\n{TEXT}")
    with pytest.raises(ApplianceError, match="no change to undo"):
        person.undo(dry=False)


def test_an_undo_after_an_edit_that_nobody_has_read_yet(person: SettingsVerbs, path: Path) -> None:
    path.write_text(TEXT.replace("Kitchen", "Garden"))
    assert [each["after"] for each in person.undo(dry=False)] == ["Kitchen"]
    assert path.read_text() == TEXT


@pytest.mark.parametrize("damage", ['"seven"', "7\nname = \xff"], ids=repr)
@pytest.mark.parametrize("how", ["import", "undo"])
def test_a_broken_file_is_mended_by_what_says_the_same(
    person: SettingsVerbs, path: Path, reloads: list[str], damage: str, how: str
) -> None:
    backup = person.export()
    verb = person.undo if how == "undo" else lambda dry: person.take(backup, dry)
    broken = TEXT.replace("days = 7", f"days = {damage}").encode("latin-1")
    path.write_bytes(broken)
    assert (verb(True), path.read_bytes(), reloads) == ([], broken, [])
    assert verb(False) == []
    reading = SettingsFile(path, path.parent / "none").read()
    assert (reading.findings.errors, reading.settings.trash_days) == ([], 7)
    assert len(reloads) == 1


def test_a_good_file_stays_where_a_backup_says_the_same(
    person: SettingsVerbs, path: Path, reloads: list[str]
) -> None:
    assert person.take(person.export(), dry=False) == []
    assert (path.read_text(), reloads) == (TEXT, [])


def test_another_order_of_storages_is_told_and_undone(person: SettingsVerbs, path: Path) -> None:
    more = TEXT + '[[storages]]\npath = "/srv/more"\n'
    person.take(more, dry=False)
    SettingsFile(path, path.parent / "own").order_storages([Path("/srv/more"), Path("/srv/share")])
    told = [change("storages", "Order of storages", ["more", "Files"], ["Files", "more"])]
    assert person.undo(dry=True) == told
    assert person.undo(dry=False) == told
    assert path.read_text() == more


def test_an_undo_keeps_the_password_of_now(person: SettingsVerbs, path: Path, own: Path) -> None:
    person.set({"name": "Garden"})
    SettingsFile(path, own).set({"web.password": HASH})
    person.undo(dry=False)
    assert SettingsFile(path, own).read().settings.web_password == HASH
    assert "Kitchen" in path.read_text()


def test_secrets_come_neither_in_nor_out(person: SettingsVerbs, path: Path, own: Path) -> None:
    file = SettingsFile(path, own)
    file.set({"web.password": HASH, "wifi.passphrase": "correct horse"})
    assert not {"web.password", "wifi.passphrase"} & set(person.get())
    backup = person.export()
    assert "scrypt" not in backup
    assert "horse" not in backup
    for text in (f'[web]\npassword = "{HASH}"\n', 'wifi = {passphrase = "another horse"}\n'):
        with pytest.raises(ApplianceError, match="secrets"):
            person.take(text, dry=False)
    found = file.read().settings
    assert (found.web_password, found.wifi_passphrase) == (HASH, "correct horse")


def test_a_backup_has_no_secrets_and_leaves_them_where_it_is_taken_over(
    person: SettingsVerbs, path: Path, own: Path
) -> None:
    file = SettingsFile(path, own)
    file.set({"web.password": HASH})
    backup = person.export()
    person.set({"trash.days": "9", "name": "Garden"})
    told = person.take(backup, dry=True)
    assert {each["key"]: each["after"] for each in told} == {"trash.days": 7, "name": "Kitchen"}
    assert "Garden" in path.read_text()
    assert person.take(backup, dry=False) == told
    assert person.get()["name"] == "Kitchen"
    assert file.read().settings.web_password == HASH


@pytest.mark.parametrize(
    "text",
    [
        *("[[", "name = 3", "version = 99", '[[storages]]\nname = "x"', "x = " + "[" * 3000),
        *('[[storages]]\npath = "/a\\u0000b"', f"# {'x' * (1 << 18)}\nname = 'Long'"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_backup_that_is_none(person: SettingsVerbs, path: Path, text: str) -> None:
    with pytest.raises(ApplianceError):
        person.take(text, dry=False)
    assert path.read_text() == TEXT


def test_changes_of_storages_are_named_after_their_folder(person: SettingsVerbs) -> None:
    other = TEXT.replace("Files", "Papers") + '[[storages]]\npath = "/srv/more"\n'
    told = person.take(other, dry=True)
    assert [(each["key"], each["label"]) for each in told] == [
        ("storages[/srv/share].name", "Name (/srv/share)"),
        ("storages[/srv/more]", "Storage (/srv/more)"),
    ]


def test_without_a_file_there_are_no_settings() -> None:
    person = SettingsVerbs(None, lambda: None)
    for verb in (person.get, person.export, person.reset):
        with pytest.raises(ApplianceError, match="no settings file"):
            verb()


def test_from_a_reset_nobody_comes_back(person: SettingsVerbs, path: Path, own: Path) -> None:
    """The button's long press is for who gives the appliance away."""
    person.set({"name": "Mine"})
    file = SettingsFile(path, own)
    file.set({"web.password": HASH})
    assert any("Mine" in each for each in person.reset())
    assert file.read().settings.web_password == ""
    with pytest.raises(ApplianceError, match="no change to undo"):
        person.undo(dry=True)
