# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept over restarts, and what becomes of it when the file or the disk is bad."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode
from appliance.mtp.device_ports import DeviceState
from appliance.mtp.errors import MtpError
from appliance.settings import files
from appliance.settings.state import State, state_directory
from tests.unit.settings.test_files import obstacles


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_name_is_kept_over_restarts(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    state: DeviceState = State(folder, default_name="Default")
    assert state.friendly_name == "Default"
    state.set_friendly_name("Küche 📷")
    assert state.friendly_name == "Küche 📷"
    assert State(folder, default_name="Other").friendly_name == "Küche 📷"
    assert names(folder) == ["state.json"]
    assert (folder / "state.json").stat().st_mode & 0o777 == 0o600
    state.set_friendly_name(None)
    assert state.friendly_name == "Default"
    assert State(folder, default_name="Other").friendly_name == "Other"


def test_what_this_version_does_not_know_is_kept(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"friendly_name": "A", "future": [1]}')
    state = State(tmp_path)
    state.set_friendly_name("B")
    state.set_friendly_name(None)
    assert json.loads((tmp_path / "state.json").read_text()) == {"future": [1]}


@obstacles
def test_what_is_no_file_keeps_nobody_waiting(
    tmp_path: Path, obstacle: Callable[[Path], None]
) -> None:
    obstacle(tmp_path / "state.json")
    state = State(tmp_path, default_name="Default")
    assert state.friendly_name == "Default"
    state.set_friendly_name("Mine")
    assert State(tmp_path).friendly_name == "Mine"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"\0" * 100,
        b'{"friendly_name": "\\ud800"}',
        b'{"a": ' + b"[" * 20_000,
        b'{"friendly_name": "' + b"x" * (1 << 17) + b'"}',
    ],
)
def test_a_damaged_file_is_put_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state.json").write_bytes(content)
    state = State(tmp_path, default_name="Default")
    assert state.friendly_name == "Default"
    assert (tmp_path / "state.json.damaged").read_bytes() == content
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(tmp_path / "state.json") in caplog.text
    state.set_friendly_name("New")
    assert State(tmp_path).friendly_name == "New"
    assert (tmp_path / "state.json.damaged").read_bytes() == content


@pytest.mark.parametrize("value", ["1", "null", "[]", '""', '" "', f'"{"x" * 255}"'])
def test_a_value_that_is_no_name_counts_as_none(tmp_path: Path, value: str) -> None:
    (tmp_path / "state.json").write_text(f'{{"friendly_name": {value}}}')
    assert State(tmp_path, default_name="Default").friendly_name == "Default"


def test_something_else_in_the_files_place(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    state = State(tmp_path, default_name="Default")
    assert state.friendly_name == "Default"
    state.set_friendly_name("New")
    assert names(tmp_path) == ["state.json", "state.json.damaged"]


def test_a_name_that_cannot_be_kept_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    state = State(tmp_path / "file" / "below", default_name="Default")
    with pytest.raises(MtpError) as caught:
        state.set_friendly_name("New")
    assert caught.value.code == ResponseCode.ACCESS_DENIED
    assert state.friendly_name == "Default"
    assert "state.json" in caplog.text


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_name(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(tmp_path)
    state.set_friendly_name("Old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(MtpError):
            state.set_friendly_name("New")
    assert state.friendly_name == "Old"
    assert State(tmp_path).friendly_name == "Old"
    assert names(tmp_path) == ["state.json"]


def test_the_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(fd: int) -> None:
        done.append(f"fsync {Path(f'/proc/self/fd/{fd}').readlink().name}")
        real_fsync(fd)

    def replace(path: Path, target: Path) -> Path:
        done.append(f"rename {path.name} {target.name}")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    files.write_atomically(tmp_path / "file", b"content")
    assert done == ["fsync file.new", "rename file.new file", f"fsync {tmp_path.name}"]
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_link_in_the_new_files_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("untouched")
    (tmp_path / "file.new").symlink_to(tmp_path / "elsewhere")
    files.write_atomically(tmp_path / "file", b"content")
    assert (tmp_path / "elsewhere").read_text() == "untouched"
    assert names(tmp_path) == ["elsewhere", "file"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/x"}, "/var/lib/x"),
        ({"STATE_DIRECTORY": "/var/lib/x:/var/lib/y", "XDG_STATE_HOME": "/s"}, "/var/lib/x"),
        ({"XDG_STATE_HOME": "/s"}, "/s/mtp-appliance"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/p"}, "/home/p/.local/state/mtp-appliance"),
        ({"HOME": "/home/p"}, "/home/p/.local/state/mtp-appliance"),
    ],
)
def test_where_state_is_kept(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert state_directory() == Path(expected)


def test_the_partner_is_kept_beside_the_name(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert state.synchronization_partner == ""
    state.set_friendly_name("Kitchen")
    state.set_synchronization_partner("Anna's PC")
    assert State(tmp_path).synchronization_partner == "Anna's PC"
    state.set_synchronization_partner("")
    assert State(tmp_path).synchronization_partner == ""
    assert State(tmp_path).friendly_name == "Kitchen"
