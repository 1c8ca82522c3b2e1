# SPDX-License-Identifier: GPL-3.0-or-later
"""The bulk endpoints of a redirected device: a guest's transfers, and our reads and sends.

A guest's transfer is one request of its host controller, of any length. What the conversation reads
and sends has other borders; only short packets end both. Transfers to the device are answered when
they come, as long as not too much waits to be read; what the guest asks for is answered as soon as
all of it is there, or a short packet is.
"""

from collections import deque
from collections.abc import Iterator

from appliance.transports.usb_descriptors import BULK_IN
from appliance.transports.usb_pipes import Transfer
from appliance.transports.usbredir_codec import Codec
from appliance.transports.usbredir_packets import Bulk, PacketError, Status
from appliance.values import dataclass

Part = bytes | memoryview

#: Bytes from the guest that are answered before they are read.
AHEAD = 1 << 20
#: Bytes from the guest that may wait; then nothing more is taken from it.
MOST = 64 << 20
#: Bytes of data up to which one piece costs less than several.
_SMALL = 4096
#: Bytes of data at most that a guest has sent to it unasked, in one piece.
_MOST_AT_ONCE = 256 * 1024
#: Transfers that a guest may have under way in a direction.
TRANSFERS = 4096


@dataclass(slots=True, eq=False)
class _Arrival:
    """A transfer from the guest, or what is left of it to be read."""

    number: int
    bulk: Bulk
    data: memoryview
    uncollected: int


class BulkOut:
    """What the guest sends, cut into the reads of the conversation."""

    def __init__(self, codec: Codec, packet_size: int) -> None:
        self._codec = codec
        self._packet_size = packet_size
        self._arrivals: deque[_Arrival] = deque()
        #: Transfers that the guest waits for.
        self.unanswered: deque[_Arrival] = deque()
        self._reads: deque[int] = deque()
        self.waiting = 0
        self.posted = 0

    @property
    def reads(self) -> int:
        """Reads that are posted."""
        return len(self._reads)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be taken from the guest."""
        return self.waiting > MOST

    @property
    def is_ready(self) -> bool:
        """Whether a read is complete."""
        return bool(self._reads and self._arrivals)

    def post(self, size: int) -> None:
        """Read up to `size` bytes."""
        self._reads.append(size)
        self.posted += size

    def withdraw(self) -> None:
        """Forget the reads."""
        self._reads.clear()
        self.posted = 0

    def arrive(self, number: int, bulk: Bulk, data: memoryview, uncollected: int) -> None:
        """Take a transfer; `uncollected` is what was under way to the guest before it came."""
        if len(self._arrivals) >= TRANSFERS:
            raise PacketError(f"{TRANSFERS} transfers under way")
        arrival = _Arrival(number, bulk, data, uncollected)
        self._arrivals.append(arrival)
        self.unanswered.append(arrival)
        self.waiting += len(data)

    def answers(self) -> Iterator[bytes]:
        """Answer what the guest need not wait with any longer."""
        while self.unanswered and self.waiting <= AHEAD:
            arrival = self.unanswered.popleft()
            yield self._answer(arrival, Status.SUCCESS)

    def take(self) -> Transfer | None:
        """Complete the next read with what has come, if anything has."""
        if not self.is_ready:
            return None
        asked, arrival = self._reads[0], self._arrivals[0]
        piece, rest = arrival.data[:asked], arrival.data[asked:]
        arrival.data = rest
        if not rest:
            self._arrivals.popleft()
        count = len(piece)
        self.waiting -= count
        if count and count % self._packet_size == 0:
            asked = count  # no short packet: as if the read had been for just this
        self._shorten(asked)
        return Transfer(piece, asked, arrival.uncollected)

    def _shorten(self, count: int) -> None:
        self.posted -= count
        self._reads[0] -= count
        if not self._reads[0]:
            self._reads.popleft()

    def cancel(self, number: int) -> bytes | None:
        """Take back a transfer that is not answered; its answer, None where there is none such."""
        for arrival in self.unanswered:
            if arrival.number == number:
                self.unanswered.remove(arrival)
                if arrival in self._arrivals and len(arrival.data) == arrival.bulk.length:
                    self._arrivals.remove(arrival)
                    self.waiting -= len(arrival.data)
                return self._answer(arrival, Status.CANCELLED)
        return None

    def clear(self) -> Iterator[bytes]:
        """Forget all that has come, for the connection is over; gives the answers that are owed."""
        owed = list(self.unanswered)
        self._arrivals.clear()
        self.unanswered.clear()
        self.withdraw()
        self.waiting = 0
        return (self._answer(each, Status.IO_ERROR) for each in owed)

    def _answer(self, arrival: _Arrival, status: Status) -> bytes:
        length = arrival.bulk.length if status is Status.SUCCESS else 0
        return self._codec.encode_bulk(arrival.number, arrival.bulk, status, length, 0)


class BulkIn:
    """What goes to the guest, as it asks for it."""

    def __init__(self, codec: Codec, packet_size: int) -> None:
        self._codec = codec
        self._packet_size = packet_size
        self._segments: deque[tuple[memoryview, bool]] = deque()
        self._requests: deque[tuple[int, Bulk]] = deque()
        self._stream: tuple[int, int] | None = None
        self._ends = 0
        self.queued = 0
        #: Whether the guest has taken back the last thing that it asked for.
        self.is_forsaken = False

    @property
    def segments(self) -> int:
        """Pieces that were sent and have not gone whole."""
        return len(self._segments)

    @property
    def can_answer(self) -> bool:
        """Whether there may be both something to send and somebody who wants it."""
        return bool(self._requests or self._stream is not None)

    @property
    def wanted(self) -> int:
        """Bytes that the guest waits for."""
        return self._requests[0][1].length if self._requests else 0

    def send(self, data: memoryview) -> None:
        """Queue a piece; one that is not a multiple of the packet size ends the guest's read."""
        is_end = len(data) % self._packet_size != 0 or not data
        self._segments.append((data, is_end))
        self._ends += is_end
        self.queued += len(data)

    def ask(self, number: int, bulk: Bulk) -> None:
        """Note that the guest asks for data."""
        if len(self._requests) >= TRANSFERS:
            raise PacketError(f"{TRANSFERS} transfers under way")
        self._requests.append((number, bulk))
        self.is_forsaken = False

    def can_stream(self, size: int) -> bool:
        """Whether data can go in pieces of `size`: whole packets, and no more than gets ready."""
        return 0 < size <= _MOST_AT_ONCE and size % self._packet_size == 0

    def stream(self, size: int, stream: int) -> None:
        """Send from now on without being asked, so much at once (buffered bulk receiving)."""
        self._stream = size, stream

    def stop_stream(self) -> None:
        """Send only what is asked for."""
        self._stream = None

    def answers(self) -> Iterator[Part]:
        """Give to the guest what it can be given now: heads and their data."""
        while self._requests and self._can_give(self._requests[0][1].length):
            number, bulk = self._requests.popleft()
            parts = self._collect(bulk.length)
            size = sum(map(len, parts))
            head = self._codec.encode_bulk(number, bulk, Status.SUCCESS, size, size)
            if size > _SMALL:
                yield head
                yield from parts
            else:
                yield b"".join((head, *parts))
        while self._stream is not None and self._can_give(self._stream[0]):
            limit, stream = self._stream
            parts = self._collect(limit)
            size = sum(map(len, parts))
            yield self._codec.encode_buffered_bulk(0, BULK_IN, stream, size)
            yield from parts

    def _can_give(self, length: int) -> bool:
        return self._ends > 0 or self.queued >= length

    def _collect(self, length: int) -> list[memoryview]:
        """Take up to `length` bytes, to the end of a short packet at most."""
        parts: list[memoryview] = []
        while self._segments:
            data, is_end = self._segments[0]
            piece, rest = data[:length], data[length:]
            if not length and data:
                break
            parts.append(piece)
            length -= len(piece)
            self.queued -= len(piece)
            if rest:
                self._segments[0] = rest, is_end
                break
            self._segments.popleft()
            if is_end:
                self._ends -= 1
                break
            if not length:
                break
        return parts

    def cancel(self, number: int) -> bytes | None:
        """Take back a request; its answer, None where there is none such."""
        for request in self._requests:
            if request[0] == number:
                self._requests.remove(request)
                self.is_forsaken = True
                return self._codec.encode_bulk(*request, Status.CANCELLED, 0, 0)
        return None

    def flush(self) -> int:
        """Take back what the guest has not collected; how many pieces that were."""
        count = len(self._segments)
        self._segments.clear()
        self._ends = self.queued = 0
        return count

    def clear(self) -> Iterator[bytes]:
        """Forget all, for the connection is over; gives the answers that are owed."""
        self.flush()
        self.stop_stream()
        owed, self._requests = self._requests, deque()
        return (self._codec.encode_bulk(*each, Status.IO_ERROR, 0, 0) for each in owed)
