# SPDX-License-Identifier: GPL-3.0-or-later
"""What the USB conversation needs of its endpoints, and what breaks into it from endpoint 0."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from appliance.values import dataclass

log = logging.getLogger(__name__)

#: Seconds by which a cancel may overtake the command that it is about: they come by two endpoints.
OVERTAKING = 1.0
#: Whether there are events that the thread of endpoint 0 has not read yet.
Unread = Callable[[], bool]

_NAP = 0.0005


class Interrupt(Exception):  # noqa: N818 - no error: the host's wish
    """Something that ends the transaction under way."""


class Cancelled(Interrupt):
    """The host gave up one transaction (Still Image 1.0 section 5.2.1)."""

    def __init__(self, transaction_id: int) -> None:
        super().__init__(f"transaction {transaction_id} cancelled")
        self.transaction_id = transaction_id


class Reset(Interrupt):
    """The host asked for the state after plugging in (Still Image 1.0 section 5.2.3)."""


class Disconnected(Interrupt):
    """Unplugged, or configured anew; or the pipes are closed."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What came from the host in one read of `asked` bytes. The bytes are lent until the next.

    `uncollected` is how many requests to the host were not reported as sent before it came.
    """

    data: memoryview
    asked: int
    uncollected: int = 0


class BulkPipes(Protocol):
    """A bulk endpoint in each direction; for one worker thread.

    Reads complete in the order in which they were posted, requests to the host likewise. `post`
    and `send` may gather; `push` and `wait` hand over what was gathered.
    """

    @property
    def packet_size(self) -> int:
        """Bytes of a full packet at the speed of this connection."""
        ...

    @property
    def largest(self) -> int:
        """Bytes that one read or one buffer takes at present; a multiple of the packet size."""
        ...

    @property
    def posted(self) -> int:
        """Bytes that were asked for by the reads that are not taken yet, done or not."""
        ...

    @property
    def can_post(self) -> bool:
        """Whether there is room for one more read."""
        ...

    @property
    def sending(self) -> int:
        """Requests to the host that are not reported as sent."""
        ...

    @property
    def suspended(self) -> bool:
        """Whether the bus sleeps."""
        ...

    def attach(self) -> bool:
        """Wait until a host has configured the device; False where none ever will."""
        ...

    def detach(self) -> None:
        """Take back everything that is under way."""
        ...

    def begin(self, transaction_id: int) -> None:
        """Name the transaction that a `Cancelled` may be about; raises it where it came first."""
        ...

    def post(self, size: int) -> None:
        """Read up to `size` bytes, a multiple of the packet size."""
        ...

    def look(self) -> None:
        """See what has completed meanwhile; never waits."""
        ...

    def take(self) -> Transfer | None:
        """Next completed read that was seen, None where there is none yet."""
        ...

    def withdraw(self) -> None:
        """Cancel the reads under way; those that had completed can still be taken."""
        ...

    def buffer(self) -> memoryview | None:
        """Lend a buffer of `largest` bytes, always the same one until it is sent; None: wait."""
        ...

    def send(self, length: int, *, last: bool = False) -> None:
        """Send the front of the lent buffer; `last`: nobody will wait for this one."""
        ...

    def send_bytes(self, data: bytes) -> None:
        """Send less than a packet, or a zero-length packet; gathered until `push`."""
        ...

    def push(self) -> None:
        """Hand over what was gathered."""
        ...

    def flush(self) -> int:
        """Take back what the host has not collected; how many requests that were."""
        ...

    def check(self) -> None:
        """Raise the interrupt that has come, if any."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Push, then wait until something happens; False after `timeout` seconds without it."""
        ...


class Signals:
    """The way from the thread of endpoint 0 to the worker; `wake` ends the worker's wait."""

    def __init__(self, wake: Callable[[], None], unread: Unread) -> None:
        self._wake = wake
        self._unread = unread
        self._changed = threading.Condition()
        self._posted: deque[Interrupt] = deque()
        self._handling = False
        self._enabled = False
        self._closed = False
        self._generation = 0
        self._attached = -1
        self._transaction_id: int | None = None
        self._cancelled_early: tuple[int, float] | None = None
        self.suspended = False

    @property
    def busy(self) -> bool:
        """Whether an interrupt has come that the worker is not done with."""
        return bool(self._posted) or self._handling

    @property
    def is_over(self) -> bool:
        """Whether the connection that the worker serves is over, perhaps for another one."""
        return self._attached != self._generation

    @property
    def enabled(self) -> bool:
        """Whether a host has configured the device."""
        return self._enabled

    def enable(self) -> None:
        """Begin a connection; one that was there before is over."""
        self._renew(enabled=True)

    def disable(self) -> None:
        """End the connection."""
        self._renew(enabled=False)

    def close(self) -> None:
        """End the worker."""
        self._closed = True
        self._renew(enabled=False)

    def post(self, interrupt: Interrupt) -> None:
        """Break into what the worker does."""
        self._posted.append(interrupt)
        self._wake()

    def attach(self) -> bool:
        """Wait for a connection; False once closed."""
        with self._changed:
            self._handling = False
            self._changed.wait_for(lambda: self._enabled or self._closed)
            self._attached = self._generation
            self._posted.clear()
            return not self._closed

    def begin(self, transaction_id: int) -> None:
        """Name the transaction under way; raises Cancelled where that came before the command."""
        self._transaction_id = transaction_id
        early, self._cancelled_early = self._cancelled_early, None
        if early is None or early[0] != transaction_id:
            return
        if time.monotonic() - early[1] < OVERTAKING:
            raise Cancelled(transaction_id)

    def lose(self) -> None:
        """Note that the connection was over before the worker could use it."""
        with self._changed:
            if self._attached == self._generation:
                self._enabled = False

    def check(self) -> None:
        """Raise what has come for the worker, who by asking is done with the last."""
        self._handling = False
        if self.is_over:
            raise Disconnected
        while self._posted:
            self._handling = True
            interrupt = self._posted.popleft()
            if not self._is_stale(interrupt):
                raise interrupt
            self._handling = False

    def settle(self) -> None:
        """Wait until all that has happened is known here, and raise what has come.

        Before it the connection may be another one already, whose host would take what is meant
        for the last one for its own.
        """
        while self._unread():
            self.check()
            time.sleep(_NAP)
        self.check()

    def _is_stale(self, interrupt: Interrupt) -> bool:
        """Whether it is about a transaction that is over since the next one has begun."""
        if not isinstance(interrupt, Cancelled):
            return False
        if interrupt.transaction_id == self._transaction_id:
            return False
        self._cancelled_early = interrupt.transaction_id, time.monotonic()
        log.info("CANCEL of transaction %d, which is not under way", interrupt.transaction_id)
        return True

    def _renew(self, *, enabled: bool) -> None:
        with self._changed:
            self._generation += 1
            self._enabled = enabled
            self.suspended = False
            self._posted.clear()
            self._changed.notify_all()
        self._wake()
