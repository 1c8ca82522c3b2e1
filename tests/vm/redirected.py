# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests whose device the host serves over usbredir, and the monitor to do things to them."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.vm.image import PROJECT, GuestError, Image
from tests.vm.machine import Guest, Kind

#: A controller as new machines have, and a device on it that comes by a socket.
CONTROLLER = ("-device", "qemu-xhci,id=xhci")
_PATIENCE = 180.0


def device(path: Path, name: str = "share") -> tuple[str, ...]:
    """Give QEMU's options for the device that is served at a socket."""
    chardev = f"socket,id={name}-socket,path={path}"
    return ("-chardev", chardev, "-device", f"usb-redir,id={name},chardev={name}-socket,bus=xhci.0")


@contextlib.contextmanager
def served(share: Path, path: Path, state: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Serve a folder to guests at a socket, as a person does, until the block ends."""
    share.mkdir(exist_ok=True)
    words = (f"Card={share}", "--usbredir", f"unix:{path}", "--state-dir", str(state), *options)
    argv = [sys.executable, "-m", "appliance", "serve", *words]
    state.mkdir(exist_ok=True)
    with (
        (state / "log").open("w") as log,
        subprocess.Popen(
            argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            if process.stdout is None or not process.stdout.readline():
                raise GuestError(f"the responder does not start:\n{(state / 'log').read_text()}")
            until(path.exists, "the responder listens")
            yield process
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def until(is_so: Callable[[], object], what: str, seconds: float = _PATIENCE) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise GuestError(f"within {seconds:.0f} s it did not come about: {what}")
        time.sleep(0.05)


class RedirectedGuest(Guest):
    """The plain virtual Pi as nothing but a PC: the device is the host's.

    What is served lies in `share` of the folder that host and guest share.
    """

    def __init__(self, image: Image, *options: str) -> None:
        """Prepare a run; `options` are the responder's."""
        super().__init__(image, Kind.REDIRECTED)
        self._resources = contextlib.ExitStack()
        path = self.folder / "share.sock"
        self.devices = (*CONTROLLER, *device(path))
        state = self.folder / "state"
        self._service = served(self.folder / "share", path, state, *options)

    def start(self, command: str) -> None:
        """Serve, and boot."""
        self._resources.enter_context(self._service)
        super().start(f"modprobe xhci_pci\n{command}")

    def stop(self, *, keep: bool = False) -> None:
        """Switch off, and serve no longer."""
        self._resources.close()
        super().stop(keep=keep)


class Monitor:
    """QEMU's monitor, in its machine protocol (QMP)."""

    def __init__(self, path: Path) -> None:
        until(path.exists, "QEMU's monitor is there")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r")
        self._lines.readline()
        self.ask("qmp_capabilities")

    def close(self) -> None:
        """Let go of it."""
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, **arguments: Any) -> Any:
        """Run a command; what it returns."""
        words = {"execute": command} | ({"arguments": arguments} if arguments else {})
        self._socket.sendall(json.dumps(words).encode() + b"\n")
        while True:
            answer = json.loads(self._lines.readline() or "{}")
            if "error" in answer or not answer:
                raise GuestError(f"{command}: {answer.get('error', 'QEMU is gone')}")
            if "return" in answer:
                return answer["return"]

    def human(self, line: str) -> str:
        """Run a command line of the monitor for people."""
        return str(self.ask("human-monitor-command", **{"command-line": line}))
