# SPDX-License-Identifier: GPL-3.0-or-later
"""The appliance's power is cut while files come: QEMU dies, and the card forgets what it may."""

from pathlib import Path

import pytest

from tests.power.cuts import PowerCuts

pytestmark = pytest.mark.boots


@pytest.mark.parametrize("seed", [1])
def test_nothing_that_was_answered_is_lost(tmp_path: Path, seed: int) -> None:
    PowerCuts(tmp_path, seed).run(3)
