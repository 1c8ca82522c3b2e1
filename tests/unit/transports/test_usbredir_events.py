# SPDX-License-Identifier: GPL-3.0-or-later
"""Events for a guest: when they go, and how long the connection may sleep until then."""

import pytest

from appliance.mtp.codes import EventCode
from appliance.mtp.transaction import Event
from appliance.transports.usb_descriptors import Description
from appliance.transports.usbredir_control import Function
from appliance.transports.usbredir_device import RedirectedDevice
from appliance.transports.usbredir_events import BURST, GuestEvents
from tests.fakes.responder import ScriptedResponder

EVENT = Event(EventCode.OBJECT_ADDED, (1,))
SOME, MANY = 10, int(BURST) + 500


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def device() -> RedirectedDevice:
    function: Function = None  # type: ignore[assignment]  # nobody asks endpoint 0
    device = RedirectedDevice(Description("", "", ""), function, lambda: None, lambda: None)
    device.listens = True
    return device


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events(device: RedirectedDevice, clock: Clock) -> GuestEvents:
    return GuestEvents(device, ScriptedResponder().connect("guest"), lambda: None, clock)


def given(events: GuestEvents, device: RedirectedDevice) -> int:
    """Events that go to a guest that reads them at once."""
    count = 0
    while events.pause(None) == 0:
        events.give(listening=True)
        count += len(device.out)
        device.out.clear()
    return count


def test_a_guest_that_reads_nothing_is_given_no_more(
    events: GuestEvents, device: RedirectedDevice, clock: Clock
) -> None:
    """It is paused, perhaps for days: what waits for it is bounded, and goes on when it reads."""
    for _ in range(MANY):
        events.put(EVENT)
    for _ in range(1000):
        clock.now += 1
        events.give(listening=True)
    assert len(device.out) < 100
    assert events.pause(None) is None
    assert events.pause(2.0) == 2.0
    device.out.clear()
    assert given(events, device) == BURST


def test_events_go_no_faster_than_a_guest_can_keep_them(
    events: GuestEvents, device: RedirectedDevice, clock: Clock
) -> None:
    for _ in range(MANY):
        events.put(EVENT)
    assert given(events, device) == BURST
    assert events.pause(None) == events.pause(1.0) == 0.004
    assert events.pause(0.001) == 0.001
    clock.now += 1
    events.give(listening=True)
    assert len(device.out) > 0


@pytest.mark.parametrize("what", ["it does not listen", "nothing waits", "there is no session"])
def test_a_wait_is_not_shortened(events: GuestEvents, device: RedirectedDevice, what: str) -> None:
    if what != "nothing waits":
        for _ in range(SOME):
            events.put(EVENT)
    device.listens = what != "it does not listen"
    events.give(listening=what != "there is no session")
    assert not device.out
    assert events.pause(None) is None
    assert events.pause(5.0) == 5.0
