# SPDX-License-Identifier: GPL-3.0-or-later
"""A host and its two bulk pipes, packet for packet, in one thread.

The host's side is a script: what it does next is done when the device has nothing left to do but
wait. So every test says in which order things happen, and nothing depends on time.
"""

from collections import deque
from collections.abc import Callable, Iterable

from appliance.transports.usb_pipes import Disconnected, Interrupt, Transfer

SILENCE = "silence"  # nothing happens for as long as anybody cares to wait

Action = bytes | str | Interrupt | Callable[["FakePipes"], None]


class FakePipes:
    """`BulkPipes` of one connection, and the host at their other end.

    A script's bytes are a transfer to the device, as one host request: it ends in a short packet,
    or where its size is a multiple of the packet size in none (a zero-length packet is b""). An
    interrupt is raised out of the device's wait. A callable does anything else. The host collects
    what the device sends at once, unless `deaf`.
    """

    def __init__(
        self,
        script: Iterable[Action],
        *,
        packet_size: int = 512,
        largest: int = 4096,
        depth: int = 4,
    ) -> None:
        self.packet_size = packet_size
        self.largest = largest
        self.deaf = False
        self.suspended = False
        self.transactions: list[int] = []
        self.sent: list[bytes] = []
        self.log: list[str] = []
        self._script = deque(script)
        self._depth = depth
        self._wire: deque[bytes] = deque()
        self._reads: deque[tuple[int, bytearray]] = deque()
        self._done: deque[Transfer] = deque()
        self._lent = False
        self._queue: list[bytes] = []
        self._gathered: list[bytes] = []
        self._buffer: bytearray | None = None
        self.interrupt: Interrupt | None = None
        self._attached = False

    # The host's side

    def collected(self) -> list[bytes]:
        """What the host read: one item for each transfer that a short packet ended."""
        transfers, part = [], b""
        for data in self.sent:
            part += data
            if len(data) % self.packet_size or not data:
                transfers.append(part)
                part = b""
        return [*transfers, part] if part else transfers

    def collect(self, requests: int | None = None) -> None:
        """Let the host read some of what waits for it, or all."""
        count = len(self._queue) if requests is None else requests
        self.sent += self._queue[:count]
        del self._queue[:count]

    def deliver(self, data: bytes) -> None:
        """Let the host write now, before the device hears of it."""
        self._wire.extend(self._packets(data))
        self._move()

    def _packets(self, data: bytes) -> list[bytes]:
        size = self.packet_size
        return [data[at : at + size] for at in range(0, len(data), size)] or [b""]

    def _act(self) -> bool:
        """Do what the script says next; False for silence."""
        action = self._script.popleft() if self._script else Disconnected()
        if action == SILENCE:
            return False
        if isinstance(action, bytes):
            self._wire.extend(self._packets(action))
        elif isinstance(action, Interrupt):
            self.interrupt = action
        elif callable(action):
            action(self)
        return True

    def _move(self) -> None:
        """Carry packets into posted reads; a read is complete when full or ended short."""
        while self._wire and self._reads:
            asked, filled = self._reads[0]
            packet = self._wire.popleft()
            assert len(filled) + len(packet) <= asked, "babble: the read is too small"
            filled += packet
            if len(packet) < self.packet_size or len(filled) == asked:
                self._reads.popleft()
                self._done.append(Transfer(memoryview(bytes(filled)), asked, len(self._queue)))
        if not self.deaf:
            self.collect()

    # The device's side

    @property
    def posted(self) -> int:
        return sum(asked for asked, _ in self._reads) + sum(each.asked for each in self._done)

    @property
    def can_post(self) -> bool:
        return len(self._reads) + len(self._done) + self._lent < self._depth

    @property
    def sending(self) -> int:
        return len(self._queue) + len(self._gathered)

    def attach(self) -> bool:
        first, self._attached = not self._attached, True
        return first

    def detach(self) -> None:
        self.withdraw()
        self.flush()
        self._done.clear()

    def begin(self, transaction_id: int) -> None:
        self.transactions.append(transaction_id)

    def post(self, size: int) -> None:
        assert size > 0
        assert size % self.packet_size == 0
        assert self.can_post
        self.log.append(f"post {size}")
        self._reads.append((size, bytearray()))

    def look(self) -> None:
        self._move()

    def take(self) -> Transfer | None:
        self._lent = bool(self._done)
        return self._done.popleft() if self._done else None

    def withdraw(self) -> None:
        self._reads.clear()

    def buffer(self) -> memoryview | None:
        if self._buffer is None:
            if len(self._queue) >= self._depth:
                return None
            self._buffer = bytearray(self.largest)
        return memoryview(self._buffer)

    def send(self, length: int, *, last: bool = False) -> None:
        assert self._buffer is not None
        self._gathered.append(bytes(self._buffer[:length]))
        self._buffer = None
        if not last:
            self.push()

    def send_bytes(self, data: bytes) -> None:
        assert len(data) < self.packet_size
        self._gathered.append(data)

    def push(self) -> None:
        self._queue += self._gathered
        self._gathered.clear()
        self._move()

    def flush(self) -> int:
        count = self.sending
        if count:
            self.log.append(f"flush {count}")
        self._queue.clear()
        self._gathered.clear()
        self._buffer = None
        return count

    def check(self) -> None:
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            raise interrupt

    def wait(self, timeout: float | None = None) -> bool:
        self.check()
        self.push()
        if self._done:
            return True
        if timeout is not None and timeout < 0.01:  # a grace: the host does nothing
            return False
        acted = self._act()
        assert acted or timeout is not None, "the device waits for ever, and the host is silent"
        self._move()
        self.check()
        return acted
