# SPDX-License-Identifier: GPL-3.0-or-later
"""One upload or download by a client that people use, broken into once it has begun."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.clients import victims
from tests.clients.once import make
from tests.usb.appliance import Appliance

#: The file that it uploads.
NAME = "real"
_PATIENCE = 180.0
#: Uploads under way in the share.
_STAGED = ".mtp-appliance/[0-9]*-*/*"
#: How far a client that edits in place makes a file longer before it writes (bytes).
_AHEAD = 64 << 10


class RealClient:
    """A client that has been started: `put` with a file to upload, or `get` with a path."""

    def __init__(self, appliance: Appliance, name: str, verb: str, *what: str | Path) -> None:
        self._appliance = appliance
        self._is_upload = verb == "put"
        self._since = len(appliance.log())
        self._read = self._bytes_read()
        self.process = victims.start(name, verb, *what)

    def wait(self, chance: random.Random, size: int) -> None:
        """Wait until it has begun; then a while, or for some byte of the `size` that it moves."""
        self._wait(self._has_begun)
        if chance.random() < 0.5:
            time.sleep(chance.random() * 2)
            return
        goal = chance.randint(1, size)
        self._wait(lambda: self._moved() >= goal)

    @property
    def far(self) -> str:
        """Say in words how far it is."""
        if not self._has_begun():
            return "not begun"
        if self.process.poll() is not None:
            return "ended"
        return "in its data" if self._moved() else "begun"

    @property
    def has_done_it(self) -> bool:
        """Whether it says that it has done what it was to do."""
        return self.process.poll() == 0

    def kill(self) -> None:
        """Kill it, with all that it has started."""
        victims.kill(self.process)

    def _has_begun(self) -> bool:
        """Whether it has asked the device something."""
        return "debug usb " in self._appliance.log()[self._since :]

    def _moved(self) -> int:
        """Bytes of its upload that have arrived, or about those that were read for it."""
        if not self._is_upload:
            return max(self._bytes_read() - self._read, 0)
        total = 0
        for each in (*self._appliance.share.glob(_STAGED), self._appliance.share / NAME):
            with suppress(FileNotFoundError):
                total += each.stat().st_size
        return total

    def _bytes_read(self) -> int:
        text = Path(f"/proc/{self._appliance.process.pid}/io").read_text()
        return int(text.split("rchar:")[1].split()[0])

    def _wait(self, is_so: Callable[[], bool]) -> None:
        """Wait for something, or for the client's end."""
        deadline = time.monotonic() + _PATIENCE
        while not is_so() and self.process.poll() is None:
            assert time.monotonic() < deadline, f"{self.process.args!r} does nothing"
            time.sleep(0.02)


def may_be_left(there: bytes | None, data: bytes, client: str, *, is_done: bool) -> bool:
    """Whether an upload of `data` may have left that, None for no file.

    All of it where the client had said so. Where it was broken into, nothing or all of it; of a
    client that edits in place the pieces that came, and zeros up to where the next one was to end:
    it makes the file longer first.
    """
    if is_done:
        return there == data
    if not there or there == data:
        return True
    if "edit" not in make(client).abilities or len(there) > len(data):
        return False
    sure = max(len(there) - _AHEAD, 0)
    return data.startswith(there[:sure]) and data.startswith(there.rstrip(b"\0"))
