# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a person calls it: what it says, and how it ends."""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

import appliance
from appliance.cli import main, parsing, start
from appliance.cli.serve import (
    DEFAULT_PORT,
    FolderArgument,
    parse_address,
    parse_folder,
    parse_name,
    storage_name,
)
from appliance.mtp.ptpip_packets import PORT
from appliance.services.stopping import Stop
from appliance.transports.ptpip_listen import Address
from tests.fakes.ptpip_client import PATIENCE, PtpIpClient

ROOT = Path(__file__).parents[2]
_KEPT = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")
ENVIRONMENT = {name: os.environ[name] for name in _KEPT if name in os.environ}
COMMAND = (sys.executable, "-m", "appliance")


def run(
    *arguments: str | Path, cwd: Path | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd or ROOT,
        env=ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        input=stdin,
        text=True,
        timeout=3 * PATIENCE,
        check=False,
    )


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    (folder / "file.txt").write_text("content")
    (folder / ".hidden").write_text("content")
    return folder


@contextmanager
def serving(
    *arguments: str | Path, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run `serve` at a free port; the process and what it said on stdout once it was ready."""
    argv = [*COMMAND, "serve", "--listen", "127.0.0.1:0", *map(str, arguments)]
    with subprocess.Popen(
        argv,
        cwd=ROOT,
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = b""
            while b"--list-files\n" not in said:
                assert select.select([process.stdout], [], [], 3 * PATIENCE)[0], "not ready"
                said += os.read(process.stdout.fileno(), 4096) or b"--list-files\n"
            yield process, said.decode().splitlines()
        finally:
            process.kill()


def address(lines: list[str]) -> Address:
    """Find the address in what was said."""
    words = next(line for line in lines if "PTP/IP at" in line).split()[-1].rstrip(".")
    return Address(*parse_address(words))


def ends(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """Send a signal; the exit status and stderr."""
    process.send_signal(number)
    return process.wait(PATIENCE), process.communicate()[1]


# Bad input: one line that names the thing, and a status


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, ["COMMAND", "--help"]),
        (["sevre"], 2, ["sevre"]),
        (["serve"], 2, ["FOLDER"]),
        (["serve", ""], 2, ["''"]),
        (["serve", ":ro"], 1, [":ro"]),
        (["serve", "share", "--listen", "1.2.3.4:x"], 2, ["1.2.3.4:x"]),
        (["serve", "share", "--listen", "1.2.3.4:65536"], 2, ["65536"]),
        (["serve", "share", "--listen", ":15740"], 2, [":15740"]),
        (["serve", "share", "--usbredir", "share.sock"], 2, ["share.sock", "unix:"]),
        (["serve", "share", "--usbredir", "tcp:localhost:65536"], 2, ["65536"]),
        (["serve", "share", "--usbredir", "unix:/nowhere/s.sock"], 1, ["/nowhere/s.sock", "make"]),
        (["serve", "share", "--name", " "], 2, ["' '"]),
        (["serve", "share", "--name", "x" * 255], 2, ["254"]),
        (["serve", "share", "--usb", "--functionfs", "x"], 2, ["--usb", "--functionfs"]),
        (["serve", "share", "--udc", "x"], 2, ["--udc", "--usb"]),
        (["serve", "share", "-v", "-q"], 2, ["-q", "-v"]),
        (["serve", "share", "--nonsense"], 2, ["--nonsense"]),
        (["serve", "share", "--lis", "x"], 2, ["--lis"]),
        (["serve", "nowhere"], 1, ["nowhere"]),
        (["serve", "Name=nowhere:ro"], 1, ["nowhere"]),
        (["serve", "share/file.txt"], 1, ["share/file.txt"]),
        (["serve", "share", "A=share"], 1, ["share"]),
        (["serve", "a/same", "b/same"], 1, ["same"]),
        (["serve", "A=a/same", "A=b/same"], 1, ["A"]),
        (["serve", "a/b=share"], 1, ["a/b"]),
        (["serve", "share", "--listen", "192.0.2.1"], 1, ["192.0.2.1:15740", "address"]),
        (["serve", "share", "--listen", "no-such-host.invalid"], 1, ["no-such-host.invalid"]),
        (["serve", "share", "--functionfs", "share"], 1, ["share", "FunctionFS"]),
    ],
)
def test_bad_calls_are_told_in_one_line(
    share: Path, arguments: list[str], status: int, words: list[str]
) -> None:
    for name in ("a", "b"):
        (share.parent / name / "same").mkdir(parents=True)
    done = run(*arguments, cwd=share.parent)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert [word for word in words if word not in done.stderr] == []
    assert done.stderr.startswith("mtp-appliance: ")
    assert done.stderr.endswith(")\n"), "a hint what to do"
    assert (done.returncode, done.stdout) == (status, "")


def test_a_port_in_use_is_told_in_one_line(share: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = run("serve", share, "--listen", f"127.0.0.1:{port}")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"127.0.0.1:{port}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["leds", "show"],
        ["settings", "show"],
        ["settings", "export"],
        ["settings", "show", "--json"],
    ],
    ids=" ".join,
)
def test_output_that_cannot_be_written_is_told_in_one_line(
    tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "s.toml").write_text("")
    file = ["--file", str(tmp_path / "s.toml")] if words[0] == "settings" else []
    with Path("/dev/full").open("w") as full:
        done = told(*words, *file, stdout=full)
    assert done == (1, "mtp-appliance: standard output: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    assert told(*words, *file, stdout=writer) == (0, "")  # who read it has seen enough
    os.close(writer)


def told(*words: str, stdout: IO[str] | int) -> tuple[int, str]:
    """Run with an output that cannot be written; the exit status and stderr."""
    with subprocess.Popen(
        [*COMMAND, *words],
        cwd=ROOT, env=ENVIRONMENT, stdout=stdout, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        _, said = process.communicate(timeout=3 * PATIENCE)
    return process.returncode, said


def test_what_the_system_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    for words in (("settings", "import", "/proc/x", "--file"), ("update", "trust", "/proc/x")):
        done = run(*words, *([tmp_path / "s.toml"] if words[-1] == "--file" else []))
        told = (done.returncode, done.stderr)
        assert told == (1, "mtp-appliance: /proc/x: No such file or directory\n")


def test_help_and_version() -> None:
    assert run("--version").stdout == f"mtp-appliance {appliance.__version__}\n"
    shown = run("serve", "--help").stdout
    for word in ("--listen", "--usb", "--state-dir", ":ro", "NAME=PATH", "exit status"):
        assert word in shown


# Serving


def test_it_says_what_is_served_and_how_to_look_at_it(share: Path, tmp_path: Path) -> None:
    with serving(f"Music={share}:ro", "--state-dir", tmp_path / "state") as (_, lines):
        assert f'{share} as "Music", read-only' in lines[0]
        port = address(lines).port
        assert (
            f'gphoto2 --port ptpip:127.0.0.1:{port}:{port} --camera "PTP/IP Camera" --list-files'
        ) in lines[-1]
        with PtpIpClient(address(lines)) as client:
            assert client.responder_name == "MTP Appliance"
            assert client.call(0x1002, 1).ok
            info = client.call(0x1005, 0x00010001).data or b""
            assert "Music".encode("utf-16-le") in info
            assert info[4:6] == b"\1\0"  # read-only


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_well_also_in_a_transfer(share: Path, number: int, tmp_path: Path) -> None:
    with (share / "large").open("wb") as file:
        file.truncate(1 << 32)
    with (
        serving(share, "--state-dir", tmp_path / "state") as (process, lines),
        PtpIpClient(address(lines), receive_buffer=4096) as client,
    ):
        client.call(0x1002, 1)
        handles = client.call(0x1007, 0xFFFFFFFF, 0, 0).data or b""
        for at in range(4, len(handles), 4):
            client.request(0x1009, int.from_bytes(handles[at : at + 4], "little"))
        status, said = ends(process, number)
        assert status == 0, said
        assert "Traceback" not in said


@pytest.mark.parametrize(("option", "shown"), [([], True), (["--hide-hidden"], False)])
def test_hidden_files(share: Path, tmp_path: Path, option: list[str], *, shown: bool) -> None:
    with (
        serving(share, "--state-dir", tmp_path / "state", *option) as (_, lines),
        PtpIpClient(address(lines)) as client,
    ):
        client.call(0x1002, 1)
        handles = client.call(0x1007, 0xFFFFFFFF, 0, 0).data or b""
        assert int.from_bytes(handles[:4], "little") == (2 if shown else 1)


def test_the_friendly_name_is_kept_where_it_is_told(share: Path, tmp_path: Path) -> None:
    for expected in ("First", "Küche"):
        with (
            serving(share, "--name", "First", STATE_DIRECTORY=str(tmp_path / "state")) as (
                _,
                lines,
            ),
            PtpIpClient(address(lines)) as client,
        ):
            assert client.responder_name == expected
            client.call(0x1002, 1)
            name = "Küche\0"
            data = bytes([len(name)]) + name.encode("utf-16-le")
            assert client.call(0x1016, 0xD402, data=data).ok
    assert (tmp_path / "state" / "state.json").exists()


def test_beyond_this_machine_there_is_a_warning(share: Path, tmp_path: Path) -> None:
    with serving(share, "--listen", "0.0.0.0:0", "--state-dir", tmp_path, "-q") as (process, _):
        said = ends(process, signal.SIGTERM)[1]
    assert len(said.splitlines()) == 1
    assert "warning" in said
    assert "0.0.0.0" in said


def test_by_default_it_is_quiet_on_loopback(share: Path, tmp_path: Path) -> None:
    with serving(share, "--state-dir", tmp_path, "-q") as (process, _):
        assert ends(process, signal.SIGTERM) == (0, "")


@pytest.mark.parametrize("abstract", [True, False])
def test_systemd_is_told(share: Path, tmp_path: Path, *, abstract: bool) -> None:
    name = f"@mtp-appliance-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(PATIENCE)
        channel.bind(name.replace("@", "\0"))
        with serving(share, "--state-dir", tmp_path / "state", NOTIFY_SOCKET=name) as (process, _):
            assert channel.recv(100) == b"READY=1"
            assert channel.recv(100).startswith(b"STATUS=Waiting for a PC")
            assert ends(process, signal.SIGTERM)[0] == 0
            assert channel.recv(100) == b"STOPPING=1"


def test_the_unit_s_words_are_understood_without_argparse(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = ROOT / "overlay/usr/lib/systemd/system/mtp-appliance.service"
    (line,) = (each for each in unit.read_text().splitlines() if each.startswith("ExecStart="))
    words = line.split()[1:]
    started: list[object] = []
    monkeypatch.setattr(start, "start", started.append)
    monkeypatch.setattr(parsing, "parse", lambda words: pytest.fail(f"argparse reads {words}"))
    try:
        assert main(words) == 0
    finally:
        gc.enable()
    monkeypatch.undo()
    monkeypatch.setattr(start, "start", started.append)
    arguments = parsing.parse(words)
    arguments.act(arguments)
    assert len(started) == 2
    assert started[0] == started[1]


@pytest.mark.parametrize(
    "words",
    [
        ["--settings", "a", "--functionfs", "b", "--bind"],
        ["--settings", "a", "--functionfs", "b", "--bind", "--udc"],
        ["--settings", "a", "--functionfs", "b", "--bind", "c", "--nonsense"],
        ["--settings", "a", "--bind", "c", "--functionfs", "-h"],
    ],
)
def test_words_that_are_nearly_the_unit_s_are_read_as_all_others(words: list[str]) -> None:
    assert run("serve", *words).returncode == 2 or "usage" in run("serve", *words).stdout


def test_it_starts_with_nothing_that_is_not_needed(share: Path, tmp_path: Path) -> None:
    code = (
        "import sys, os, signal; from appliance import cli; from appliance.cli import start\n"
        "start.announce = lambda line: 'gphoto2' in line and os.kill(os.getpid(), signal.SIGTERM)\n"
        "status = cli.main(sys.argv[1:]); print(*sys.modules); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", share, "--listen", "127.0.0.1:0", "--state-dir",
         tmp_path],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    heavy = {"asyncio", "email", "flask", "functionfs", "gpiozero", "http", "libaio", "PIL"}
    assert loaded & (heavy | {"ssl", "tomlkit", "uuid"}) == set()
    assert "appliance.transports.ptpip" in loaded


@pytest.mark.parametrize("early", [True, False])
def test_a_signal_is_heard_whenever_it_comes(*, early: bool) -> None:
    stop, called = Stop(), []
    before = signal.getsignal(signal.SIGTERM)
    with stop.listening():
        if early:
            os.kill(os.getpid(), signal.SIGTERM)
        stop.call(lambda: called.append(1))
        if not early:
            assert called == []
            os.kill(os.getpid(), signal.SIGTERM)
        assert called == [1]
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # a second one is not caught
        stop.wait()
    assert signal.getsignal(signal.SIGTERM) == before


# Arguments


@pytest.mark.parametrize(
    ("text", "path", "name", "read_only"),
    [
        ("plain", "plain", "", False),
        ("plain:ro", "plain", "", True),
        ("plain/", "plain", "", False),
        ("Name=plain", "plain", "Name", False),
        ("Name=plain:ro", "plain", "Name", True),
        ("Two words=plain", "plain", "Two words", False),
        ("odd:ro", "odd:ro", "", False),
        ("odd:ro:ro", "odd:ro", "", True),
        ("Name=odd:ro", "odd:ro", "Name", False),
        ("A=B", "A=B", "", False),
        ("A=B:ro", "A=B", "", True),
        ("X=A=B", "A=B", "X", False),
        ("missing", "missing", "", False),
        ("missing:ro", "missing", "", True),
        ("N=missing:ro", "missing", "N", True),
        ("=missing", "=missing", "", False),
        ("N=", "N=", "", False),
        (".", ".", "", False),
    ],
)
def test_folders(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    path: str,
    name: str,
    *,
    read_only: bool,
) -> None:
    for each in ("plain", "odd:ro", "A=B"):
        (tmp_path / each).mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_folder(text) == FolderArgument(Path(path), name, read_only)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", ("127.0.0.1", 15740)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("localhost:0", ("localhost", 0)),
        ("::1", ("::1", 15740)),
        ("::", ("::", 15740)),
        ("[::1]", ("::1", 15740)),
        ("[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535)),
    ],
)
def test_listen(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "Files"),
        ("/srv/music/", "music"),
        ("/srv/x/..", "srv"),
        (os.fsdecode(b"/srv/\xff"), "\ufffd"),
        ("/srv/" + "n" * 200, "n" * 100),
    ],
)
def test_storage_names(path: str, name: str) -> None:
    assert storage_name(Path(path)) == name


def test_the_default_port_is_the_one_of_ptpip() -> None:
    assert DEFAULT_PORT == PORT


@pytest.mark.parametrize("name", ["x", "x" * 254, "📷" * 127])
def test_names_that_fit(name: str) -> None:
    assert parse_name(name) == name
