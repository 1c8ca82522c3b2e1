# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling listeners of changes: in order, and never while the store's lock is held."""

import logging
import threading
from collections import deque
from collections.abc import Callable

from appliance.mtp.ports import Change, ChangeKind, ChangeListener

log = logging.getLogger(__name__)


class Announcements:
    """Changes that are to be told; for any thread.

    `tell` only notes a change, and calls `on_waiting`; `deliver` hands on what was noted.
    """

    def __init__(self) -> None:
        self._listeners: tuple[ChangeListener, ...] = ()
        self._waiting: deque[Change] = deque()
        self._delivering = threading.Lock()
        self.on_waiting: Callable[[], None] = nothing

    def listen(self, listener: ChangeListener) -> None:
        """Tell `listener` from now on."""
        self._listeners = (*self._listeners, listener)

    def tell(self, kind: ChangeKind, number: int, now: int = 0) -> None:
        """Note a change; `now` is the handle that an object has from now on, if it is another."""
        self._waiting.append(Change(kind, number, now))
        self.on_waiting()

    def deliver(self) -> None:
        """Hand on what was noted, unless another thread is at it; not with the lock held."""
        while self._waiting and self._delivering.acquire(blocking=False):
            try:
                self._deliver()
            finally:
                self._delivering.release()

    def _deliver(self) -> None:
        while self._waiting:
            change = self._waiting.popleft()
            log.debug("CHANGED %s %X", change.kind.name, change.number)
            for listener in self._listeners:
                try:
                    listener(change)
                except Exception:
                    log.exception("DEFECT  a listener failed")


def nothing() -> None:
    """Be what is called where nobody cares."""
