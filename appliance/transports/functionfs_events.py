# SPDX-License-Identifier: GPL-3.0-or-later
"""The interrupt endpoint: events for the host, of which it takes as many as it likes."""

import contextlib
import logging
import os
from collections import deque
from errno import EAGAIN, ECONNRESET, ESHUTDOWN

from appliance.mtp.containers import encode_event
from appliance.mtp.transaction import Event
from appliance.transports.aio import AioQueue, AioRequest
from appliance.transports.usb_descriptors import EVENT_SIZE

log = logging.getLogger(__name__)

#: Events that wait for a host that is slow or does not listen; the oldest are dropped.
WAITING = 4096
_ENDED = frozenset({-EAGAIN, -ECONNRESET, -ESHUTDOWN})


class EventPipe:
    """A bounded queue of events with at most one request under way; never blocks.

    `send` is for any thread, the rest for the one that polls `fileno` and then calls `pump`.
    """

    def __init__(self, endpoint: int) -> None:
        self._endpoint = endpoint
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._waiting: deque[Event] = deque(maxlen=WAITING)
        self._request = AioRequest(EVENT_SIZE, to_host=True)
        self._queue = AioQueue([self._request])
        self.last: Event | None = None

    def fileno(self) -> int:
        """Give what becomes readable when `pump` has something to do."""
        return self._wake

    def send(self, event: Event) -> None:
        """Queue an event."""
        self._waiting.append(event)
        os.eventfd_write(self._wake, 1)

    def pump(self, *, listening: bool) -> None:
        """Send the next event; where no session is open, forget them all."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        for request in self._queue.completed():
            if request.result < 0 and request.result not in _ENDED:
                log.info("LOST event: %s", os.strerror(-request.result))
        if not listening:
            self._waiting.clear()
        elif self._waiting and not self._request.busy:
            self._submit(self._waiting.popleft())

    def clear(self) -> None:
        """Forget what the host has not taken."""
        self._waiting.clear()
        self.last = None
        if self._request.busy:
            self._queue.cancel(self._request)

    def close(self) -> None:
        """Free the kernel's queue."""
        self._queue.close()
        os.close(self._wake)

    def _submit(self, event: Event) -> None:
        log.debug("EVENT %s(%s)", event.code.name, " ".join(f"{p:X}" for p in event.parameters))
        container = encode_event(event.code, event.transaction_id, event.parameters)
        self._request.view[: len(container)] = container
        self._request.aim(self._endpoint, len(container), eventfd=self._wake)
        self.last = event
        self._queue.submit([self._request])
