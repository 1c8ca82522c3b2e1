# SPDX-License-Identifier: GPL-3.0-or-later
"""What endpoint 0 tells the worker, from another thread."""

import threading

import pytest

from appliance.transports.usb_pipes import Cancelled, Disconnected, Reset, Signals


@pytest.fixture
def signals() -> Signals:
    signals = Signals(lambda: None, lambda: False)
    signals.enable()
    assert signals.attach()
    return signals


def test_nothing_has_come(signals: Signals) -> None:
    signals.check()
    assert not signals.busy


def test_a_cancel_of_the_transaction_under_way(signals: Signals) -> None:
    signals.begin(5)
    signals.post(Cancelled(5))
    assert signals.busy
    with pytest.raises(Cancelled):
        signals.check()
    assert signals.busy, "not before the worker has cleaned up and comes back"
    signals.check()
    assert not signals.busy


def test_a_cancel_of_another_transaction_is_dropped(signals: Signals) -> None:
    signals.begin(6)
    signals.post(Cancelled(5))
    signals.check()
    assert not signals.busy


def test_a_cancel_that_overtook_its_command(signals: Signals) -> None:
    signals.begin(4)
    signals.post(Cancelled(5))
    signals.check()
    with pytest.raises(Cancelled):
        signals.begin(5)
    signals.begin(5)


def test_an_old_cancel_is_forgotten_with_the_next_command(signals: Signals) -> None:
    signals.post(Cancelled(5))
    signals.check()
    signals.begin(6)
    signals.begin(5)


def test_in_order(signals: Signals) -> None:
    signals.begin(5)
    signals.post(Cancelled(5))
    signals.post(Reset())
    with pytest.raises(Cancelled):
        signals.check()
    with pytest.raises(Reset):
        signals.check()


@pytest.mark.parametrize("end", ["disable", "enable", "close"])
def test_the_connection_is_over(signals: Signals, end: str) -> None:
    signals.post(Reset())
    getattr(signals, end)()
    for _ in range(2):
        with pytest.raises(Disconnected):
            signals.check()


def test_unplugged_and_plugged_in_before_the_worker_looked(signals: Signals) -> None:
    signals.disable()
    signals.enable()
    with pytest.raises(Disconnected):
        signals.check()
    assert signals.attach()
    signals.check()


def test_closed_for_good(signals: Signals) -> None:
    signals.close()
    assert not signals.attach()


def test_a_connection_that_was_over_at_once(signals: Signals) -> None:
    signals.lose()
    assert not signals.enabled


def test_a_worker_waits_for_a_host() -> None:
    signals = Signals(lambda: None, lambda: False)
    got: list[bool] = []
    worker = threading.Thread(target=lambda: got.append(signals.attach()))
    worker.start()
    signals.enable()
    worker.join(10)
    assert got == [True]
