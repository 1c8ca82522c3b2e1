# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `update`, as a person gives it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import appliance
from appliance.cli import main
from appliance.services import updating
from appliance.services.updating import Where
from appliance.update import keys
from tests.unit.update.helpers import KEY, OTHER_SECRET, make_bundle

Command = Callable[..., int]


@pytest.fixture
def where(tmp_path: Path) -> Where:
    where = Where(tmp_path / "versions", tmp_path / "program", tmp_path / "taken-back", tmp_path)
    where.versions.mkdir()
    keys.write_public(where.program / "keys/release.pub", KEY)
    (where.program / "release").write_text(f"{appliance.__version__} 1 4711\n")
    return where


@pytest.fixture
def command(where: Where, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command on an appliance whose share is `share`; what systemd is asked is in `asked`."""
    for name in ("status", "check", "install", "roll_back", "confirm", "trust"):
        function = getattr(updating, name)
        monkeypatch.setattr(updating, name, _at(function, where))
    monkeypatch.setattr(updating, "run", lambda words: (tmp_path / "asked").write_text(str(words)))
    share = tmp_path / "share"
    share.mkdir()
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[[storages]]\npath = "{share}"\n')

    def call(*words: str) -> int:
        more = ["--settings", str(settings)] if words[0] in {"check", "install"} else []
        return main(["update", *words, *more])

    return call


def _at(function: Callable[..., object], where: Where) -> Callable[..., object]:
    """Let a function look at another place than the appliance's own, if nobody says which."""

    def call(*arguments: object, **named: object) -> object:
        return function(*arguments, **(named if where in arguments else {"where": where} | named))

    return call


def test_from_the_share_to_the_next_start(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("check") == 1
    assert "no update lies in the share" in capsys.readouterr().err
    (tmp_path / "share/new.mtp-update").write_bytes(make_bundle())
    assert command("check") == 0
    said = capsys.readouterr().out
    assert "new.mtp-update: version 9.1.0" in said
    assert str(KEY) in said
    assert "- It is better." in said
    assert command("check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == "9.1.0"
    assert command("install") == 0
    assert "Installed 9.1.0, it runs from the next start on" in capsys.readouterr().out
    assert not (tmp_path / "asked").exists()
    assert command("status") == 0
    said = capsys.readouterr().out
    assert "Chosen      9.1.0, from the next start on\n" in said
    assert f"Running     {appliance.__version__}\n" in said
    assert command("rollback", "--restart") == 0
    assert "mtp-appliance.target" in (tmp_path / "asked").read_text()
    assert command("rollback") == 1


def test_of_several_one_has_to_be_named(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"share/{name}.mtp-update").write_bytes(make_bundle())
    assert command("install") == 1
    assert "a.mtp-update" in capsys.readouterr().err
    assert command("install", str(tmp_path / "share/a.mtp-update"), "--restart") == 0


def test_what_is_refused_is_refused_in_a_sentence(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "share/a.mtp-update").write_bytes(make_bundle(secret=OTHER_SECRET))
    assert command("install") == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "mtp-appliance: the update is signed with a key that is not trusted here"
    )
    assert said.count("\n") == 1


def test_the_owner_s_keys(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("trust", str(tmp_path / "none.pub")) == 1
    keys.write_public(tmp_path / "mine.pub", KEY)
    assert command("trust", str(tmp_path / "mine.pub")) == 0
    assert str(KEY) in capsys.readouterr().out
    assert command("confirm") == 1


def test_status_as_json(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("status", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["running"] == told["image"] == told["chosen"] == appliance.__version__
    assert (told["trial"], told["installed"], told["last"]) == (False, [], "")
