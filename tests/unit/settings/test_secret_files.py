# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets apart from the settings: who sees what, how they came there, and what may go wrong."""

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import ApplianceError
from appliance.settings import files, passwords
from appliance.settings.schema import declared
from appliance.settings.secret_files import HIDDEN, SECRETS, part
from appliance.settings.store import SettingsFile

HASH = passwords.hash_password("a good password")
ANOTHER = passwords.hash_password("another password")
OLD = f"""\
# mine
name = "Kitchen"

[web]
password = "{HASH}"  # chosen on the page

[wifi]
network = "home"
passphrase = "correct horse"
"""
SOMEBODY = 4711
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="who may read what is for root to say")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(OLD)
    return path


@pytest.fixture
def file(path: Path) -> SettingsFile:
    return SettingsFile(path, path.parent / "state")


def said(file: SettingsFile) -> tuple[str, str]:
    settings = file.read().settings
    return settings.web_password, settings.wifi_passphrase


@contextmanager
def somebody(*groups: int) -> Iterator[None]:
    """Be an ordinary user for a while."""
    before = os.getgroups()
    os.setgroups(groups)
    os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(before)


def test_they_are_what_the_declaration_calls_secret() -> None:
    assert list(SECRETS) == [key for key, _, setting in declared() if setting.secret]
    assert list(SECRETS) == ["wifi.passphrase", "web.password"]


# From an older version


def test_what_an_older_version_kept_counts_and_is_taken_out(file: SettingsFile, path: Path) -> None:
    assert said(file) == (HASH, "correct horse")
    file.separate()
    assert said(file) == (HASH, "correct horse")
    everything = [each for each in path.parent.rglob("*") if each.is_file()]
    holding = [each.name for each in everything if re.search("scrypt|horse", each.read_text())]
    assert sorted(holding) == ["web.password", "wifi.passphrase"]
    for words in ("# mine", 'name = "Kitchen"', 'network = "home"'):
        assert words in path.read_text()
    before = path.stat().st_mtime_ns
    file.separate()
    assert path.stat().st_mtime_ns == before


def test_the_power_may_go_at_any_of_its_steps(
    file: SettingsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, steps = files.write_atomically, 0
    for last in range(8):
        shutil.rmtree(path.with_suffix(".secrets"), ignore_errors=True)
        path.write_text(OLD)
        file.read()  # with a copy of what was good
        left = [last]

        def until_the_power_goes(*words: Any, left: list[int] = left, **more: Any) -> None:
            if not left[0]:
                raise OSError(5, "the power is gone")
            left[0] -= 1
            write(*words, **more)

        for module in ("secret_files", "store"):
            where = f"appliance.settings.{module}.write_atomically"
            monkeypatch.setattr(where, until_the_power_goes)
        try:
            file.separate()
        except (OSError, ApplianceError):
            steps += 1
        again = SettingsFile(path, path.parent / "state", keeps=False)
        assert said(again) == (HASH, "correct horse")
        monkeypatch.undo()
        again.separate()
        assert said(again) == (HASH, "correct horse")
        assert "horse" not in path.read_text()
    assert steps == 4  # two secrets, the settings, and their copy; then nothing is left to do


@pytest.mark.parametrize("damage", ["name = ", "name = 5"])
def test_of_broken_settings_the_last_good_ones_are_asked(
    file: SettingsFile, path: Path, damage: str
) -> None:
    file.read()
    path.write_text(damage)
    file.separate()
    assert said(file) == (HASH, "correct horse")


def test_where_nothing_can_be_read_nothing_is_said_to_be_none(path: Path) -> None:
    path.write_text("name = ")
    file = SettingsFile(path, path.parent / "nothing")
    file.separate()
    assert not path.with_suffix(".secrets").exists()
    path.write_text(OLD)
    assert said(file) == (HASH, "correct horse")


@pytest.mark.parametrize("kept", [HASH, ""])
def test_who_writes_the_settings_cannot_set_a_secret_there(
    file: SettingsFile, path: Path, kept: str
) -> None:
    """A responder that somebody has taken over writes what it wants into them."""
    file.separate()
    file.set({"web.password": kept})
    path.write_text(f'[web]\npassword = "{ANOTHER}"\n')
    reading = file.read()
    assert reading.settings.web_password == kept
    assert any("does not count here" in each for each in reading.findings.warnings)
    file.separate()
    assert (said(file)[0], ANOTHER in path.read_text()) == (kept, False)


# Who may read them


@pytest.fixture
def for_all() -> Iterator[Path]:
    """A directory that others than root may look into, which pytest's own they may not."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@as_root
def test_nobody_reads_who_need_not(for_all: Path) -> None:
    path = for_all / "settings.toml"
    path.write_text(OLD)
    file, folder = SettingsFile(path, for_all / "root"), path.with_suffix(".secrets")
    folder.mkdir(mode=0o750)
    os.chown(folder, 0, SOMEBODY)
    file.set({"web.password": HASH, "wifi.passphrase": "correct horse"})
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}
    assert modes == {"web.password": 0o640, "wifi.passphrase": 0o600}
    page = SettingsFile(path, path.parent / "page", keeps=False)
    with somebody():
        assert said(page) == (HIDDEN, HIDDEN)
        with pytest.raises(ApplianceError, match="Permission denied"):
            page.set({"web.password": ANOTHER})
    with somebody(SOMEBODY):
        assert said(page) == (HASH, HIDDEN)
        with pytest.raises(ApplianceError, match="Permission denied"):
            page.set({"web.password": ANOTHER})
    file.set({"wifi.passphrase": ""})
    with somebody(SOMEBODY):
        assert said(page) == (HASH, "")


def test_on_a_persons_own_machine_they_are_for_that_person(file: SettingsFile, path: Path) -> None:
    file.set({"wifi.passphrase": "correct horse"})
    folder = path.with_suffix(".secrets")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "wifi.passphrase").stat().st_mode) == 0o600


# What goes wrong


@pytest.mark.parametrize("damage", [b"", b"scrypt$13", b"\xff\xfe\n", b"x" * 5000])
def test_what_is_damaged_is_no_open_door(file: SettingsFile, path: Path, damage: bytes) -> None:
    file.separate()
    (path.with_suffix(".secrets") / "web.password").write_bytes(damage)
    reading = file.read()
    assert reading.settings.web_password == HIDDEN
    assert not passwords.verify_password(HIDDEN, reading.settings.web_password)
    assert any("web.password: cannot be read" in each for each in reading.findings.warnings)
    file.set({"web.password": ANOTHER})
    assert said(file)[0] == ANOTHER


@pytest.mark.parametrize(
    ("key", "value"), [("web.password", "a good password"), ("wifi.passphrase", "7 bytes")]
)
def test_what_cannot_be_a_secret_is_refused(file: SettingsFile, key: str, value: str) -> None:
    with pytest.raises(ApplianceError) as told:
        file.set({key: value})
    assert value not in str(told.value)
    assert said(file) == (HASH, "correct horse")


@pytest.mark.parametrize(
    ("text", "without", "secrets"),
    [
        ('name = "x"\n', 'name = "x"\n', {}),
        ('web.password = "x"\n', "", {"web.password": "x"}),
        ('[wifi]\na = 1\npassphrase = "p"\n', "[wifi]\na = 1\n", {"wifi.passphrase": "p"}),
        ("web = 5\n", "web = 5\n", {}),
    ],
)
def test_parting(text: str, without: str, secrets: dict[str, str]) -> None:
    assert part(text) == (without, secrets)


@as_root
def test_root_follows_no_link_that_somebody_else_has_made(
    file: SettingsFile, path: Path, tmp_path: Path
) -> None:
    file.separate()
    theirs = tmp_path / "theirs.toml"
    path.rename(theirs)
    path.symlink_to(theirs)
    assert file.set({"trash.days": 5}).trash_days == 5
    os.lchown(path, SOMEBODY, SOMEBODY)
    os.chown(theirs, SOMEBODY, SOMEBODY)  # a part of its path may be exchanged at any moment
    with pytest.raises(ApplianceError, match="somebody else has made"):
        file.set({"trash.days": 6})


@pytest.mark.parametrize("name", ["settings.toml", ".settings.toml.lock"])
def test_a_pipe_in_a_files_place_keeps_nobody_waiting(
    file: SettingsFile, path: Path, name: str
) -> None:
    place = path.with_name(name)
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    reading = file.read()
    assert bool(reading.findings.errors) is (place == path)
    with ExitStack() as stack:
        if place == path:
            stack.enter_context(pytest.raises(ApplianceError, match="is no regular file"))
        file.set({"trash.days": 5})
    assert file.replace("trash.days = 6\n").trash_days == 6
    assert file.read().settings.trash_days == 6


def test_nobody_waits_for_ever_for_who_holds_the_lock(
    file: SettingsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PATIENCE", 0.1)
    file.set({"trash.days": 5})
    with path.with_name(".settings.toml.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ApplianceError, match="busy"):
            file.set({"trash.days": 6})
    assert file.set({"trash.days": 6}).trash_days == 6
