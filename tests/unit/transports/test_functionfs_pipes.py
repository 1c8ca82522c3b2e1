# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipes over a kernel that refuses, loses and delays requests as the test says."""

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from errno import ECONNRESET, EIO, ENOMEM, ESHUTDOWN
from types import SimpleNamespace
from typing import Any

import pytest

try:
    from appliance.transports import functionfs_pipes
    from appliance.transports.functionfs_pipes import LARGEST, SMALLEST, EndpointPipes
except (ImportError, OSError):
    pytest.skip("python-libaio or its library is missing", allow_module_level=True)

from appliance.transports.usb_pipes import Cancelled, Disconnected, Reset

BULK_IN, BULK_OUT = 10, 11
PATIENCE = 20.0


class Kernel:
    """Stands in for `AioQueue`; `verdict` decides on each request at once, None lets it wait."""

    def __init__(self, requests: Sequence[Any]) -> None:
        self.verdict: Callable[[Any], int | None] = lambda _: None
        self.submitted: list[tuple[int, int]] = []
        self.busy: list[Any] = []
        self._done: list[tuple[Any, int]] = []

    def submit(self, requests: Sequence[Any]) -> None:
        for request in requests:
            fd = request._block.aio_fildes
            self.submitted.append((fd, request.asked))
            request.busy = True
            result = self.verdict(request)
            if result is None:
                self.busy.append(request)
            else:
                self.finish(request, result)

    def finish(self, request: Any, result: int) -> None:
        if request in self.busy:
            self.busy.remove(request)
        self._done.append((request, result))

    def completed(self) -> list[Any]:
        done, self._done = self._done, []
        for request, result in done:
            request.result, request.busy = result, False
        return [request for request, _ in done]

    def cancel(self, request: Any) -> None:
        if request in self.busy:
            self.finish(request, -ECONNRESET)

    def close(self) -> None: ...


class Endpoint:
    """A bulk endpoint file."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.flushed = 0

    def fileno(self) -> int:
        return self.fd

    def max_packet_size(self) -> int:
        return 512

    def flush(self) -> None:
        self.flushed += 1


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    monkeypatch.setattr(functionfs_pipes, "AioQueue", Kernel)
    monkeypatch.setattr(functionfs_pipes, "_NAP", 0.0)
    bulk_in = Endpoint(BULK_IN)
    news: deque[Callable[[], None]] = deque()  # what endpoint 0's thread does, once it has read

    def unread() -> bool:
        if news:
            news.popleft()()
            return True
        return False

    pipes = EndpointPipes(bulk_in, Endpoint(BULK_OUT), unread)  # type: ignore[arg-type]
    pipes.signals.enable()
    assert pipes.attach()
    yield SimpleNamespace(pipes=pipes, kernel=pipes._queue, bulk_in=bulk_in, news=news)
    pipes.detach()
    pipes.close()


def fill(pipes: EndpointPipes, length: int, *, last: bool = False) -> None:
    buffer = pipes.buffer()
    assert buffer is not None
    buffer[:length] = bytes(length)
    pipes.send(length, last=last)


def refuse_above(limit: int, error: int) -> Callable[[Any], int | None]:
    return lambda request: -error if request.asked > limit else request.asked


def test_small_answers_are_one_submission(rig: SimpleNamespace) -> None:
    rig.pipes.post(512)
    fill(rig.pipes, 100, last=True)
    rig.pipes.send_bytes(b"response")
    assert rig.kernel.submitted == []
    rig.pipes.push()
    assert rig.kernel.submitted == [(BULK_OUT, 512), (BULK_IN, 100), (BULK_IN, 8)]


def test_a_host_that_asks_much_and_reads_late_gets_it_all(
    rig: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [f"response {each}".encode() for each in range(20)]
    looks, completed = itertools.count(1), rig.kernel.completed

    def at_the_third_look() -> list[Any]:
        if next(looks) % 3 == 0:  # it has read, and asks for nothing more: no read of ours ends
            for request in list(rig.kernel.busy):
                rig.kernel.finish(request, request.asked)
        return list(completed())

    def answer() -> None:
        for each in asked:
            rig.pipes.send_bytes(each)
            rig.pipes.push()

    monkeypatch.setattr(rig.kernel, "completed", at_the_third_look)
    worker = threading.Thread(target=answer, daemon=True)
    worker.start()
    worker.join(PATIENCE)
    assert not worker.is_alive()
    assert [size for _, size in rig.kernel.submitted] == list(map(len, asked))


def test_the_next_host_does_not_get_the_last_ones_answer(rig: SimpleNamespace) -> None:
    rig.news.append(rig.pipes.signals.enable)
    rig.pipes.post(512)
    rig.pipes.send_bytes(b"response")
    with pytest.raises(Disconnected):
        rig.pipes.push()
    rig.pipes.detach()
    assert rig.pipes.attach()
    rig.pipes.push()
    assert rig.kernel.submitted == []


def test_news_that_change_nothing_do_not_keep_an_answer(rig: SimpleNamespace) -> None:
    rig.news += [lambda: None] * 3
    rig.pipes.send_bytes(b"response")
    rig.pipes.push()
    assert rig.kernel.submitted == [(BULK_IN, 8)]
    assert not rig.news


def test_large_buffers_go_at_once_and_run_out(rig: SimpleNamespace) -> None:
    for _ in range(4):
        fill(rig.pipes, LARGEST)
    assert rig.pipes.buffer() is None
    assert rig.pipes.sending == 4
    rig.kernel.finish(rig.kernel.busy[0], LARGEST)
    assert rig.pipes.buffer() is not None


@pytest.mark.parametrize("error", [ENOMEM, EIO])
def test_a_refused_buffer_goes_in_pieces(
    rig: SimpleNamespace, error: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    rig.kernel.verdict = refuse_above(64 * 1024, error)
    fill(rig.pipes, LARGEST)
    fill(rig.pipes, rig.pipes.largest)
    sizes = [size for _, size in rig.kernel.submitted]
    assert sizes == [LARGEST, LARGEST // 2, *[64 * 1024] * 5]
    assert rig.pipes.largest == 64 * 1024
    assert len([line for line in caplog.messages if line.startswith("SHRINK")]) == 1


def test_a_refused_piece_is_repeated_not_skipped(rig: SimpleNamespace) -> None:
    rig.kernel.verdict = refuse_above(SMALLEST, ENOMEM)
    fill(rig.pipes, 100_000)
    taken = [size for _, size in rig.kernel.submitted if size <= SMALLEST]
    assert sum(taken) == 100_000


def test_what_nothing_can_send_breaks_the_transaction(rig: SimpleNamespace) -> None:
    rig.kernel.verdict = lambda _: -EIO
    with pytest.raises(Reset):
        fill(rig.pipes, LARGEST)
    rig.kernel.verdict = lambda request: request.asked
    rig.pipes.flush()
    fill(rig.pipes, SMALLEST)


def test_data_lost_after_it_was_accepted_breaks_the_transaction(rig: SimpleNamespace) -> None:
    fill(rig.pipes, LARGEST)
    rig.kernel.finish(rig.kernel.busy[0], -EIO)
    with pytest.raises(Reset):
        rig.pipes.wait(0)
        rig.pipes.check()
    rig.pipes.check()


def test_a_refused_read_is_asked_for_smaller(rig: SimpleNamespace) -> None:
    rig.kernel.verdict = refuse_above(64 * 1024, ENOMEM)
    rig.pipes.post(LARGEST)
    rig.pipes.wait(0)
    assert (rig.pipes.posted, rig.pipes.largest) == (0, LARGEST // 2)


def test_reads_come_in_order_and_are_lent_one_by_one(rig: SimpleNamespace) -> None:
    for size in (512, 1024, 2048):
        rig.pipes.post(size)
    rig.pipes.push()
    assert rig.pipes.posted == 3584
    for request in list(rig.kernel.busy):
        rig.kernel.finish(request, 12)
    rig.pipes.look()
    assert rig.pipes.posted == 3584, "done, but not taken"
    asked = []
    while (transfer := rig.pipes.take()) is not None:
        assert len(transfer.data) == 12
        asked.append(transfer.asked)
    assert asked == [512, 1024, 2048]
    assert rig.pipes.posted == 0


def test_a_read_knows_what_was_not_collected_before_it(rig: SimpleNamespace) -> None:
    rig.pipes.post(512)
    rig.pipes.send_bytes(b"response")
    rig.pipes.push()
    read, response = rig.kernel.busy
    rig.kernel.finish(read, 12)
    rig.kernel.finish(response, 8)
    rig.pipes.look()
    transfer = rig.pipes.take()
    assert transfer is not None
    assert transfer.uncollected == 1
    assert rig.pipes.sending == 0


def test_withdraw_keeps_what_had_come(rig: SimpleNamespace) -> None:
    for size in (512, 1024):
        rig.pipes.post(size)
    rig.pipes.push()
    rig.kernel.finish(rig.kernel.busy[0], 5)
    rig.pipes.withdraw()
    transfer = rig.pipes.take()
    assert transfer is not None
    assert len(transfer.data) == 5
    assert rig.pipes.take() is None
    assert rig.pipes.posted == 0


def test_flush_takes_back_what_was_gathered_and_what_was_submitted(rig: SimpleNamespace) -> None:
    fill(rig.pipes, LARGEST)
    rig.pipes.send_bytes(b"response")
    assert rig.pipes.buffer() is not None
    assert rig.pipes.flush() == 2
    assert (rig.pipes.sending, rig.bulk_in.flushed) == (0, 1)
    rig.pipes.push()
    assert rig.kernel.submitted == [(BULK_IN, LARGEST)]
    for _ in range(4):
        fill(rig.pipes, LARGEST)


def test_a_dead_endpoint_is_no_error(rig: SimpleNamespace) -> None:
    rig.kernel.verdict = lambda _: -ESHUTDOWN
    rig.pipes.post(512)
    rig.pipes.send_bytes(b"x")
    rig.pipes.wait(0)
    assert (rig.pipes.posted, rig.pipes.sending) == (0, 0)
    rig.pipes.signals.disable()
    with pytest.raises(Disconnected):
        rig.pipes.wait()


def test_unplugged_while_a_refused_buffer_goes_in_pieces(rig: SimpleNamespace) -> None:
    def verdict(request: Any) -> int | None:
        if request.asked > 64 * 1024:
            return -ENOMEM
        rig.pipes.signals.disable()
        return None

    rig.kernel.verdict = verdict
    with pytest.raises(Disconnected):
        fill(rig.pipes, LARGEST)
    rig.pipes.flush()
    assert len(rig.pipes._free_buffers) == 4


def test_an_interrupt_ends_the_wait(rig: SimpleNamespace) -> None:
    rig.pipes.begin(3)
    rig.pipes.signals.post(Cancelled(3))
    with pytest.raises(Cancelled):
        rig.pipes.wait()
