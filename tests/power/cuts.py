# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts the power of the virtual Pi again and again, and looks at what each start finds."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.power.card import Card
from tests.power.conversation import ask, found, wait
from tests.power.file_system import check, make_card
from tests.power.model import Expected, State
from tests.power.recording import Recording
from tests.power.verdicts import complaints, what_is_there
from tests.vm import image
from tests.vm.machine import Guest, Kind

#: Writes to the card between the first thing that is done and the cut, at most.
_MOST_WRITES = 400
#: How many times as long as the first start a later one may take, on a machine that is busy.
_SLOWER = 3


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut: at which write, and how many operations had been answered since the start.

    `ready` is how many seconds after its kernel's start the machine was ready, before that.
    """

    number: int
    writes: int
    answered: int
    ready: float


@dataclass(frozen=True, slots=True)
class Run:
    """A start up to a cut: the card and what was expected of it before, and what was written."""

    cut: Cut
    card: Path
    state: State
    recording: Recording


class PowerCuts:
    """A card in `folder`, on which the machine works until its power goes; repeatable by `seed`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = random.Random(seed)
        self._expected = Expected()
        self._card = folder / "card"
        self._usual: float | None = None
        make_card(self._card)

    def run(self, count: int, tell: Callable[[Cut], None] = lambda cut: None) -> None:
        """Cut the power `count` times; AssertionError with what was lost."""
        for number in range(1, count + 1):
            tell(self.cut(number, self._rng.randint(1, _MOST_WRITES)).cut)
            copy = shutil.copyfile(self._card, self._folder / "checked")
            wrong = check(copy)
            assert not wrong, wrong
        tell(self.look())

    def look(self) -> Cut:
        """Start once more, and look."""
        return self._start(0, 0, self._card).cut

    def cut(self, number: int, writes: int) -> Run:
        """Start, look, and work until the power goes at a write."""
        before = self._folder / "before"
        shutil.copyfile(self._card, before)
        return self._start(number, writes, before)

    def _start(self, number: int, writes: int, before: Path) -> Run:
        """Boot and look; work until the power goes at a write, 0 for not at all."""
        socket = self._folder / "socket"
        socket.unlink(missing_ok=True)
        guest = Guest(image.get(), Kind.APPLIANCE, card=socket)
        recording = Recording(guest.folder / "done.jsonl")
        card = Card(self._card, socket, random.Random(self._rng.random()), recording.note)
        answered = self._expected.answered
        ask(guest, "asked.json", {"edited": self._expected.edited})
        guest.start("python3 -m tests.power.worker")
        try:
            there = found(guest)
            self._judge(there)
            state = self._expected.state
            if writes:
                card.arm(writes)
                ask(guest, "go.json", self._work(number))
                wait(card.dark.is_set, guest, "the power goes")
        finally:
            card.cut(guest.kill)
            recording.end()
            self._expected.follow(recording.lines())
            guest.stop()
        cut = Cut(number, writes, self._expected.answered - answered, there["ready"])
        return Run(cut, before, state, recording)

    def _work(self, number: int) -> dict[str, Any]:
        return {"seed": self._rng.random(), "next": number * 100_000}

    def _judge(self, there: dict[str, Any]) -> None:
        wrong = complaints(self._expected, there) + self._late(there["ready"])
        assert not wrong, f"under way: {self._expected.under_way}\n" + "\n".join(wrong)
        self._expected.settle(what_is_there(there))

    def _late(self, ready: float) -> list[str]:
        """Compare how long a start took with the first one (seconds)."""
        usual = self._usual = self._usual or ready
        return [f"ready: {ready:.0f} s, not {usual:.0f}"] if ready > _SLOWER * usual else []
