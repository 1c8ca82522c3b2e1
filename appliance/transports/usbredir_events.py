# SPDX-License-Identifier: GPL-3.0-or-later
"""Events for a guest, no faster than it can take them: what QEMU has too many of it drops."""

import logging
import time
from collections import deque
from collections.abc import Callable

from appliance.mtp.containers import encode_event
from appliance.mtp.transaction import Event

log = logging.getLogger(__name__)

#: Events that wait for a guest that does not listen; the oldest are dropped.
WAITING = 4096
#: Events that go at once, and how many a second after that. QEMU keeps 2,000 for the guest.
BURST = 1000.0
A_SECOND = 250.0


class EventAllowance:
    """A bounded queue of events. `put` is for any thread, the rest for who has the socket."""

    def __init__(self, ring: Callable[[], None], now: Callable[[], float] = time.monotonic) -> None:
        self._ring = ring
        self._now = now
        self._waiting: deque[Event] = deque(maxlen=WAITING)
        self._allowed, self._counted = BURST, now()
        self.last: Event | None = None

    @property
    def waiting(self) -> bool:
        """Whether there are any."""
        return bool(self._waiting)

    def put(self, event: Event) -> None:
        """Queue an event."""
        self._waiting.append(event)
        self._ring()

    def take(self) -> bytes | None:
        """Take the next event that may go now, as a container."""
        if not self._waiting or self._count() < 1:
            return None
        self._allowed -= 1
        event = self.last = self._waiting.popleft()
        log.debug("EVENT %s(%s)", event.code.name, " ".join(f"{p:X}" for p in event.parameters))
        return encode_event(event.code, event.transaction_id, event.parameters)

    def pause(self, timeout: float | None) -> float | None:
        """Shorten a wait to when the next event may go."""
        if not self._waiting or self._allowed >= 1:
            return timeout
        moment = 1 / A_SECOND
        return moment if timeout is None else min(timeout, moment)

    def clear(self) -> None:
        """Forget what has not gone."""
        self._waiting.clear()
        self.last = None

    def _count(self) -> float:
        now = self._now()
        self._allowed = min(BURST, self._allowed + (now - self._counted) * A_SECOND)
        self._counted = now
        return self._allowed
