# SPDX-License-Identifier: GPL-3.0-or-later
"""A Wi-Fi that does not come up is told of, and not before it could have."""

from pathlib import Path

import pytest

from appliance.services.air import Air
from tests.unit.services.test_concerns import table

HOME = "Home"


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        ("up", "", ""),
        ("down", "wifi-not-joined", "Home has not been joined"),
        ("dormant", "wifi-not-joined", "Home"),
        (None, "wifi-missing", "none here"),
    ],
)
def test_what_is_told(tmp_path: Path, state: str | None, code: str, words: str) -> None:
    now = [0.0]
    air = Air(tmp_path, lambda: now[0])
    if state is not None:
        show(tmp_path, state)
    assert air.look(HOME) is None
    now[0] += 100
    found = air.look(HOME)
    assert (found is None) is (not words)
    assert found is None or (words in found.text and found.hint)
    assert found is None or (found.code == code and code in table())
    assert air.look("") is None


def test_each_new_beginning_takes_its_time(tmp_path: Path) -> None:
    now = [0.0]
    air = Air(tmp_path, lambda: now[0])
    told = []
    for state, network in (
        *(("down", HOME), ("down", HOME), ("up", HOME), ("down", HOME)),
        *(("down", HOME), ("down", "Other"), ("down", "Other")),
    ):
        show(tmp_path, state)
        told.append(air.look(network) is not None)
        now[0] += 100
    assert told == [False, True, False, False, True, False, True]


def show(root: Path, state: str) -> None:
    path = root / "sys/class/net/wlan0/operstate"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{state}\n")
