# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of a recorded run when the power goes at one of its steps."""

import random
from pathlib import Path

import pytest

from tests.power.card import SECTOR
from tests.power.recording import Recording, Replay, Step, copy

SIZE = 64 * SECTOR
STEPS = [
    Step(0, 0, b"\1" * SECTOR),
    Step(0),
    Step(10, SECTOR, b"\2" * SECTOR * 8),
    Step(20, 0, b"\3" * SECTOR),
    Step(20),
    Step(30, 20 * SECTOR, b"\4" * SECTOR),
]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "card").write_bytes(bytes(SIZE))
    (tmp_path / "target").write_bytes(b"\xff" * SIZE)
    return tmp_path / "target"


def sectors(card: Path) -> list[int]:
    """What is in each sector, of which each is of one byte."""
    data = card.read_bytes()
    parts = [data[at : at + SECTOR] for at in range(0, len(data), SECTOR)]
    assert all(part == part[:1] * SECTOR for part in parts)
    return [part[0] for part in parts]


def left(target: Path, point: int, *, flushes: bool = True) -> set[tuple[int, ...]]:
    """All that has been left before a step, in many tries."""
    found = set()
    for seed in range(30):
        image = target.with_name("base")
        image.write_bytes(target.with_name("card").read_bytes())
        Replay(image, STEPS, flushes=flushes).put(point, target, random.Random(seed))
        found.add(tuple(sectors(target)))
    return found


def test_what_was_flushed_is_there_and_of_the_rest_any_part(target: Path) -> None:
    found = left(target, 4)
    assert {each[0] for each in found} == {1, 3}
    assert {sum(each[1:9]) // 2 for each in found} >= {0, 8}
    assert len(found) > 5
    assert all(not any(each[9:]) for each in found)


def test_after_the_flush_there_is_one_card_only(target: Path) -> None:
    assert left(target, 5) == {(3, *[2] * 8, *[0] * 55)}


def test_a_card_that_does_not_flush_loses_anything(target: Path) -> None:
    assert {each[0] for each in left(target, 5, flushes=False)} == {0, 1, 3}


def test_one_point_after_the_other_is_as_each_by_itself(target: Path) -> None:
    image = target.with_name("card")
    cards = Replay(image, STEPS)
    for point in (1, 4, 5):
        cards.put(point, target, random.Random(0))
    assert sectors(target) == [3, *[2] * 8, *[0] * 55]


def test_a_copy_has_the_holes_too(target: Path) -> None:
    image = target.with_name("card")
    with image.open("r+b") as file:
        file.truncate(1 << 20)
        for at in (0, 200_000, (1 << 20) - 10):
            file.seek(at)
            file.write(b"somewhere")
    copy(image, target)
    assert target.read_bytes() == image.read_bytes()


def test_a_step_knows_what_the_worker_had_written_by_then(tmp_path: Path) -> None:
    journal = tmp_path / "done.jsonl"
    recording = Recording(journal)
    recording.note(0, b"mount")
    journal.write_bytes(b'["days", 5]\n')
    recording.note(0, b"write")
    with journal.open("ab") as file:
        file.write(b'"done"\n["days",')
    recording.note(0, None)
    recording.end()
    journal.unlink()
    assert [recording.lines(point) for point in range(3)] == [
        [],
        [["days", 5]],
        [["days", 5], "done"],
    ]
    assert recording.lines() == recording.lines(2)
    assert set(recording.points(50, random.Random(1))) == {1, 2}
