# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make run` does: files and settings page beside each other, and one end for both."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from tests.fakes.ptpip_client import PATIENCE

ROOT = Path(__file__).parent.parent
KEPT = ROOT / ".make" / "served"
WAIT = 6 * PATIENCE


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a name that a settings file has to quote; what is kept for it goes."""
    before = set(KEPT.glob("*"))
    folder = tmp_path / 'a "share"'
    folder.mkdir()
    yield folder
    for each in set(KEPT.glob("*")) - before:
        rmtree(each)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_are_there_and_end_together(folder: Path, number: signal.Signals) -> None:
    ports = {"PORT": str(free_port()), "WEB_PORT": str(free_port())}
    process = subprocess.Popen(
        ["sh", "tests/serve.sh"],
        cwd=ROOT,
        env={**os.environ, **ports, "FOLDER": str(folder), "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        page = f"http://127.0.0.1:{ports['WEB_PORT']}"
        said = read_until(process, f"127.0.0.1:{ports['PORT']}", page)
        assert re.search(r"Serving .*a \"share\"", said)
        with urllib.request.urlopen(page, timeout=WAIT) as answer:
            assert answer.status == 200
        # Ctrl-C is for all in the foreground; a service manager's TERM for the first alone.
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        process.communicate(timeout=WAIT)
        assert process.returncode == 0
        assert members(process.pid) == []
    finally:
        if members(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def read_until(process: "subprocess.Popen[str]", *words: str) -> str:
    assert process.stdout is not None
    said = ""
    while not all(word in said for word in words):
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def members(group: int) -> list[int]:
    """Who of a process group lives; one that has just ended has a moment to go."""
    found = [0]
    deadline = time.monotonic() + PATIENCE
    while found and time.monotonic() < deadline:
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(words[2]) == group and words[0] != "Z":
                found.append(int(path.parent.name))
    return found


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    environment = {"FOLDER": str(tmp_path / "none"), "PORT": "0", "WEB_PORT": "0"}
    done = subprocess.run(
        ["sh", "tests/serve.sh"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, f"{tmp_path}/none is no folder\n")
    assert done.stdout == ""
