# SPDX-License-Identifier: GPL-3.0-or-later
"""What a card must hold after a cut: what was answered, and the old or the new of the rest."""

import random

import pytest

from tests.power.model import Expected, Operation, State, content, digest, next_operation

FIRST: Operation = ["put", "a", 1, 100]
SECOND: Operation = ["put", "a", 2, 50]


def put(number: int, size: int) -> str:
    return digest(content(number, size))


def expected(*lines: Operation | str) -> Expected:
    made = Expected()
    made.follow(lines)
    return made


@pytest.mark.parametrize("found", [{"a": put(1, 100)}, {"a": put(2, 50)}])
def test_what_was_under_way_is_the_old_or_the_new(found: dict[str, str]) -> None:
    made = expected(FIRST, "done", SECOND)
    made.settle(State(found))
    made.settle(State(found))


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ((FIRST, "done"), {}),
        ((FIRST, "done", SECOND), {}),
        ((FIRST, "done", SECOND), {"a": put(3, 50)}),
        ((FIRST, "done", SECOND, "done"), {"a": put(1, 100)}),
        ((FIRST, "done", ["delete", "a"], "done"), {"a": put(1, 100)}),
        ((FIRST, "done", ["rename", "a", "b"]), {"a": put(1, 100), "b": put(1, 100)}),
        ((FIRST,), {"a": put(1, 100), "a.part": ""}),
    ],
)
def test_what_was_answered_and_is_not_there_is_lost(
    lines: tuple[Operation | str, ...], found: dict[str, str]
) -> None:
    with pytest.raises(AssertionError, match="under way"):
        expected(*lines).settle(State(found))


def test_settings_count_too() -> None:
    made = expected(["days", 7], "done")
    with pytest.raises(AssertionError):
        made.settle(State(days=30))


def test_what_is_done_next_can_be_done() -> None:
    state, kinds = State(), set()
    for number in range(2000):
        operation = next_operation(state, number, random.Random(number))
        kinds.add(operation[0])
        state = state.after(operation)
    assert kinds == {"put", "folder", "rename", "delete", "days"}
    assert len(state.files) == 40
