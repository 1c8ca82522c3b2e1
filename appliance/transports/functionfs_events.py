# SPDX-License-Identifier: GPL-3.0-or-later
"""The interrupt endpoint: events for the host, of which it takes as many as it likes."""

import logging
import os
from errno import EAGAIN, ECONNRESET, ESHUTDOWN

from appliance.mtp.containers import encode_event
from appliance.mtp.responder import Connection
from appliance.mtp.transaction import Event
from appliance.transports.aio import AioQueue, AioRequest
from appliance.transports.event_queue import AudibleQueue
from appliance.transports.usb_descriptors import EVENT_SIZE

log = logging.getLogger(__name__)

_ENDED = frozenset({-EAGAIN, -ECONNRESET, -ESHUTDOWN})


class EventPipe:
    """A queue of events with at most one request under way; never blocks.

    `send` is for any thread, the rest for the one that polls `fileno` and then calls `pump`.
    """

    def __init__(self, endpoint: int, connection: Connection) -> None:
        self._endpoint = endpoint
        self._events = AudibleQueue(connection)
        self._request = AioRequest(EVENT_SIZE, to_host=True)
        self._queue = AioQueue([self._request])
        self.send = self._events.put

    def fileno(self) -> int:
        """Give what becomes readable when `pump` has something to do."""
        return self._events.fileno()

    @property
    def last(self) -> Event | None:
        """What the host was sent last."""
        return self._events.last

    def pump(self, *, listening: bool) -> None:
        """Send the next event; where no session is open, forget them all."""
        self._events.quiet()
        for request in self._queue.completed():
            if request.result < 0 and request.result not in _ENDED:
                log.info("LOST event: %s", os.strerror(-request.result))
        if not listening:
            self._events.clear()
        elif not self._request.busy and (event := self._events.take()) is not None:
            self._submit(event)

    def clear(self) -> None:
        """Forget what the host has not taken."""
        self._events.clear()
        if self._request.busy:
            self._queue.cancel(self._request)

    def close(self) -> None:
        """Free the kernel's queue."""
        self._queue.close()
        self._events.close()

    def _submit(self, event: Event) -> None:
        container = encode_event(event.code, event.transaction_id, event.parameters)
        self._request.view[: len(container)] = container
        self._request.aim(self._endpoint, len(container), eventfd=self._events.fileno())
        self._queue.submit([self._request])
