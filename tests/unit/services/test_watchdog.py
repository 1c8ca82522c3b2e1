# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs of life: when they come, and when not."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.services.watchdog import Watchdog


@pytest.fixture
def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield channel


def count(channel: socket.socket) -> int:
    """How many signs of life have come."""
    found = 0
    while True:
        try:
            assert channel.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            return found
        found += 1


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_they_come_twice_as_often_as_is_asked(channel: socket.socket) -> None:
    clock, looks = Clock(), []
    watchdog = Watchdog(
        {"WATCHDOG_USEC": "60000000"}, look=lambda: looks.append(clock.now), clock=clock
    )
    assert watchdog.beat() == 30
    clock.now += 20
    assert watchdog.beat() == 10
    assert count(channel) == 1
    clock.now += 10
    assert watchdog.beat() == 30
    assert (count(channel), looks) == (1, [100, 130])


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "x"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_where_nobody_asks_for_them_none_come(
    channel: socket.socket, environment: dict[str, str]
) -> None:
    assert Watchdog(environment).beat() is None
    assert count(channel) == 0


def test_they_are_for_the_process_that_is_named(channel: socket.socket) -> None:
    environment = {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}
    assert Watchdog(environment).beat() == 0.5
    assert count(channel) == 1


def test_a_thread_that_has_ended_ends_them(
    channel: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    clock, alive = Clock(), True
    watchdog = Watchdog({"WATCHDOG_USEC": "2000000"}, clock=clock)
    watchdog.watch("one", lambda: True)
    watchdog.watch("the worker", lambda: alive)
    assert watchdog.beat() == 1
    alive = False
    clock.now += 1
    with caplog.at_level(logging.ERROR):
        assert watchdog.beat() is None
        assert watchdog.beat() is None
    assert caplog.text.count("the worker") == 1
    assert count(channel) == 1
