# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of how fast content moves, by clocks that a test turns."""

from appliance.services.throughput import EVERY, MOST, Throughput


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_sample_each_two_seconds_while_something_moves() -> None:
    clock = Clock()
    made = Throughput(clock, clock)
    for step in range(1, 41):
        clock.now += 0.25
        made.look((step * 1000, 0), moving=True)
    assert [each[1:] for each in made.told()] == [(4000, 0)] * 5
    clock.now += 1
    made.look((41_000, 500), moving=False)
    assert made.told()[-1] == (clock.now, 1000, 500)


def test_what_comes_after_a_rest_is_not_spread_over_the_rest() -> None:
    clock = Clock()
    made = Throughput(clock, clock)
    clock.now += 3600
    made.look((0, 8000), moving=False)
    assert made.told() == [(clock.now, 0, 2000)]


def test_nothing_moves() -> None:
    clock = Clock()
    made = Throughput(clock, clock)
    for _ in range(5):
        clock.now += 60
        made.look((0, 0), moving=False)
    assert made.told() == []


def test_what_is_older_than_ten_minutes_is_left_out() -> None:
    clock = Clock()
    made = Throughput(clock, clock)
    for step in range(1, 2 * MOST):
        clock.now += EVERY
        made.look((step, 0), moving=True)
    assert len(made.told()) == MOST
    clock.now += EVERY * MOST + 1
    assert made.told() == []
