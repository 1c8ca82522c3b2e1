# SPDX-License-Identifier: GPL-3.0-or-later
"""The same on FAT and exFAT, by the kernel's own drivers: what was answered is whole there, too."""

import random
from pathlib import Path

import pytest

from tests.power.fat import Judge, lenient, record
from tests.power.replays import Tally, replay

pytestmark = pytest.mark.guest


@pytest.mark.parametrize("kind", ["exfat", "vfat"])
def test_nothing_that_was_answered_is_lost(tmp_path: Path, kind: str) -> None:
    rng = random.Random(1)
    run, judge = record(tmp_path, rng, operations=40, kind=kind), Judge(tmp_path, kind)
    for verdict in replay(run, judge, 8, rng):
        assert lenient(verdict).wrong == [], verdict
    liar = Tally()
    for verdict in replay(run, judge, 6, rng, flushes=False):
        liar.add(lenient(verdict))
    assert liar.wrong, "a card that does not flush loses nothing"
