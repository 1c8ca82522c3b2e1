# SPDX-License-Identifier: GPL-3.0-or-later
"""A cable without a kernel: `BulkPipes` that cost next to nothing, so that the rest can be counted.

The host is a script of transfers. What goes to it is dropped, but for the codes of responses.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from appliance.transports.usb_pipes import Disconnected, Transfer

LARGEST = 256 * 1024


class ScriptedPipes:
    """`BulkPipes` of one connection. A transfer longer than a read is cut into several reads."""

    packet_size, largest = 512, LARGEST
    can_post, suspended, sending = True, False, 0

    def __init__(self, script: Iterable[memoryview]) -> None:
        self._script: Iterator[memoryview] = iter(script)
        self._current: memoryview | None = None
        self._reads: deque[int] = deque()
        self._lent = memoryview(bytearray(LARGEST))
        self._attached = False
        self.posted = 0
        self.codes: list[int] = []

    def attach(self) -> bool:
        first, self._attached = not self._attached, True
        return first

    def detach(self) -> None:
        self.withdraw()

    def begin(self, transaction_id: int) -> None:
        pass

    def post(self, size: int) -> None:
        self._reads.append(size)
        self.posted += size
        self.can_post = len(self._reads) < 4

    def look(self) -> None:
        pass

    def take(self) -> Transfer | None:
        whole = self._current
        if whole is None or not self._reads:
            return None
        asked = self._reads.popleft()
        self.posted -= asked
        self.can_post = True
        self._current = whole[asked:] if len(whole) >= asked else None
        return Transfer(whole[:asked], asked)

    def withdraw(self) -> None:
        self._reads.clear()
        self.posted = 0
        self.can_post = True

    def buffer(self) -> memoryview | None:
        return self._lent

    def send(self, length: int, *, last: bool = False) -> None:
        pass

    def send_bytes(self, data: bytes) -> None:
        if len(data) >= 12 and data[4] == 3:
            self.codes.append(data[6] | data[7] << 8)

    def push(self) -> None:
        pass

    def flush(self) -> int:
        return 0

    def check(self) -> None:
        pass

    def wait(self, timeout: float | None = None) -> bool:
        if self._current is None:
            self._current = next(self._script, None)
            if self._current is None:
                raise Disconnected
        return True
