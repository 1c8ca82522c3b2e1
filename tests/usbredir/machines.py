# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines that do what the host asks, one thing after another, over reboots too."""

import itertools
import json
from pathlib import Path

from tests.vm import image
from tests.vm.machine import Guest, Kind
from tests.vm.redirected import CONTROLLER, Monitor, device, until

_BOOT = 900.0
_TASK = 600.0


class Machine:
    """A booted guest with the device at `socket`."""

    def __init__(self, socket: Path, *, memory: str = "1024") -> None:
        self._numbers = itertools.count(1)
        options = ("-m", memory, "-smp", "1", *CONTROLLER, *device(socket))
        self._guest = Guest(image.get(), Kind.REDIRECTED)
        self.folder = self._guest.folder
        qmp = self.folder / "qmp"
        self._guest.devices = (*options, "-qmp", f"unix:{qmp},server=on,wait=off")
        # The other options say -no-reboot; this machine's resets are what it is here for.
        self._guest.reboots = True
        self._guest.start("exec python3 -m tests.usbredir.agent")
        self.monitor = Monitor(qmp)

    def close(self) -> None:
        """Switch off."""
        self.monitor.close()
        self._guest.stop()

    def kill(self) -> None:
        """End QEMU as `kill -9` does."""
        self._guest.kill()

    def ready(self, since: int = 0) -> None:
        """Wait until it has booted so many times."""
        boots = self.folder / "boots"
        until(lambda: boots.exists() and len(boots.read_text()) > since, "it has booted", _BOOT)

    def begin(self, *words: str) -> int:
        """Have it run a program of `tests.usbredir.pc`; the number of the task."""
        number = next(self._numbers)
        task = self.folder / f"task-{number}"
        task.with_suffix(".new").write_text(json.dumps(words))
        task.with_suffix(".new").rename(task)
        return number

    def said(self, number: int) -> str:
        """Give what a task has printed so far."""
        path = self.folder / f"said-{number}"
        return path.read_text() if path.exists() else ""

    def wait(self, number: int) -> str:
        """Wait for the end of a task; what it printed. An error where it failed."""
        done = self.folder / f"done-{number}"
        until(done.exists, f"task {number} ends:\n{self.said(number)}", _TASK)
        assert done.read_text() == "0", self.said(number)
        return self.said(number)

    def wait_for(self, number: int, words: str) -> None:
        """Wait until a task has said something."""
        until(lambda: words in self.said(number), f"{words!r} in:\n{self.said(number)}", _TASK)

    def run(self, *words: str) -> str:
        """Have it run a program to its end; what it printed."""
        return self.wait(self.begin(*words))
