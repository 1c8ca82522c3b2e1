# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs of life for systemd, so that what hangs is started anew (sd_watchdog_enabled(3)).

The thread that gives them is the main one, in its own loop: where that hangs there are none. And
it gives none where a thread has ended that ought not to. A thread that waits for a disk is alive,
however long: a card that writes its caches may take minutes, and killing helps it nothing.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Mapping

from appliance.services.notify import notify

log = logging.getLogger(__name__)


class Watchdog:
    """For one thread. `look` is called at each sign of life, to do what is to be done now and then.

    `watch` names who must live; who does not is told of once.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        *,
        look: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every = _interval(environment)
        self._look = look
        self._clock = clock
        self._next = -math.inf
        self._watched: dict[str, Callable[[], bool]] = {}

    def watch(self, name: str, is_alive: Callable[[], bool]) -> None:
        """Give no sign of life where this does not live; for any thread."""
        self._watched = {**self._watched, name: is_alive}

    def beat(self) -> float | None:
        """Give a sign of life if it is time; seconds until the next one, None for never."""
        if self._every is None:
            return None
        left = self._next - self._clock()
        if left > 0:
            return left
        self._next = self._clock() + self._every
        dead = [name for name, is_alive in self._watched.items() if not is_alive()]
        if dead:
            log.error("DEAD    %s: systemd is to start the service anew", ", ".join(dead))
            self._every = None
            return None
        notify("WATCHDOG=1")
        self._look()
        return self._every


def _interval(environment: Mapping[str, str]) -> float | None:
    """Say how often signs of life are to come (seconds): twice as often as systemd demands."""
    try:
        limit = int(environment["WATCHDOG_USEC"])
    except (KeyError, ValueError):
        return None
    mine = environment.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
    return limit / 2_000_000 if mine and limit > 0 else None
