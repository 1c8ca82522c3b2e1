# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes of what happens within a moment, by itself."""

import math
from collections.abc import Callable

import pytest

from appliance.storage import changes
from appliance.storage.changes import Changes, Place

A, B, C = (1, b"a"), (1, b"b"), (2, b"c")
Happens = Callable[[Changes], None]


def move(source: Place, target: Place, cookie: int = 7) -> Happens:
    def act(moment: Changes) -> None:
        moment.left(source, cookie)
        moment.came(target, cookie)

    return act


def created(place: Place) -> Happens:
    return lambda moment: moment.created(place)


def deleted(place: Place) -> Happens:
    return lambda moment: moment.deleted(place)


def closed(place: Place) -> Happens:
    return lambda moment: moment.closed(place)


def written(place: Place) -> Happens:
    return lambda moment: moment.written(place)


def left(place: Place) -> Happens:
    return lambda moment: moment.left(place, 8)


def came(place: Place) -> Happens:
    return lambda moment: moment.came(place, 9)


#: What a place is told to be where nothing should be: should something be there, it is changed.
GONE = True


@pytest.mark.parametrize(
    ("happens", "moves", "places"),
    [
        ([], [], {}),
        ([created(A)], [], {A: False}),
        ([created(A), written(A), closed(A)], [], {A: True}),
        ([closed(A), closed(A)], [], {A: True}),
        ([deleted(A)], [], {A: GONE}),
        ([deleted(A), created(A)], [], {A: True}),
        ([closed(A), deleted(A)], [], {A: GONE}),
        ([created(A), deleted(A)], [], {A: GONE}),
        ([left(A)], [], {A: GONE}),
        ([came(A)], [], {A: True}),
        ([came(A), left(A)], [], {A: GONE}),
        ([move(A, B)], [(A, B)], {A: GONE, B: False}),
        ([closed(A), move(A, B)], [(A, B)], {A: GONE, B: True}),
        ([move(A, B), closed(B)], [(A, B)], {A: GONE, B: True}),
        ([move(A, B), move(B, C)], [(A, C)], {A: GONE, B: GONE, C: False}),
        ([move(A, B), move(B, A)], [], {A: True, B: GONE}),
        ([move(A, B), deleted(B)], [], {A: GONE, B: GONE}),
        ([created(A), closed(A), move(A, B)], [], {A: GONE, B: True}),
        ([created(A), move(A, B)], [], {A: GONE, B: True}),
        ([move(A, B), created(A), closed(A), deleted(B)], [], {A: True, B: GONE}),
        ([move(A, B), created(A)], [(A, B)], {A: True, B: False}),
        (
            [move(A, C), move(B, A), move(C, B)],
            [(B, A), (A, B)],
            {A: False, B: False, C: GONE},
        ),
    ],
)
def test_moments(
    happens: list[Happens], moves: list[tuple[Place, Place]], places: dict[Place, bool]
) -> None:
    collected = Changes()
    collected.at(1)
    for each in happens:
        each(collected)
    moment = collected.take(1)
    assert sorted(moment.moves) == sorted(moves)
    assert dict(moment.places) == places
    assert collected.take(1).places == ()


@pytest.mark.parametrize(
    ("times", "due"),
    [
        ([], math.inf),
        ([10], 10 + changes.QUIET),
        ([10, 10.05], 10.05 + changes.QUIET),
        ([10, 10.25], 10 + changes.LONGEST),
    ],
)
def test_when_a_moment_is_over(times: list[float], due: float) -> None:
    collected = Changes()
    for each in times:
        collected.at(each)
        collected.created(A)
    assert collected.due_at() == pytest.approx(due)


def test_half_a_move_is_waited_for_a_little() -> None:
    collected = Changes()
    collected.at(10)
    collected.created(A)
    collected.at(10 + changes.LONGEST)
    collected.left(B, 1)
    assert collected.due_at() == pytest.approx(10 + changes.LONGEST + changes.PAIRING)
    collected.came(C, 1)
    assert collected.due_at() == pytest.approx(10 + changes.LONGEST)


def test_halves_of_moves_are_not_waited_for_for_ever() -> None:
    collected = Changes()
    for number in range(100):
        collected.at(10 + number / 50)
        collected.left((1, b"%d" % number), number)
    assert collected.due_at() == pytest.approx(10 + 2 * changes.LONGEST)


def test_a_moment_has_a_bound() -> None:
    collected = Changes(most_places=2)
    collected.at(10)
    collected.created(A)
    assert collected.due_at() > 10
    collected.created(B)
    assert collected.due_at() == 10


def test_a_file_that_grows() -> None:
    collected = Changes()
    collected.at(10)
    collected.written(A)
    collected.at(12)
    collected.written(A)
    assert collected.due_at() == pytest.approx(10 + changes.GROWTH)
    assert collected.take(12).places == ()
    assert collected.take(13).places == ((A, True),)
    assert collected.due_at() == math.inf
    collected.at(20)
    collected.written(A)
    move(A, B)(collected)
    collected.take(20)
    assert collected.due_at() == pytest.approx(20 + changes.GROWTH)
    collected.closed(B)
    assert dict(collected.take(21).places) == {B: True}
    assert collected.due_at() == math.inf


def test_only_so_many_files_grow() -> None:
    collected = Changes()
    collected.at(10)
    for number in range(10_000):
        collected.written((1, b"%d" % number))
    assert len(collected.take(20).places) == 256


def test_all_is_forgotten() -> None:
    collected = Changes()
    collected.at(10)
    collected.created(A)
    collected.written(B)
    collected.left(C, 1)
    collected.clear()
    assert collected.due_at() == math.inf
    collected.at(10)
    collected.came(A, 1)
    assert collected.take(10).moves == ()
