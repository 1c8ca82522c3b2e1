# SPDX-License-Identifier: GPL-3.0-or-later
"""Many cuts of one recorded run: each card that may be left is looked at."""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.power.cuts import Run
from tests.power.model import Expected, Operation
from tests.power.recording import Replay
from tests.power.verdicts import complaints


class Looks(Protocol):
    """Who looks at the card that lies at `card`, and says what is on it after a start."""

    card: Path

    def look(self, edited: str | None) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """One cut: before which step, how much had been answered, what was under way, what is wrong."""

    point: int
    answered: int
    operation: Operation | None
    wrong: list[str]

    @property
    def under_way(self) -> str:
        """What sort of thing was under way."""
        return str(self.operation[0]) if self.operation else "nothing"


@dataclass(slots=True)
class Tally:
    """What many cuts came to."""

    cuts: int = 0
    under_way: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        """Count a cut; of what is wrong, each sort once."""
        self.cuts += 1
        self.under_way[verdict.under_way] += 1
        self.wrong.update({each.partition(":")[0] for each in verdict.wrong})


def replay(
    run: Run, judge: Looks, count: int, rng: random.Random, *, flushes: bool = True
) -> Iterator[Verdict]:
    """Cut the power of a recorded run at so many of its steps, by `rng`.

    `flushes` False: with a card that only says that it has flushed.
    """
    base = judge.card.with_name("base")
    shutil.copyfile(run.card, base)
    cards = Replay(base, run.recording.steps, flushes=flushes)
    for point in run.recording.points(count, rng):
        cards.put(point, judge.card, rng)
        expected = Expected(run.state)
        expected.follow(run.recording.lines(point))
        wrong = complaints(expected, judge.look(expected.edited))
        yield Verdict(point, expected.answered, expected.under_way, wrong)
