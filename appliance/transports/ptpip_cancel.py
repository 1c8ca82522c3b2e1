# SPDX-License-Identifier: GPL-3.0-or-later
"""A word between the two connections of an initiator: which transaction it has cancelled."""

import os
import threading
from contextlib import suppress


class CancelledError(Exception):
    """The initiator has cancelled the transaction under way.

    `data_over`: no data of it comes any more, for its end has come, or the cancel in its place.
    """

    def __init__(self, *, data_over: bool = False) -> None:
        super().__init__()
        self.data_over = data_over


class Cancellation:
    """Which transaction is to be cancelled. `ask` is for any thread.

    Where both connections say so, the second word may come when the transaction is over, and must
    not hit a later one with the same id. On the event connection it may come before the request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: int | None = None
        self._current: int | None = None
        self._over: int | None = None
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Give a descriptor that can be read while the transaction under way is cancelled."""
        return self._bell

    @property
    def asked(self) -> bool:
        """Whether the transaction under way is cancelled."""
        return self._current is not None and self._asked == self._current

    def ask(self, transaction_id: int) -> None:
        """Cancel a transaction."""
        with self._lock:
            if transaction_id != self._over:
                self._asked = transaction_id
                self._ring()

    def begin(self, transaction_id: int) -> None:
        """Note that a transaction begins; what was asked about others is void."""
        with self._lock:
            self._current, self._over = transaction_id, None
            if self._asked != transaction_id:
                self._asked = None
            self._ring()

    def end(self) -> None:
        """Note that it is over."""
        with self._lock:
            self._over, self._current = self._current, None
            if self._asked == self._over:
                self._asked = None
            with suppress(BlockingIOError):  # if nobody had asked
                os.eventfd_read(self._bell)

    def check(self, *, data_over: bool = False) -> None:
        """Raise CancelledError if the transaction under way is cancelled."""
        if self.asked:
            raise CancelledError(data_over=data_over)

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self._bell)

    def _ring(self) -> None:
        if self.asked:
            os.eventfd_write(self._bell, 1)
