# SPDX-License-Identifier: GPL-3.0-or-later
"""What root writes onto the boot partition of what the responder says is wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.image.scripts import IMAGE
from tests.unit.settings.test_files import obstacles

_SCRIPT = IMAGE / "root/usr/lib/mtp-appliance/card_log.py"
WARNING = {"code": "full", "text": "it is full", "hint": "make room"}


class Card:
    """A boot partition, a status and failures, with a mount that only says yes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.status = root / "status.json"
        self.log = root / "boot" / "mtp-appliance-log.txt"
        for name in ("boot", "failures", "bin"):
            (root / name).mkdir()
        (root / "bin" / "mount").symlink_to("/bin/true")

    def look(self) -> str:
        places = {
            "MTP_APPLIANCE_BOOT": self.root / "boot",
            "MTP_APPLIANCE_STATUS": self.status,
            "MTP_APPLIANCE_FAILURES": self.root / "failures",
            "PATH": self.root / "bin",
        }
        env = {key: str(value) for key, value in places.items()}
        subprocess.run([sys.executable, "-I", _SCRIPT], env=env, check=True, timeout=60)
        return self.log.read_bytes().decode() if self.log.exists() else ""


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


def test_what_is_wrong_is_written_and_goes_when_it_is_right(card: Card) -> None:
    card.status.write_text(json.dumps({"warnings": [WARNING]}))
    assert card.look() == "MTP Appliance, at the last look:\r\nit is full: make room\r\n"
    card.status.write_text(json.dumps({"warnings": []}))
    assert card.look() == ""


@obstacles
def test_what_is_no_status_keeps_nobody_waiting(
    card: Card, obstacle: Callable[[Path], None]
) -> None:
    (card.root / "elsewhere").write_text(json.dumps({"warnings": [WARNING]}))
    obstacle(card.status)
    (card.root / "failures" / "mtp-appliance.service").write_text("exit-code\n")
    assert card.look().splitlines()[1:] == ["mtp-appliance.service: exit-code"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"warnings": [WARNING] * 5000}),
        json.dumps({"warnings": [{**WARNING, "text": "x\n" * 50_000}]}),
        '{"warnings": [' + "[" * 50_000,
        json.dumps({"warnings": [{"code": 1, "text": [1], "hint": {}}]}),
        " " * (1 << 20),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_what_somebody_else_says_is_bounded(card: Card, text: str) -> None:
    card.status.write_text(text)
    said = card.look()
    assert len(said) < 10_000
    assert said.count("\r\n") == said.count("\n")


def test_letters_that_no_file_can_hold_keep_nothing_from_being_written(card: Card) -> None:
    card.status.write_text(json.dumps({"warnings": [{**WARNING, "text": "\udcff"}, WARNING]}))
    said = card.look()
    assert said.splitlines()[1:] == ["?: make room", "it is full: make room"]
    before = card.log.stat().st_ino
    assert card.look() == said
    assert card.log.stat().st_ino == before, "written again, with nothing new to say"
    assert [each.name for each in card.log.parent.iterdir()] == [card.log.name]
