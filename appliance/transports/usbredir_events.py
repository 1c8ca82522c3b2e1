# SPDX-License-Identifier: GPL-3.0-or-later
"""Events for a guest, no faster than it can take them: what QEMU has too many of it drops."""

import logging
import time
from collections import deque
from collections.abc import Callable

from appliance.mtp.containers import encode_event
from appliance.mtp.transaction import Event
from appliance.transports.usbredir_device import RedirectedDevice

log = logging.getLogger(__name__)

#: Events that wait for a guest that does not listen; the oldest are dropped.
WAITING = 4096
#: Events that go at once, and how many a second after that. QEMU keeps 2,000 for the guest.
BURST = 1000.0
A_SECOND = 250.0
#: Parts that wait for a guest that reads nothing, being paused; then events wait here.
_UNSENT = 64


class GuestEvents:
    """A bounded queue of events. `put` is for any thread, the rest for who has the socket."""

    def __init__(
        self,
        device: RedirectedDevice,
        ring: Callable[[], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = device
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

    def give(self, *, listening: bool) -> None:
        """Give the device the events that may go now; where no session is open, forget them all."""
        if not listening:
            self.clear()
        self._count()
        while self._waiting and self._allowed >= 1 and self._takes_any:
            self._allowed -= 1
            event = self.last = self._waiting.popleft()
            log.debug("EVENT %s(%s)", event.code.name, " ".join(f"{p:X}" for p in event.parameters))
            container = encode_event(event.code, event.transaction_id, event.parameters)
            self._device.send_event(container)

    @property
    def _takes_any(self) -> bool:
        return self._device.listens and len(self._device.out) < _UNSENT

    def pause(self, timeout: float | None) -> float | None:
        """Shorten a wait to when the next event may go; not where the guest takes none."""
        if not (self._waiting and self._takes_any):
            return timeout
        moment = 0 if self._allowed >= 1 else 1 / A_SECOND
        return moment if timeout is None else min(timeout, moment)

    def clear(self) -> None:
        """Forget what has not gone."""
        self._waiting.clear()
        self.last = None

    def _count(self) -> None:
        """Count how many may go by now."""
        now = self._now()
        self._allowed = min(BURST, self._allowed + (now - self._counted) * A_SECOND)
        self._counted = now
