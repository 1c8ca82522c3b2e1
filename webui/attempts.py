# SPDX-License-Identifier: GPL-3.0-or-later
"""How often somebody may try a password: after a few wrong ones, ever longer waits."""

import threading
import time
from collections.abc import Callable

#: Wrong passwords that are forgiven; then so many seconds, doubled each time, at most so many.
_FORGIVEN, _FIRST, _LONGEST = 5, 2.0, 300.0
#: Addresses that are remembered; a flood of them makes all of them wait together.
_MOST = 256
_OTHERS = "others"


class Attempts:
    """Counts wrong passwords by the address that they come from."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}

    def wait(self, who: str) -> float:
        """Say for how many seconds one may not try."""
        with self._lock:
            count, last = self._wrong.get(self._name(who), (0, 0.0))
        if count < _FORGIVEN:
            return 0.0
        pause = min(_LONGEST, _FIRST * 2.0 ** min(count - _FORGIVEN, 16))
        return max(0.0, last + pause - self._clock())

    def was_wrong(self, who: str) -> None:
        """Count a wrong password."""
        with self._lock:
            name = self._name(who)
            count, _ = self._wrong.get(name, (0, 0.0))
            self._wrong[name] = count + 1, self._clock()

    def was_right(self, who: str) -> None:
        """Forget what was wrong before."""
        with self._lock:
            self._wrong.pop(who, None)

    def _name(self, who: str) -> str:
        return who if who in self._wrong or len(self._wrong) < _MOST else _OTHERS
