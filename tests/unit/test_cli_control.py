# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands to an appliance that runs, as a person gives them."""

import json
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance import places
from appliance.cli import main
from tests.fakes.ptpip_client import PATIENCE, PtpIpClient
from tests.unit.test_cli import address, run, serving


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    (folder / "file.txt").write_text("content")
    (folder / ".hidden").write_text("content")
    return folder


def control(state: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return run(*words, "--socket", state / "control.sock")


@pytest.fixture
def settings(share: Path, tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(f'# mine\n[[storages]]\npath = "{share}"\nname = "Card"\n')
    return file


@dataclass(frozen=True, slots=True)
class Service:
    process: "subprocess.Popen[str]"
    said: list[str]


@pytest.fixture
def service(settings: Path, tmp_path: Path) -> Iterator[Service]:
    with serving("--settings", settings, "--state-dir", tmp_path / "state") as (process, said):
        yield Service(process, said)


def names(state: Path) -> list[str]:
    listed = control(state, "storage", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    return [each["name"] for each in json.loads(listed.stdout)]


@pytest.mark.parametrize(
    "text",
    [
        "[[storages]",
        "x = " + "[" * 3000,
        ".".join("a" * 3000) + " = 1",
        '[[storages]]\npath = "/srv/a\\u0000b"\nname = "x"',
        'usbredir = ["unix:/tmp/x\\u0000y"]',
        'usb.controller = "a\\u0000b"',
    ],
    ids=lambda text: text[:20],
)
def test_no_settings_file_keeps_it_from_answering(
    settings: Path, tmp_path: Path, text: str
) -> None:
    settings.write_text(text)
    checked = run("settings", "check", "--file", settings)
    assert (checked.returncode, "Traceback" in checked.stderr) == (1, False)
    with serving("--settings", settings, "--state-dir", tmp_path / "state"):
        assert names(tmp_path / "state") == []


@pytest.mark.usefixtures("service")
def test_storages_are_renamed_and_ordered_and_that_is_undone(
    settings: Path, tmp_path: Path
) -> None:
    state, more = tmp_path / "state", tmp_path / "more"
    more.mkdir()
    assert control(state, "storage", "add", more).returncode == 0
    assert control(state, "storage", "rename", "Card", "Kitchen").stdout == "Card is Kitchen now\n"
    done = control(state, "storage", "order", "more", "Kitchen")
    assert done.stdout == "the order is more, Kitchen\n"
    assert names(state) == ["more", "Kitchen"]
    assert control(state, "storage", "order", "more").returncode == 1
    undo = ("settings", "undo", "--file", settings, "--state-dir", state)
    done = run(*undo, "--yes")
    assert '.name: "Kitchen" -> "Card"' in done.stdout
    assert 'name = "Card"' in settings.read_text()


@pytest.mark.usefixtures("service")
def test_storages_are_added_changed_and_removed(settings: Path, tmp_path: Path) -> None:
    state, more = tmp_path / "state", tmp_path / "more"
    more.mkdir()
    assert names(state) == ["Card"]
    done = control(state, "storage", "add", more, "--name", "More \x1b[31m")
    assert "cannot be a storage's name" in done.stderr
    assert control(state, "storage", "add", more).returncode == 0
    assert control(state, "storage", "read-only", "more").stdout == "more is read-only\n"
    assert f'path = "{more}"' in settings.read_text()
    assert settings.read_text().startswith("# mine\n")
    listed = control(state, "storage", "list").stdout.splitlines()
    assert listed[2].split() == ["more", "20001", "in", "read-only", str(more)]
    assert control(state, "storage", "eject", "more").returncode == 0
    assert "ejected" in control(state, "storage", "list").stdout
    assert control(state, "storage", "load", str(more)).returncode == 0
    done = control(state, "storage", "remove", "20001", "--until-restart")
    assert done.stdout == "20001 is not served any more, until the next start\n"
    assert f'path = "{more}"' in settings.read_text()
    assert names(state) == ["Card"]
    failed = control(state, "storage", "remove", "more")
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert "there are: Card" in failed.stderr


def test_sighup_reads_the_settings_again(service: Service, settings: Path, tmp_path: Path) -> None:
    state, more = tmp_path / "state", tmp_path / "more"
    more.mkdir()
    good = settings.read_text()
    settings.write_text(good + f'[[storages]]\npath = "{more}"\n')
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: names(state) == ["Card", "more"])
    settings.write_text("[[storages]")
    service.process.send_signal(signal.SIGHUP)
    settings_after = good.replace('"Card"', '"Other"')
    assert names(state) == ["Card", "more"]
    settings.write_text(settings_after)
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: names(state) == ["Other"])
    with PtpIpClient(address(service.said)) as pc:
        pc.call(0x1002, 1)
        assert len(listed(pc)) == 2
        settings.write_text(f"{settings_after}hidden_files = false\n")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(listed(pc)) == 1)


def listed(pc: PtpIpClient) -> tuple[int, ...]:
    data = pc.call(0x1007, 0xFFFFFFFF, 0, 0xFFFFFFFF).data or b""
    return struct.unpack(f"<{len(data) // 4}I", data)[1:]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 3 * PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_a_pc_deleted_is_put_back(service: Service, share: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with PtpIpClient(address(service.said)) as pc:
        pc.call(0x1002, 1)
        pc.call(0x1007, 0xFFFFFFFF, 0, 0xFFFFFFFF)
        for handle in range(1, 10):
            pc.call(0x100B, handle)
    assert not (share / "file.txt").exists()
    listed = json.loads(control(state, "trash", "list", "--json").stdout)
    assert {each["path"] for each in listed} == {"file.txt", ".hidden"}
    assert control(state, "trash", "restore", "file.txt").stdout == "file.txt is back in Card\n"
    assert (share / "file.txt").read_text() == "content"
    assert "1 deleted for good" in control(state, "trash", "empty").stdout
    assert json.loads(control(state, "trash", "list", "--json").stdout) == []
    failed = control(state, "trash", "restore", "file.txt")
    assert (failed.returncode, "not in the trash" in failed.stderr) == (1, True)


@pytest.mark.usefixtures("service")
def test_the_one_that_is_asked_is_the_one_whose_status_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who logs in as root has a runtime directory of root's own, where nothing listens."""
    (tmp_path / "user").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "user"))
    monkeypatch.setattr(places, "STATUS", tmp_path / "state" / "status.json")
    wait_until(places.STATUS.exists)  # it is told of after the service is ready
    for words in (["status"], ["storage", "list"], ["trash", "list"]):
        assert main(words) == 0, words
    assert "Card" in capsys.readouterr().out


def test_nothing_runs(tmp_path: Path) -> None:
    for words in (("storage", "list"), ("trash", "empty")):
        done = control(tmp_path, *words)
        assert done.returncode == 3
        assert len(done.stderr.splitlines()) == 1
        assert "mtp-appliance serve" in done.stderr
