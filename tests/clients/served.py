# SPDX-License-Identifier: GPL-3.0-or-later
"""The responder as a process of its own, the way a person starts it."""

import contextlib
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.clients.driver import ClientError

_PATIENCE = 180.0
#: In a guest, the folder that it shares with its host.
HOST = Path("/run/host")


@dataclass(slots=True)
class Served:
    """A running responder, and the folder that it serves; no process where that is elsewhere."""

    share: Path
    process: subprocess.Popen[str] | None = None

    def bytes_read(self) -> int:
        """Bytes that the responder has read so far, from files (and sockets)."""
        assert self.process is not None, "it runs on another machine"
        text = Path(f"/proc/{self.process.pid}/io").read_text()
        return int(text.split("rchar:")[1].split()[0])


def redirected() -> Served:
    """Give the responder on the guest's host."""
    wait_for_device()
    return Served(HOST / "share")


def free_port() -> int:
    """Find a TCP port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serve(*arguments: str | Path, share: Path, killed: bool = False) -> Iterator[Served]:
    """Run `mtp-appliance serve` until the block ends; it is ready when it has said so.

    `killed`: end it as a power cut does.
    """
    argv = [sys.executable, "-m", "appliance", "serve", *map(str, arguments)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            _wait_for_word(process)
            yield Served(share, process)
            if process.poll() is not None:
                raise ClientError(f"the responder ended by itself with {process.returncode}")
        finally:
            process.kill() if killed else process.terminate()
            process.wait(_PATIENCE)


def _wait_for_word(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.stdout and select.select([process.stdout], [], [], 0.2)[0]:
            if not process.stdout.readline():
                raise ClientError("the responder ended before it was ready")
            return
    raise ClientError("the responder did not become ready")


def wait_for_device() -> None:
    """Wait until the PC's side has found the device on the bus and is done with looking at it."""
    _wait_until(_is_on_the_bus, "the device did not appear on the bus")
    subprocess.run(["udevadm", "settle"], check=True)


def wait_until_gone() -> None:
    """Wait until the PC's side has seen that the device is unplugged."""
    _wait_until(lambda: not _is_on_the_bus(), "the device stays on the bus")
    subprocess.run(["udevadm", "settle"], check=True)


def _is_on_the_bus() -> bool:
    products = Path("/sys/bus/usb/devices").glob("*/product")
    return any("MTP Appliance" in each.read_text() for each in products)


def _wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # it goes while it is looked at
            if is_so():
                return
        time.sleep(0.05)
    raise ClientError(otherwise)
