# SPDX-License-Identifier: GPL-3.0-or-later
"""What an initiator has not been told yet: events, or in short that there were too many of them.

An initiator believes what it was told of an object until it is told otherwise, so no event may be
lost without a word. Where more wait than is kept, what remains is that it is to list all anew.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from appliance.mtp.audience import in_short
from appliance.mtp.responder import Connection
from appliance.mtp.transaction import Event

log = logging.getLogger(__name__)

#: Events that wait for an initiator that is slow, asleep, or does not listen. An event is one
#: object for all initiators: this many take 5 MB.
MOST = 32768


class EventQueue:
    """Events for one initiator; for any thread. `ring` is called after each that was put in."""

    def __init__(self, connection: Connection, ring: Callable[[], None]) -> None:
        self._connection = connection
        self._ring = ring
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._shortens = False
        #: What was taken last.
        self.last: Event | None = None

    @property
    def waiting(self) -> bool:
        """Whether there are any."""
        return bool(self._waiting)

    def put(self, event: Event) -> None:
        """Add an event."""
        with self._lock:
            self._waiting.append(event)
            too_many = len(self._waiting) > MOST and not self._shortens
            self._shortens |= too_many
        if too_many:
            self._shorten()
        self._ring()

    def _shorten(self) -> None:
        peer = self._connection.peer
        log.warning(
            "LOST %d events for %s, which does not take them: it is told to list", MOST, peer
        )
        anew = self._connection.listing_anew()  # without the lock, for this may wait for a disk
        with self._lock:
            self._waiting = deque(in_short((*anew, *self._waiting)))
            self._shortens = False

    def take(self) -> Event | None:
        """Take the oldest event, None where there is none."""
        with self._lock:
            if not self._waiting:
                return None
            event = self.last = self._waiting.popleft()
        if log.isEnabledFor(logging.DEBUG):
            log.debug("EVENT %s(%s)", event.code.name, " ".join(f"{p:X}" for p in event.parameters))
        return event

    def clear(self) -> None:
        """Forget all, what was taken too."""
        with self._lock:
            self._waiting.clear()
            self.last = None


class AudibleQueue(EventQueue):
    """An event queue with a descriptor that can be read when something was put in.

    Raises OSError where there is no descriptor left.
    """

    def __init__(self, connection: Connection) -> None:
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        super().__init__(connection, self._sound)

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._bell

    def quiet(self) -> None:
        """Let the descriptor wait for the next `put`."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)

    def close(self) -> None:
        """Let go of the descriptor; events may come nevertheless."""
        with self._lock:
            bell, self._bell = self._bell, -1
            os.close(bell)

    def _sound(self) -> None:
        with self._lock:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)
