# SPDX-License-Identifier: GPL-3.0-or-later
"""Events for a guest, no faster than it can take them: what QEMU has too many of it drops."""

import time
from collections.abc import Callable

from appliance.mtp.containers import encode_event
from appliance.mtp.responder import Connection
from appliance.transports.event_queue import EventQueue
from appliance.transports.usbredir_device import RedirectedDevice

#: Events that go at once, and how many a second after that. QEMU keeps 2,000 for the guest.
BURST = 1000.0
A_SECOND = 250.0
#: Parts that wait for a guest that reads nothing, being paused; then events wait here.
_UNSENT = 64


class GuestEvents(EventQueue):
    """Events for one guest. `put` is for any thread, the rest for who has the socket."""

    def __init__(
        self,
        device: RedirectedDevice,
        connection: Connection,
        ring: Callable[[], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(connection, ring)
        self._device = device
        self._now = now
        self._allowed, self._counted = BURST, now()

    def give(self, *, listening: bool) -> None:
        """Give the device the events that may go now; where no session is open, forget them all."""
        if not listening:
            self.clear()
        self._count()
        while self._allowed >= 1 and self._takes_any and (event := self.take()) is not None:
            self._allowed -= 1
            container = encode_event(event.code, event.transaction_id, event.parameters)
            self._device.send_event(container)

    @property
    def _takes_any(self) -> bool:
        return self._device.listens and len(self._device.out) < _UNSENT

    def pause(self, timeout: float | None) -> float | None:
        """Shorten a wait to when the next event may go; not where the guest takes none."""
        if not (self.waiting and self._takes_any):
            return timeout
        moment = 0 if self._allowed >= 1 else 1 / A_SECOND
        return moment if timeout is None else min(timeout, moment)

    def _count(self) -> None:
        """Count how many may go by now."""
        now = self._now()
        self._allowed = min(BURST, self._allowed + (now - self._counted) * A_SECOND)
        self._counted = now
