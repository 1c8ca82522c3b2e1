# SPDX-License-Identifier: GPL-3.0-or-later
"""The file on the boot partition: edited on any PC, taken over once, its mistakes told there."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.settings import examples, store
from appliance.settings.boot import separate_secrets, take_over_boot_file
from appliance.settings.passwords import hash_password, verify_password
from appliance.settings.schema import Settings
from appliance.settings.store import SettingsFile
from tests.unit.settings.test_files import obstacles


class Card:
    """A card with its boot partition, the appliance's settings and its state."""

    def __init__(self, root: Path) -> None:
        self.boot = root / "boot"
        self.boot.mkdir()
        self.file = self.boot / "mtp-appliance.toml"
        self.errors = self.boot / "mtp-appliance-errors.txt"
        self.settings_path = root / "etc/settings.toml"
        self.state = root / "state"
        self.marks = root / "marks"
        self.refusals: list[str] = []

    def start(self) -> bool:
        refuse = self.refusals.append
        return take_over_boot_file(self.file, self.settings_path, self.state, self.marks, refuse)

    @property
    def text(self) -> str:
        return self.settings_path.read_text()

    @property
    def settings(self) -> Settings:
        reading = SettingsFile(self.settings_path, self.state, keeps=False).read()
        assert not reading.findings.errors
        return reading.settings


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Card]:
    card = Card(tmp_path)
    yield card
    if card.boot.exists():
        card.boot.chmod(0o755)


def test_without_a_file_a_new_appliance_begins_as_it_is_shipped(card: Card) -> None:
    assert not card.start()
    assert card.text == examples.shipped()
    assert list(card.boot.iterdir()) == []


def test_the_untouched_file_changes_nothing(card: Card) -> None:
    card.file.write_text(examples.for_boot_partition())
    card.start()
    assert card.text == examples.shipped()
    assert list(card.boot.iterdir()) == [card.file]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_what_any_editor_writes(card: Card, encoding: str, line: str) -> None:
    text = 'name = "Küche"\ntrash.days = 3\n[network]\nhost_name = "kitchen"\n'
    card.file.write_bytes(text.replace("\n", line).encode(encoding))
    assert card.start()
    settings = card.settings
    assert (settings.name, settings.trash_days) == ("Küche", 3)
    assert settings.network_host_name == "kitchen"
    assert settings.storages[0].name == "Files"
    assert "# Brightness" in card.text


def test_it_is_taken_over_once_and_again_when_it_is_edited(card: Card) -> None:
    card.file.write_text('name = "First"')
    assert card.start()
    file = SettingsFile(card.settings_path, card.state)
    file.set({"name": "Later"})
    assert not card.start()
    assert card.settings.name == "Later"
    card.file.write_text('name = "Second"')
    assert card.start()
    assert card.settings.name == "Second"


def test_storages_are_those_that_it_says(card: Card) -> None:
    card.file.write_text('[[storages]]\npath = "/srv/a"\nname = "A"\n[[storages]]\npath = "/srv/b"')
    card.start()
    assert [str(each.path) for each in card.settings.storages] == ["/srv/a", "/srv/b"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'name = "unfinished', "Unterminated string"),
        (b"trash.days = 0", "trash.days: 0 is not between 1 and 3650"),
        (b'name = "x"\ntrash.days = "x"', "trash.days: 'x' is no whole number"),
        (b"\xe4\xf6\xfc = 1", "UTF-8"),
        (b"x" * (1 << 19), "longer"),
        (b"version = 99", "of a later program"),
        (b"x = " + b"[" * 3000, "nested too deeply"),
        (b".".join([b"a"] * 3000) + b" = 1", "nested too deeply"),
        (b'[[storages]]\npath = "/a\\u0000b"', "NUL"),
        (b'web.password = "short"', "shorter than 8"),
    ],
)
def test_what_is_wrong_is_written_beside_it(card: Card, data: bytes, words: str) -> None:
    card.file.write_bytes(data)
    assert not card.start()
    assert card.text == examples.shipped()
    assert words in card.errors.read_text()
    (refusal,) = card.refusals
    assert words in refusal
    card.file.write_text('name = "right"')
    assert card.start()
    assert len(card.refusals) == 1
    assert not card.errors.exists()
    assert card.settings.name == "right"


def test_what_is_odd_is_written_too_but_the_rest_counts(card: Card) -> None:
    card.file.write_text('name = "x"\nnames = "y"')
    assert card.start()
    assert card.settings.name == "x"
    assert "names: there is no such setting" in card.errors.read_text()
    assert card.refusals == []


@pytest.mark.parametrize(
    "line", ['web.password = "correct horse"', '[web]\npassword="correct horse"']
)
def test_a_password_is_hashed_and_taken_away(card: Card, line: str) -> None:
    card.file.write_text(f'name = "x"\n{line}\n')
    assert card.start()
    assert verify_password("correct horse", card.settings.web_password)
    assert "correct horse" not in card.text
    assert "scrypt" not in card.text
    assert "correct horse" not in card.file.read_text()
    assert not card.start()
    assert verify_password("correct horse", card.settings.web_password)


@pytest.mark.parametrize(
    "lines", ['wifi.passphrase = "correct horse"', '[wifi]\npassphrase="correct horse"']
)
def test_a_passphrase_is_taken_over_and_away(card: Card, lines: str) -> None:
    card.file.write_text(f'name = "x"\n{lines}\n')
    assert card.start()
    assert card.settings.wifi_passphrase == "correct horse"
    assert "correct horse" not in card.file.read_text()
    assert not card.start()
    card.file.write_text('name = "y"\n')
    assert card.start()
    assert card.settings.wifi_passphrase == "correct horse"


def test_a_secret_that_cannot_be_taken_away_is_told_of(card: Card) -> None:
    card.file.write_text('wifi = { network = "x", passphrase = "correct horse" }\n')
    assert card.start()
    assert card.settings.wifi_passphrase == "correct horse"
    told = card.errors.read_text()
    assert "wifi.passphrase stays in this file" in told
    assert "horse" not in told


def test_a_forgotten_password(card: Card) -> None:
    card.start()
    file = SettingsFile(card.settings_path, card.state)
    file.set({"web.password": hash_password("forgotten")})
    (card.boot / "reset-password").touch()
    assert card.start()
    assert card.settings.web_password == ""
    assert not (card.boot / "reset-password").exists()


@pytest.mark.parametrize(
    "name",
    ["reset-password.txt", "Reset-Password.TXT", "reset-password.rtf", "reset-password .txt"],
)
def test_a_wish_as_an_editor_or_a_file_manager_names_it(card: Card, name: str) -> None:
    card.start()
    file = SettingsFile(card.settings_path, card.state)
    file.set({"web.password": hash_password("forgotten")})
    (card.boot / "reset-passwords-later.txt").touch()
    assert not card.start()
    for each in (name, "reset-password"):
        (card.boot / each).touch()
    assert card.start()
    assert card.settings.web_password == ""
    assert [each.name for each in card.boot.iterdir()] == ["reset-passwords-later.txt"]


def test_a_wish_that_cannot_be_removed_is_heeded_once(card: Card) -> None:
    card.start()
    file = SettingsFile(card.settings_path, card.state)
    request = card.boot / "reset-password"
    for _ in range(2):
        file.set({"web.password": hash_password("forgotten")})
        request.mkdir()  # as on a partition that is read-only, it can be no more unlinked
        assert card.start()
        assert card.settings.web_password == ""
        file.set({"web.password": hash_password("chosen since")})
        assert not card.start()
        assert verify_password("chosen since", card.settings.web_password)
        request.rmdir()
        assert not card.start()


def test_a_forgotten_password_of_broken_settings(card: Card) -> None:
    card.start()
    file = SettingsFile(card.settings_path, card.state)
    file.set({"web.password": hash_password("forgotten")})
    card.settings_path.write_text("name = ")
    request = card.boot / "reset-password"
    request.touch()
    assert card.start()  # it does not lie among them
    assert not request.exists()
    assert file.read().settings.web_password == ""
    card.file.write_text('name = "x"')
    assert card.start()
    assert (card.settings.name, card.settings.web_password) == ("x", "")
    card.settings_path.write_text("name = ")
    request.touch()
    card.file.write_text('name = "y"\nweb.password = "a new password"\n')
    assert card.start()
    assert verify_password("a new password", card.settings.web_password)
    assert not request.exists()


@pytest.mark.parametrize(
    "broken", [b"name = ", b'name = "\xff"', b"#" * (1 << 19), b"x = " + b"[" * 3000]
)
def test_broken_settings_are_repaired_by_it(card: Card, broken: bytes) -> None:
    card.start()
    card.settings_path.write_bytes(broken)
    card.file.write_text('name = "x"')
    assert card.start()
    assert card.settings.name == "x"


@obstacles
def test_what_is_no_file_in_the_place_of_the_settings_is_replaced_by_it(
    card: Card, obstacle: Callable[[Path], None]
) -> None:
    card.start()
    card.settings_path.unlink()
    obstacle(card.settings_path)
    card.file.write_text('name = "x"')
    assert card.start()
    assert card.settings.name == "x"


@obstacles
@pytest.mark.parametrize(
    "name", ["boot.digest", "reset-password.done", "settings.good.toml", "settings.before.toml"]
)
def test_what_the_responder_left_in_its_own_folder_keeps_nothing_from_starting(
    card: Card, obstacle: Callable[[Path], None], name: str
) -> None:
    """It may have been somebody's for a while."""
    card.file.write_text('name = "x"')
    card.start()
    SettingsFile(card.settings_path, card.state).set({"web.password": hash_password("forgotten")})
    (card.state / name).unlink(missing_ok=True)
    obstacle(card.state / name)
    separate_secrets(card.settings_path, card.state)
    (card.boot / "reset-password").touch()
    assert card.start()
    assert (card.settings.name, card.settings.web_password) == ("x", "")
    card.file.write_text('name = "y"')
    assert card.start()
    assert card.settings.name == "y"


@pytest.mark.parametrize("where", ["state", "marks"])
def test_what_an_older_version_took_over_is_not_taken_over_again(card: Card, where: str) -> None:
    card.file.write_text('name = "x"')
    card.start()
    SettingsFile(card.settings_path, card.state).set({"name": "Mine"})
    card.state.mkdir(exist_ok=True)
    (card.marks / "boot.digest").rename(getattr(card, where) / "boot.digest")
    for _ in range(2):
        assert not card.start()
        assert card.settings.name == "Mine"
        (card.state / "boot.digest").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("write_atomically", errno.ENOSPC),
        ("write_atomically", errno.EIO),
        ("_read_text", errno.EIO),
        ("locked", errno.EBUSY),
    ],
)
def test_a_card_that_fails_costs_no_settings(
    card: Card, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    """It is taken over at the next start."""
    card.start()
    SettingsFile(card.settings_path, card.state).set({"name": "Mine", "trash.days": 3})
    before = card.text
    card.file.write_text('name = "x"')
    with monkeypatch.context() as patch:
        patch.setattr(store, step, _failing_once(getattr(store, step), number))
        assert not card.start()
    assert card.text == before
    assert os.strerror(number) in card.errors.read_text()
    assert not (card.marks / "boot.digest").exists()
    assert card.start()
    assert (card.settings.name, card.settings.trash_days) == ("x", 3)
    assert not card.errors.exists()


def _failing_once(step: Callable[..., Any], number: int) -> Callable[..., Any]:
    failures = [OSError(number, os.strerror(number))]

    def fail(*words: Any, **more: Any) -> Any:
        if failures:
            raise failures.pop()
        return step(*words, **more)

    return fail


def test_a_partition_that_cannot_be_written_is_no_obstacle(card: Card) -> None:
    if os.geteuid() == 0:
        card.errors.mkdir()  # root may write anywhere, but not a file where a directory is
    card.boot.chmod(0o555)
    card.file.write_text("trash.days = 0") if os.geteuid() == 0 else None
    assert not card.start()
    assert card.text == examples.shipped()


def test_it_needs_no_tomlkit_where_there_is_nothing_to_take_over(card: Card) -> None:
    import subprocess  # noqa: PLC0415

    card.start()
    program = (
        "import sys; from pathlib import Path; from appliance.settings.boot import *;"
        f"take_over_boot_file(Path({str(card.file)!r}), Path({str(card.settings_path)!r}),"
        f"Path({str(card.state)!r}), Path({str(card.marks)!r}));"
        "sys.exit('tomlkit' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
