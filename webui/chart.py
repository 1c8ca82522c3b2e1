# SPDX-License-Identifier: GPL-3.0-or-later
"""The chart of throughput: points of lines for an SVG, and the words for who does not see it.

History comes as rows of (time, bytes a second to the PC, bytes a second from the PC), only while
bytes move; between rows that are apart nothing moved.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: Seconds that are shown, and between two rows; the drawing's size.
SPAN, STEP = 600.0, 2.0
WIDTH, HEIGHT = 600, 120
Row = tuple[float, float, float]
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: points of each line, the highest value of the scale, what was the highest."""

    to_pc: str
    from_pc: str
    top: float
    most_to: float
    most_from: float

    @property
    def is_empty(self) -> bool:
        """Whether nothing has moved."""
        return self.most_to == self.most_from == 0


def chart(history: Iterable[Sequence[float]], now: float) -> Chart:
    """Draw the last minutes."""
    rows: list[Row] = [
        (when, to, fro) for when, to, fro in history if now - SPAN <= when <= now + STEP
    ]
    most_to = max((row[1] for row in rows), default=0.0)
    most_from = max((row[2] for row in rows), default=0.0)
    top = _round_up(max(most_to, most_from, 1.0))
    to_pc, from_pc = (
        " ".join(_points(((row[0], row[column]) for row in rows), now, top)) for column in (1, 2)
    )
    return Chart(to_pc, from_pc, top, most_to, most_from)


def _points(values: Iterable[tuple[float, float]], now: float, top: float) -> Iterator[str]:
    """Give the corners of a line that lies at zero where there is no value."""
    last = now - SPAN
    yield _point(last, 0, now, top)
    for when, value in values:
        if when - last > 2 * STEP:
            yield _point(last, 0, now, top)
            yield _point(when - STEP, 0, now, top)
        yield _point(when, value, now, top)
        last = when
    if now - last > 2 * STEP:
        yield _point(last, 0, now, top)
        yield _point(now, 0, now, top)


def _point(when: float, value: float, now: float, top: float) -> str:
    x = WIDTH * min(1.0, max(0.0, 1 - (now - when) / SPAN))
    return f"{x:.1f},{HEIGHT * (1 - value / top):.1f}"


def _round_up(value: float) -> float:
    """Find the next round number: 1, 2 or 5 and zeros."""
    power = 10.0 ** (len(f"{value:.0f}") - 1)
    return next(step * power for step in _STEPS if step * power >= value)
