# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that are to be killed in the middle of what they do, with all that they have started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.clients.file_systems import MOUNT_PREFIX

_PATIENCE = 180.0
#: In the environment of a client that is to be killed, and so of all that it starts.
_VICTIM = "MTP_APPLIANCE_VICTIM"


def start(client: str, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    """Let a client do one thing, as `tests.clients.once` takes it."""
    argv = [sys.executable, "-m", "tests.clients.once", client, *map(str, arguments)]
    environment = os.environ | {_VICTIM: "1"}
    return subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill it.

    Its daemons are first: a file system client would take the end of the program that writes for
    the end of the file, and send what it has as the whole. What it had mounted is aborted, for one
    that waits for an answer of its own file system (go-mtpfs closes a file on it) does not end.
    """
    daemons = {*_victims()} - {process.pid}
    for pid in daemons:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    _abort_mounts()
    process.wait(_PATIENCE)
    _wait_until_ended(daemons)


def _abort_mounts() -> None:
    """Unmount by force, which ends all that waits for an answer."""
    for line in Path("/proc/mounts").read_text().splitlines():
        if f"/{MOUNT_PREFIX}" in line:
            subprocess.run(["umount", "--force", "--lazy", line.split()[1]], check=False)


def _wait_until_ended(pids: set[int]) -> None:
    """Wait until the kernel has taken back what they held: the device above all."""
    deadline = time.monotonic() + _PATIENCE
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, "a killed client does not end"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def written() -> int:
    """Bytes that the client that is to be killed has written, wherever to."""
    total = 0
    for pid in _victims():
        with suppress(OSError):
            text = Path(f"/proc/{pid}/io").read_text()
            total += int(text.split("wchar:")[1].split()[0])
    return total


def _victims() -> Iterator[int]:
    """Find the client that is to be killed and all that it has started, daemons too."""
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"{_VICTIM}=1".encode() in environment.read_bytes().split(b"\0"):
                yield int(environment.parent.name)
