# SPDX-License-Identifier: GPL-3.0-or-later
"""What an initiator has not been told yet: all of it, or that it is to list everything anew."""

import threading

import pytest

from appliance.mtp.codes import EventCode
from appliance.mtp.transaction import Event
from appliance.transports.event_queue import MOST, AudibleQueue, EventQueue
from tests.fakes.responder import STORAGE_IDS, ScriptedConnection, ScriptedResponder

FIRST, SECOND = STORAGE_IDS


@pytest.fixture
def connection() -> ScriptedConnection:
    return ScriptedResponder().connect("peer")


@pytest.fixture
def queue(connection: ScriptedConnection) -> EventQueue:
    return EventQueue(connection, lambda: None)


def added(number: int) -> Event:
    return Event(EventCode.OBJECT_ADDED, (number,))


def store(code: EventCode, storage_id: int) -> Event:
    return Event(code, (storage_id,))


ANEW = [
    store(code, each)
    for each in STORAGE_IDS
    for code in (EventCode.STORE_REMOVED, EventCode.STORE_ADDED)
]


def taken(queue: EventQueue) -> list[Event]:
    events = []
    while (event := queue.take()) is not None:
        events.append(event)
    return events


def flood(queue: EventQueue) -> None:
    """Put in as many as are too many, the last of them by itself."""
    for number in range(MOST + 1):
        queue.put(added(number))


def test_all_that_is_kept_is_told_in_order(queue: EventQueue) -> None:
    for number in range(MOST):
        queue.put(added(number))
    assert queue.waiting
    assert taken(queue) == [added(number) for number in range(MOST)]
    assert not queue.waiting


def test_too_many_are_told_in_short(queue: EventQueue, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        caplog.clear()
        flood(queue)
        queue.put(added(7))
        assert taken(queue) == [*ANEW, added(7)]
        assert ["LOST" in each.message for each in caplog.records] == [True]


def test_again_and_again_does_not_add_up(queue: EventQueue) -> None:
    for _ in range(3):
        flood(queue)
    assert taken(queue)[: len(ANEW)] == ANEW


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([Event(EventCode.DEVICE_PROP_CHANGED, (0x5001,))] * 3,
         [*ANEW, Event(EventCode.DEVICE_PROP_CHANGED, (0x5001,))]),
        ([Event(EventCode.DEVICE_INFO_CHANGED)], [*ANEW, Event(EventCode.DEVICE_INFO_CHANGED)]),
        ([Event(EventCode.OBJECT_PROP_CHANGED, (1, 2))], ANEW),
        ([Event(EventCode.CANCEL_TRANSACTION, (), 5)], ANEW),
        ([store(EventCode.STORAGE_INFO_CHANGED, FIRST)], ANEW),
        # a storage that went, and one that came back and went
        ([store(EventCode.STORE_REMOVED, 0x30001)],
         [*ANEW, store(EventCode.STORE_REMOVED, 0x30001)]),
        ([store(EventCode.STORE_REMOVED, 9), store(EventCode.STORE_ADDED, 9),
          store(EventCode.STORE_REMOVED, 9)],
         [*ANEW, store(EventCode.STORE_ADDED, 9), store(EventCode.STORE_REMOVED, 9)]),
    ],
)  # fmt: skip
def test_what_no_listing_says_is_told_nevertheless(
    queue: EventQueue, before: list[Event], after: list[Event]
) -> None:
    for event in before:
        queue.put(event)
    flood(queue)
    rest = taken(queue)
    assert rest[: len(after)] == after
    assert all(event.code is EventCode.OBJECT_ADDED for event in rest[len(after) :])


def test_a_storage_that_goes_meanwhile_is_gone(
    queue: EventQueue, connection: ScriptedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question which there are and the answer."""
    listing_anew = connection.listing_anew

    def slowly() -> list[Event]:
        events = listing_anew()
        other = threading.Thread(
            target=queue.put, args=(store(EventCode.STORE_REMOVED, SECOND),), daemon=True
        )
        other.start()
        other.join(10)
        assert not other.is_alive(), "who puts in an event waits for who asks the store"
        return events

    monkeypatch.setattr(connection, "listing_anew", slowly)
    flood(queue)
    events = taken(queue)
    assert events[:2] == ANEW[:2]
    assert events[-1] == store(EventCode.STORE_REMOVED, SECOND)


def test_forgetting(queue: EventQueue) -> None:
    queue.put(added(1))
    queue.put(added(2))
    assert queue.take() == queue.last == added(1)
    queue.clear()
    assert queue.last is None
    assert queue.take() is None


def test_events_may_come_after_the_end(connection: ScriptedConnection) -> None:
    queue = AudibleQueue(connection)
    queue.close()
    queue.put(added(1))
