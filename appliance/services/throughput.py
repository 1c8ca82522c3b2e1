# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast content has moved over the last minutes: samples for a chart."""

import time
from collections import deque
from collections.abc import Callable

#: Seconds that a sample is about, and samples that are kept: ten minutes.
EVERY, MOST = 2.0, 300

#: Unix time, bytes a second to the PC, bytes a second from it.
Sample = tuple[float, int, int]


class Throughput:
    """Made by one thread, which looks while content moves; read by any."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._samples: deque[Sample] = deque(maxlen=MOST)
        self._at = clock()
        self._before = (0, 0)

    def look(self, moved: tuple[int, int], *, moving: bool) -> None:
        """Note how much has moved to the PC and from it since the start; `moving`: more comes."""
        now = self._clock()
        elapsed = now - self._at
        to_pc, from_pc = (after - before for after, before in zip(moved, self._before, strict=True))
        if moving and elapsed < EVERY:
            return
        if (to_pc or from_pc) and elapsed > 0:
            span = min(elapsed, 2 * EVERY)  # what came after a rest came in the end of it
            self._samples.append((self._wall_clock(), round(to_pc / span), round(from_pc / span)))
        self._at, self._before = now, moved

    def told(self) -> list[Sample]:
        """Give the samples of the last minutes, the oldest first; where nothing moved are none."""
        oldest = self._wall_clock() - EVERY * MOST
        return [each for each in tuple(self._samples) if each[0] >= oldest]
