# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts the power of the virtual Pi again and again, and looks at what each start finds."""

import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.power.card import Card
from tests.power.model import Expected, State
from tests.vm import image
from tests.vm.image import GuestError, find_program
from tests.vm.machine import Guest, Kind

_CARD_SIZE = 256 << 20
#: Writes to the card between the first thing that is done and the cut, at most.
_MOST_WRITES = 400
#: Seconds for a boot, and for that many writes, on a busy machine.
_PATIENCE = 600.0
#: e2fsck(8): errors that are left, or that it did not run; what it repairs by itself is no loss.
_FSCK_FAILED = 4


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut: at which write, and how many operations had been answered since the start."""

    number: int
    writes: int
    answered: int


class PowerCuts:
    """A card in `folder`, on which the machine works until its power goes; repeatable by `seed`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = random.Random(seed)
        self._expected = Expected()
        self._card = folder / "card"
        with self._card.open("wb") as file:
            file.truncate(_CARD_SIZE)
        _run(find_program("mke2fs"), "-q", "-t", "ext4", str(self._card))

    def run(self, count: int, tell: Callable[[Cut], None] = lambda cut: None) -> None:
        """Cut the power `count` times; AssertionError with what was lost."""
        for number in range(1, count + 1):
            tell(self._cut(number))
        self._start(number=0)

    def _cut(self, number: int) -> Cut:
        writes, before = self._rng.randint(1, _MOST_WRITES), self._expected.answered
        self._start(number, writes)
        return Cut(number, writes, self._expected.answered - before)

    def _start(self, number: int, writes: int = 0) -> None:
        """Boot and look; work until the power goes at a write, 0 for not at all."""
        socket = self._folder / "socket"
        socket.unlink(missing_ok=True)
        card = Card(self._card, socket, random.Random(self._rng.random()))
        guest = Guest(image.get(), Kind.APPLIANCE, card=socket)
        guest.start("python3 -m tests.power.worker")
        try:
            self._judge(_found(guest))
            if writes:
                go = {"seed": self._rng.random(), "next": number * 100_000}
                card.arm(writes)
                (guest.folder / "go.json").write_text(json.dumps(go))
                _wait(card.dark.is_set, guest, "the power goes")
        finally:
            card.cut(guest.kill)
            self._expected.follow(_lines(guest.folder / "done.jsonl"))
            guest.stop()
        self._check_file_system()

    def _judge(self, found: dict[str, Any]) -> None:
        assert found["errors"] == [], found
        assert found["kernel"] == [], found
        assert found["failed"] == "", found
        assert found["remains"] == [], found
        self._expected.settle(State(found["files"], set(found["folders"]), found["days"]))

    def _check_file_system(self) -> None:
        """Let a copy be repaired as at a start: by the journal, with nothing left to ask about."""
        copy = self._folder / "copy"
        shutil.copyfile(self._card, copy)
        e2fsck = Path(find_program("mke2fs")).with_name("e2fsck")
        argv = [str(e2fsck), "-f", "-p", str(copy)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode < _FSCK_FAILED, done.stdout + done.stderr


def _found(guest: Guest) -> dict[str, Any]:
    path = guest.folder / "found.json"
    _wait(path.exists, guest, "the appliance is up")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _wait(condition: Callable[[], bool], guest: Guest, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if not guest.running() or time.monotonic() > deadline:
            raise GuestError(
                f"not before the guest ended or took too long: {what}\n{guest.last_words()}"
            )
        time.sleep(0.05)


def _lines(path: Path) -> list[Any]:
    """Read what a worker wrote; the last line may have been cut off."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _run(*argv: str) -> None:
    subprocess.run(argv, stdin=subprocess.DEVNULL, check=True)
