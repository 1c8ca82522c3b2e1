# SPDX-License-Identifier: GPL-3.0-or-later
"""The interrupt endpoint over a kernel that takes an event when the test says so."""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

try:
    from appliance.transports import functionfs_events
    from appliance.transports.functionfs_events import EventPipe
except (ImportError, OSError):
    pytest.skip("python-libaio or its library is missing", allow_module_level=True)

from appliance.mtp.codes import EventCode
from appliance.mtp.transaction import Event
from appliance.transports.event_queue import MOST
from tests.fakes.responder import STORAGE_IDS, ScriptedResponder


class Kernel:
    """Stands in for `AioQueue`: the host takes what was submitted with the next question."""

    def __init__(self, _requests: Sequence[Any]) -> None:
        self.taken: list[tuple[int, int]] = []
        self._under_way: list[Any] = []

    def submit(self, requests: Sequence[Any]) -> None:
        for request in requests:
            request.busy = True
            self._under_way.append(request)

    def completed(self) -> list[Any]:
        done, self._under_way = self._under_way, []
        for request in done:
            size, _, code, _, number = struct.unpack_from("<IHHII", request.view)
            request.result, request.busy = size, False
            self.taken.append((code, number))
        return done

    def close(self) -> None: ...


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[EventPipe]:
    monkeypatch.setattr(functionfs_events, "AioQueue", Kernel)
    pipe = EventPipe(0, ScriptedResponder().connect("usb"))
    yield pipe
    pipe.close()


@pytest.mark.parametrize("many", [10000, MOST + 1])
def test_a_pc_that_was_asleep_is_told_all_or_to_list_anew(pipe: EventPipe, many: int) -> None:
    for number in range(many):
        pipe.send(Event(EventCode.OBJECT_REMOVED, (number,)))
    for _ in range(many + 1):
        pipe.pump(listening=True)
    expected = [(0x4003, number) for number in range(many)]
    if many > MOST:
        expected = [(code, each) for each in STORAGE_IDS for code in (0x4005, 0x4004)]
    kernel: Any = pipe._queue
    assert kernel.taken == expected


def test_nobody_is_told_without_a_session(pipe: EventPipe) -> None:
    pipe.send(Event(EventCode.OBJECT_REMOVED, (1,)))
    pipe.pump(listening=False)
    for _ in range(2):
        pipe.pump(listening=True)
    kernel: Any = pipe._queue
    assert kernel.taken == []
    assert pipe.last is None
