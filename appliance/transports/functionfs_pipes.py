# SPDX-License-Identifier: GPL-3.0-or-later
"""FunctionFS endpoints as pipes: several asynchronous requests under way in each direction."""

import logging
import os
import select
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from errno import EAGAIN, ECONNRESET, ESHUTDOWN

from appliance.transports.aio import AioQueue, AioRequest
from appliance.transports.functionfs_endpoint import BulkEndpoint
from appliance.transports.usb_pipes import Reset, Signals, Transfer, Unread

log = logging.getLogger(__name__)

#: Requests under way in each direction, and the most bytes of one.
DEPTH = 4
LARGEST = 256 * 1024
#: What every kernel can allocate at any time; at most this is sent without a look at the result.
SMALLEST = 16 * 1024
_SMALL = 512
_SMALLS = 6
#: Errors that say nothing about the request: its endpoint is gone, or we took it back.
_ENDED = frozenset({-ESHUTDOWN, -ECONNRESET, -EAGAIN})
_NAP = 0.0005


class EndpointPipes:
    """`BulkPipes` over two FunctionFS endpoints; `unread` as of `Signals`."""

    def __init__(self, bulk_in: BulkEndpoint, bulk_out: BulkEndpoint, unread: Unread) -> None:
        self._in, self._out = bulk_in, bulk_out
        self._wake, self._quiet = os.eventfd(0), os.eventfd(0)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self.signals = Signals(lambda: os.eventfd_write(self._wake, 1), unread)
        self._free_reads = [AioRequest(LARGEST, to_host=False) for _ in range(DEPTH)]
        self._free_buffers = [AioRequest(LARGEST, to_host=True) for _ in range(DEPTH)]
        self._free_smalls = [AioRequest(_SMALL, to_host=True) for _ in range(_SMALLS)]
        self._readers = frozenset(self._free_reads)
        self._smalls = frozenset(self._free_smalls)
        self._queue = AioQueue([*self._free_reads, *self._free_buffers, *self._free_smalls])
        self._gathered: list[AioRequest] = []
        self._reading: list[AioRequest] = []
        self._sending: list[AioRequest] = []
        self._received: deque[AioRequest] = deque()
        self._lent_read: AioRequest | None = None
        self._lent_buffer: AioRequest | None = None
        self._placing: AioRequest | None = None
        self._broken = self._warned = False
        self.packet_size, self.largest = 512, LARGEST
        self.posted = 0

    @property
    def can_post(self) -> bool:
        """Whether a read is free."""
        return bool(self._free_reads)

    @property
    def sending(self) -> int:
        """Requests to the host that are not reported as sent."""
        return len(self._sending)

    @property
    def suspended(self) -> bool:
        """Whether the bus sleeps."""
        return self.signals.suspended

    def attach(self) -> bool:
        """Wait for a host and learn the connection's packet size."""
        while self.signals.attach():
            try:
                self.packet_size = self._in.max_packet_size()
            except OSError as error:
                log.debug("ATTACH in vain: %s", error)
                self.signals.lose()
                continue
            self.largest = LARGEST
            self._broken = False
            return True
        return False

    def detach(self) -> None:
        """Take everything back."""
        self.withdraw()
        self.flush()
        while self.take() is not None:
            pass

    def begin(self, transaction_id: int) -> None:
        """Name the transaction under way."""
        self.signals.begin(transaction_id)

    def close(self) -> None:
        """Free the kernel's queue; the worker has ended."""
        self._queue.close()
        os.close(self._wake)
        os.close(self._quiet)

    # From the host

    def post(self, size: int) -> None:
        """Gather a read."""
        request = self._free_reads.pop()
        request.aim(self._out.fileno(), size, eventfd=self._wake)
        self._reading.append(request)
        self._gathered.append(request)
        self.posted += size

    def look(self) -> None:
        """See what has completed meanwhile."""
        self._harvest()

    def take(self) -> Transfer | None:
        """Next completed read."""
        if self._lent_read is not None:
            self._free_reads.append(self._lent_read)
            self._lent_read = None
        if not self._received:
            return None
        request = self._lent_read = self._received.popleft()
        self.posted -= request.asked
        return Transfer(request.view[: request.result], request.asked, request.uncollected)

    def withdraw(self) -> None:
        """Cancel the reads under way."""
        self._cancel(list(self._reading))

    # To the host

    def buffer(self) -> memoryview | None:
        """Lend a buffer."""
        if self._lent_buffer is None:
            if not self._free_buffers:
                self._harvest()
            if not self._free_buffers:
                return None
            self._lent_buffer = self._free_buffers.pop()
        return self._lent_buffer.view[: self.largest]

    def send(self, length: int, *, last: bool = False) -> None:
        """Send the lent buffer; a small last one is gathered with what follows it."""
        request, self._lent_buffer = self._lent_buffer, None
        if request is None:
            raise RuntimeError("no buffer is lent")
        if last and length <= SMALLEST:
            self._aim(request, length, quiet=True)
        else:
            self._send_large(request, length)

    def send_bytes(self, data: bytes) -> None:
        """Gather a short packet."""
        while not self._free_smalls:
            self.wait(_NAP * 20)  # their ends wake nobody, and the host need not say more
        request = self._free_smalls.pop()
        request.view[: len(data)] = data
        self._aim(request, len(data), quiet=True)

    def push(self) -> None:
        """Submit what was gathered."""
        if self._gathered:
            self.signals.settle()
            gathered, self._gathered = self._gathered, []
            self._queue.submit(gathered)

    def flush(self) -> int:
        """Take back what was not collected, the last first so that nothing moves up."""
        requests = list(self._sending)
        self._cancel(requests)
        if self._lent_buffer is not None:
            self._free_buffers.append(self._lent_buffer)
            self._lent_buffer = None
        with suppress(OSError):  # a controller without a FIFO, or a host that is gone
            self._in.flush()
        return sum(request.result < 0 for request in requests)

    # Waiting

    def check(self) -> None:
        """Raise the interrupt that has come, if any."""
        self.signals.check()
        if self._broken:
            self._broken = False
            raise Reset

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a completion or an interrupt."""
        self.check()
        self.push()
        if self._harvest():
            return True
        if timeout is not None and not self._poll.poll(timeout * 1000):
            return self._harvest()
        os.eventfd_read(self._wake)
        self.check()
        self._harvest()
        return True

    def _aim(self, request: AioRequest, length: int, *, quiet: bool, start: int = 0) -> None:
        """Gather a request to the host; a quiet one does not end the worker's wait."""
        eventfd = self._quiet if quiet else self._wake
        request.aim(self._in.fileno(), length, eventfd=eventfd, start=start)
        self._sending.append(request)
        self._gathered.append(request)

    def _harvest(self) -> bool:
        """Put away what is done; whether anything was."""
        done = self._queue.completed()
        for request in done:
            self._done(request)
        return bool(done)

    def _done(self, request: AioRequest) -> None:
        if request in self._readers:
            self._read_done(request)
        else:
            self._send_done(request)

    def _read_done(self, request: AioRequest) -> None:
        self._reading.remove(request)
        if request.result >= 0:
            request.uncollected = len(self._sending)
            self._received.append(request)
            return
        self.posted -= request.asked
        self._free_reads.append(request)
        if request.result not in _ENDED:
            self._shrink(request)

    def _send_done(self, request: AioRequest) -> None:
        self._sending.remove(request)
        if request is self._placing:
            return
        (self._free_smalls if request in self._smalls else self._free_buffers).append(request)
        if request.result < 0 and request.result not in _ENDED:
            log.warning("LOST %d bytes to the host: %s", request.asked, request.reason)
            self._broken = True

    def _send_large(self, request: AioRequest, length: int) -> None:
        """Send a buffer; in pieces, one after the other, where the kernel refuses it whole.

        A refusal is known at once, before anything is submitted that must come after it.
        """
        self._placing = request
        start = 0
        try:
            while start < length:
                size = min(self.largest, length - start)
                self._aim(request, size, quiet=False, start=start)
                self.push()
                self._harvest()
                if request.busy and size == length:
                    return
                start += self._sent(request)
        finally:
            self._placing = None
            if request not in self._sending:
                self._free_buffers.append(request)

    def _sent(self, request: AioRequest) -> int:
        """Wait for one piece; the bytes that went."""
        while request.busy:
            if self._received:
                raise Reset  # a new client speaks; see Conversation
            self.wait()
        if request.result >= 0:
            return request.result
        if request.result in _ENDED:
            time.sleep(_NAP)
        elif not self._shrink(request):
            raise Reset
        self.check()
        return 0

    def _shrink(self, request: AioRequest) -> bool:
        """Use smaller requests from now on; False where they are as small as can be."""
        if not self._warned:
            log.warning("SHRINK a request of %d was refused: %s", request.asked, request.reason)
            self._warned = True
        if self.largest <= SMALLEST:
            time.sleep(_NAP * 100)
            return False
        self.largest //= 2
        return True

    def _cancel(self, requests: Sequence[AioRequest]) -> None:
        """Take requests back and wait until the kernel has let go of their buffers."""
        for request in reversed(requests):
            if request in self._gathered:
                self._gathered.remove(request)
                request.result = -ECONNRESET
                self._done(request)
            else:
                self._queue.cancel(request)
        while any(request.busy for request in requests):
            if not self._harvest():
                time.sleep(_NAP)
