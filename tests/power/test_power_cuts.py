# SPDX-License-Identifier: GPL-3.0-or-later
"""The appliance's power is cut while files come: QEMU dies, and the card forgets what it may."""

import random
from pathlib import Path

import pytest

from tests.power.cuts import PowerCuts
from tests.power.judge import Judge
from tests.power.replays import Tally, replay

pytestmark = pytest.mark.boots


@pytest.mark.parametrize("seed", [1])
def test_nothing_that_was_answered_is_lost(tmp_path: Path, seed: int) -> None:
    cuts, rng = PowerCuts(tmp_path, seed), random.Random(seed)
    run = cuts.cut(1, writes=150)
    judge = Judge(tmp_path)
    for verdict in replay(run, judge, 40, rng):
        assert verdict.wrong == [], verdict
    cuts.look()
    liar = Tally()
    for verdict in replay(run, judge, 10, rng, flushes=False):
        liar.add(verdict)
    assert liar.wrong, "a card that does not flush loses nothing"
