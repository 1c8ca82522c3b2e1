# SPDX-License-Identifier: GPL-3.0-or-later
"""What a card must hold after a cut: what was answered, and the old or the new of the rest."""

import random

import pytest

from tests.power.model import (
    KINDS,
    Expected,
    Found,
    Operation,
    State,
    content,
    cut,
    digest,
    next_operation,
    overwritten,
)

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
    made.settle(Found(found))
    made.settle(Found(found))


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ((FIRST, "done"), {}),
        ((FIRST, "done", SECOND), {}),
        ((FIRST, "done", SECOND), {"a": put(3, 50)}),
        ((FIRST, "done", SECOND, "done"), {"a": put(1, 100)}),
        ((FIRST, "done", ["delete", "a"], "done"), {"a": put(1, 100)}),
        ((FIRST, "done", ["rename", "a", "b"]), {"a": put(1, 100), "b": put(1, 100)}),
        ((FIRST, "done", ["copy", "a", "b"], "done"), {"a": put(1, 100)}),
        ((FIRST, "done", ["copy", "a", "b"]), {"b": put(1, 100)}),
        ((FIRST, "done", ["copy", "a", "b"]), {"a": put(1, 100), "b": put(1, 50)}),
        ((FIRST,), {"a": put(1, 100), "a.part": ""}),
    ],
)
def test_what_was_answered_and_is_not_there_is_lost(
    lines: tuple[Operation | str, ...], found: dict[str, str]
) -> None:
    with pytest.raises(AssertionError, match="under way"):
        expected(*lines).settle(Found(found))


@pytest.mark.parametrize(
    ("operation", "files"),
    [(["delete", "a"], {}), (["put", "a", 2, 50], {"a": put(2, 50)})],
)
def test_what_was_deleted_or_replaced_is_in_the_trash(
    operation: Operation, files: dict[str, str]
) -> None:
    for under_way in ((operation, "done"), (operation,)):
        made = expected(FIRST, "done", *under_way)
        assert made.lost(Found(files, trash=(put(1, 100),))) == []
        assert made.lost(Found(files)) == []
        assert len(made.lost(Found(files, trash=()))) == 1


def test_the_trash_keeps_the_newest() -> None:
    large: Operation = ["put", "b", 2, 3_900_000]
    made = expected(FIRST, "done", large, "done", ["delete", "a"], "done", ["delete", "b"], "done")
    assert made.lost(Found(trash=(digest(content(2, 3_900_000)), put(1, 100)))) == []
    made = expected(FIRST, "done", ["put", "b", 2, 4_000_000], "done", ["delete", "a"], "done")
    made.follow([["delete", "b"], "done"])
    assert made.lost(Found(trash=(digest(content(2, 4_000_000)),))) == []
    assert len(made.lost(Found(trash=(put(1, 100),)))) == 1


def test_settings_count_too() -> None:
    made = expected(["days", 7], "done")
    with pytest.raises(AssertionError):
        made.settle(Found(days=30))


def test_what_is_done_next_can_be_done() -> None:
    state, kinds = State(), set()
    for number in range(2000):
        operation = next_operation(state, number, random.Random(number))
        kinds.add(operation[0])
        state = state.after(operation)
    assert kinds == {"folder", *KINDS}
    assert len(state.files) == 40


def test_what_is_not_to_be_done_is_not_done() -> None:
    state, kinds = State(), set()
    for number in range(300):
        operation = next_operation(state, number, random.Random(number), ("edit", "days"))
        kinds.add(operation[0])
        state = state.after(operation)
    assert kinds == {"put", "folder", "rename", "copy", "delete"}


OLD = content(1, 100)
WRITTEN = overwritten(OLD, 9, 90, 20)
EDIT: Operation = ["edit", "a", 9, 90, 20, 105]


@pytest.mark.parametrize(
    ("there", "is_good"),
    [
        (OLD, True),
        (WRITTEN, True),
        (cut(WRITTEN, 105), True),
        (OLD[:95] + WRITTEN[95:100], True),
        (WRITTEN[:100] + bytes(10), True),  # longer already, and not yet written
        (OLD[:99] + bytes(1), False),
        (WRITTEN[:95], False),
        (bytes(5) + OLD[5:], False),
        (WRITTEN + b"x", False),
        (b"", False),
        (None, False),
    ],
)
def test_a_file_that_is_edited_in_place_is_changed_in_part(
    there: bytes | None, is_good: bool
) -> None:
    made = expected(FIRST, "done", EDIT)
    files = {} if there is None else {"a": digest(there)}
    assert made.edited == "a"
    assert (made.lost(Found(files, edited=there)) == []) is is_good


def test_what_an_edit_cuts_off_may_be_cleared_already() -> None:
    made = expected(FIRST, "done", ["edit", "a", 9, 90, 20, 50])
    for there, is_good in ((OLD[:50] + bytes(50), True), (OLD[:49] + bytes(51), False)):
        assert (made.lost(Found({"a": digest(there)}, edited=there)) == []) is is_good


def test_an_edit_that_was_answered_is_whole_and_others_are_untouched() -> None:
    made = expected(FIRST, "done", EDIT, "done")
    assert made.edited is None
    assert made.lost(Found({"a": digest(cut(WRITTEN, 105))})) == []
    assert len(made.lost(Found({"a": digest(WRITTEN)}, edited=WRITTEN))) == 1
    other = expected(["put", "b", 2, 9], "done", FIRST, "done", EDIT)
    assert len(other.lost(Found({"a": digest(WRITTEN)}, edited=WRITTEN))) == 1


def test_what_an_edit_has_left_holds_from_then_on() -> None:
    made = expected(FIRST, "done", EDIT)
    half = OLD[:95] + WRITTEN[95:100]
    made.settle(Found({"a": digest(half)}, edited=half))
    assert made.state.files == {"a": half}
