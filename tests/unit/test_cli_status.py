# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `status`, as a person and a program call it, and what `serve` does for it."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import status as contract
from appliance.cli.output import size
from appliance.cli.screen import line, screen
from appliance.status import (
    Cable,
    Direction,
    Session,
    Status,
    StorageStatus,
    Totals,
    Transfer,
    Unsafe,
    Usb,
    Warning,
)
from tests.fakes.ptpip_client import PATIENCE, PtpIpClient
from tests.unit.mtp.test_monitor import object_info
from tests.unit.test_cli import COMMAND, ENVIRONMENT, ROOT, address, run, serving

NOW = 1_800_000_000.0


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    return folder


def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "status.json"


def test_what_runs_is_shown_and_what_does_not_is_not(share: Path, tmp_path: Path) -> None:
    asked = ("status", "--file", file(tmp_path))
    assert run(*asked).returncode == 3
    with serving(share, "--state-dir", tmp_path / "state") as (process, _):
        wait_until_ready(tmp_path)
        shown = run(*asked)
        assert (shown.returncode, shown.stderr) == (0, "")
        for word in ("MTP Appliance: ", str(share), "free", "none has come", "python"):
            assert word in shown.stdout
        said = run(*asked, "--json").stdout
        assert contract.decode(said.encode()).storages[0].path == str(share)
        assert set(json.loads(said)) >= {"ready", "usb", "storages", "warnings"}
        process.kill()
        process.wait()
        for more in ((), ("--json",), ("--watch",)):
            done = run(*asked, *more)
            assert (done.returncode, done.stdout) == (3, "")
            assert len(done.stderr.splitlines()) == 1
            assert "not running" in done.stderr
    with serving(share, "--state-dir", tmp_path / "state") as (process, _):
        wait_until_ready(tmp_path)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert not file(tmp_path).exists()


def wait_until_ready(tmp_path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (file(tmp_path).exists() and contract.read(file(tmp_path)).ready):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_is_found_where_the_service_has_its_runtime_directory(
    share: Path, tmp_path: Path
) -> None:
    places = {"RUNTIME_DIRECTORY": str(tmp_path / "run"), "STATE_DIRECTORY": str(tmp_path / "var")}
    with serving(share, **places):
        deadline = time.monotonic() + PATIENCE
        while True:
            done = subprocess.run(
                [*COMMAND, "status"],
                cwd=ROOT,
                env=ENVIRONMENT | places,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                break
            assert time.monotonic() < deadline, done.stderr
    assert str(share) in done.stdout


@contextmanager
def watching(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        [*COMMAND, "status", "--watch", "--file", file(tmp_path)],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process: "subprocess.Popen[bytes]", word: bytes) -> bytes:
    assert process.stdout is not None
    said = b""
    while word not in said:
        assert select.select([process.stdout], [], [], PATIENCE)[0], said
        part = os.read(process.stdout.fileno(), 4096)
        assert part, said
        said += part
    return said


def test_watching_in_a_pipe_prints_a_line_for_each_change(share: Path, tmp_path: Path) -> None:
    with serving(share, "--state-dir", tmp_path / "state") as (process, said):
        wait_until_ready(tmp_path)
        with watching(tmp_path) as watcher:
            assert b"\x1b" not in wait_for_line(watcher, b"Waiting for a PC")
            with PtpIpClient(address(said)) as pc:
                pc.call(0x1002, 1)
                wait_for_line(watcher, b"Connected to a PC")
                pc.call(0x100C, 0, 0, data=object_info("holiday.jpg", 1000))
                pc.request(0x100D, phase=2)
                pc.start_data(1000)
                pc.data(b"x" * 500)
                lines = wait_for_line(watcher, b"holiday.jpg 500 B of 1.0 kB, 50 %")
                assert b"Receiving from the PC" in lines
                pc.data(b"x" * 500, last=True)
                pc.response()
            wait_for_line(watcher, b"Waiting for a PC")
            process.kill()
            wait_for_line(watcher, b"not running")
            watcher.send_signal(signal.SIGINT)
            assert watcher.wait(PATIENCE) == 0
            assert watcher.stderr is not None
            assert watcher.stderr.read() == b""


def test_who_reads_no_more_ends_it_quietly(share: Path, tmp_path: Path) -> None:
    with serving(share, "--state-dir", tmp_path / "state") as (_, said):
        wait_until_ready(tmp_path)
        with watching(tmp_path) as watcher:
            wait_for_line(watcher, b"Waiting for a PC")
            assert watcher.stdout is not None
            watcher.stdout.close()
            with PtpIpClient(address(said)) as pc:
                pc.call(0x1002, 1)
                assert watcher.wait(PATIENCE) == 0
            assert watcher.stderr is not None
            assert watcher.stderr.read() == b""


def test_a_settings_file_with_errors_is_a_warning_until_it_is_mended(
    share: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    good = f'[[storages]]\npath = "{share}"\n[[storages]]\npath = "{tmp_path}/none"\n'
    settings.write_text(good)
    with serving("--settings", settings, "--state-dir", tmp_path / "state") as (process, _):
        wait_for_codes(tmp_path, {"storage-failed"})
        settings.write_text(good + "[usb")
        process.send_signal(signal.SIGHUP)
        wait_for_codes(tmp_path, {"storage-failed", "settings-errors"})
        (tmp_path / "none").mkdir()
        settings.write_text(good)
        process.send_signal(signal.SIGHUP)
        wait_for_codes(tmp_path, set())


def wait_for_codes(tmp_path: Path, expected: set[str]) -> None:
    deadline, found = time.monotonic() + PATIENCE, set[str]()
    ours = {"storage-failed", "settings-errors"}
    while True:
        if file(tmp_path).exists():
            status = contract.read(file(tmp_path))
            found = {each.code for each in status.warnings} & ours
            if status.ready and found == expected:
                return
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def test_systemd_has_its_signs_of_life(share: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(PATIENCE)
        channel.bind(str(tmp_path / "notify"))
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with serving(share, "--state-dir", tmp_path / "state", **environment) as (process, _):
            heard = [channel.recv(100) for _ in range(5)]
            assert heard[0] == b"READY=1"
            assert heard.count(b"WATCHDOG=1") >= 3
            os.kill(process.pid, signal.SIGSTOP)
            drain(channel)
            with pytest.raises(TimeoutError):
                channel.settimeout(1.0)
                channel.recv(100)
            os.kill(process.pid, signal.SIGCONT)
            assert b"WATCHDOG=1" in [channel.recv(100) for _ in range(3)]


def drain(channel: socket.socket) -> None:
    while select.select([channel], [], [], 0)[0]:
        channel.recv(100)


# What is said

FULL = Status(
    ready=True,
    started=NOW - 7300,
    name="Küche",
    page="http://kitchen.local",
    usb=Usb("dwc2", Cable.CONFIGURED, "high-speed"),
    sessions=(
        Session("usb", "", "Windows/10", NOW - 100),
        Session("ptpip", "10.0.0.5:4711", "", NOW - 5),
    ),
    transfers=(
        Transfer("film.mkv", Direction.IN, 500_000_000, 2_000_000_000, 5_000_000.0, NOW - 100),
        Transfer("\x1b[31mred", Direction.OUT, 4200, None, 0.0, NOW),
    ),
    totals=Totals(1, 10, 2, 3_000_000),
    storages=(
        StorageStatus("Card", "/srv/share", "in", False, 8 * 10**9, 32 * 10**9),
        StorageStatus("Old", "/srv/old", "ejected", True),
    ),
    unsafe=Unsafe(3, 1_500_000, NOW + 2),
    warnings=(Warning("storage-nearly-full", "Card is nearly full", "make room"),),
    versions={"appliance": "1", "kernel": "6.12"},
)


def test_a_full_screen() -> None:
    assert screen(FULL, NOW) == [
        "Küche: Moving files to and from the PC; 1 warning",
        "",
        "PC        connected by the cable, high-speed",
        "          Windows/10 over USB, for 1 min",
        "          a program from 10.0.0.5:4711 over the network, for 5 s",
        "Sending   film.mkv: 500 MB of 2.0 GB, 25 %, 5.0 MB/s, 5 min left",
        "Receiving \\x1b[31mred: 4.2 kB",
        "Not safe  3 files, 1.5 MB, not on the card yet: do not unplug for 2 s",
        "Storages  [###############.....] Card: 8.0 GB of 32 GB free; /srv/share",
        "          Old: ejected; /srv/old",
        "So far    2 files (3.0 MB) from the PC, 1 file (10 B) to it",
        "Settings  http://kitchen.local",
        "Running   for 2 h 1 min; appliance 1, kernel 6.12",
        "",
        "Warning: Card is nearly full",
        "         make room",
    ]


def test_a_line() -> None:
    said = line(replace(FULL, transfers=FULL.transfers[:1]), NOW)
    assert said[2] == said[5] == ":"
    assert said[9:] == (
        "Sending to the PC; 1 warning; "
        "film.mkv 500 MB of 2.0 GB, 25 %, 5.0 MB/s, 5 min left; "
        "3 files, 1.5 MB, not on the card yet: do not unplug for 2 s"
    )


@pytest.mark.parametrize("cable", Cable)
def test_each_state_of_the_cable_has_words(cable: Cable) -> None:
    shown = screen(Status(usb=Usb("dwc2", cable)), NOW)
    assert any(each.startswith("PC        ") for each in shown)
    assert shown[0].startswith("MTP Appliance: ")


@pytest.mark.parametrize(
    ("count", "said"),
    [
        *((0, "0 B"), (7, "7 B"), (999, "999 B"), (1000, "1.0 kB"), (9_940, "9.9 kB")),
        *((9_960, "10 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (32 * 10**9, "32 GB")),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes(count: int, said: str) -> None:
    assert size(count) == said


def test_it_starts_with_little() -> None:
    code = "import sys; from appliance.cli import main; main(['status']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=ENVIRONMENT | {"XDG_RUNTIME_DIR": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = set(done.stdout.split())
    assert "appliance.cli.status" in loaded
    assert not {"appliance.storage", "appliance.mtp.responder", "pyinotify"} & loaded
