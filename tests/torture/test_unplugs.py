# SPDX-License-Identifier: GPL-3.0-or-later
"""Unplugged, reset, put to sleep, killed, cancelled at random points; shortly, in the virtual Pi.

The long run: `.venv/bin/python -m tests.vm run python3 -m tests.torture.unplugging --times 1000`.
"""

import random
from pathlib import Path

import pytest

from tests.torture.unplugging import Unplugs
from tests.usb.appliance import load_controller, plugged_in

pytestmark = pytest.mark.guest


def test_the_next_client_works_and_no_file_is_torn(tmp_path: Path) -> None:
    share, state = tmp_path / "share", tmp_path / "state"
    share.mkdir()
    state.mkdir()
    load_controller("high")
    with plugged_in(share, state, "--no-trash") as appliance:
        unplugs = Unplugs(appliance, random.Random(1))
        unplugs.run(12, clients=False)
        unplugs.with_a_real_client("mtp-tools")
    assert unplugs.done.total() == 13
