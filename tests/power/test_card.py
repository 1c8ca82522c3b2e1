# SPDX-License-Identifier: GPL-3.0-or-later
"""The card that forgets: what QEMU's own client is told, and what is left when the power goes."""

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.power.card import SECTOR, Card

SIZE = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    image = tmp_path / "card"
    image.write_bytes(bytes(SIZE))
    return image


@pytest.fixture
def new_card(image: Path, tmp_path: Path) -> Iterator[Callable[[int], Card]]:
    made: list[Card] = []

    def new(seed: int) -> Card:
        place = tmp_path / "socket"
        place.unlink(missing_ok=True)
        made.append(Card(image, place, random.Random(seed)))
        return made[-1]

    yield new
    for each in made:
        each.cut(lambda: None)


def client(place: Path, *commands: str) -> str:
    """Run qemu-io on the card; it ends with a flush of its own, unless it is aborted."""
    program = shutil.which("qemu-io")
    assert program is not None, "apt install qemu-utils"
    argv = [program, "-f", "raw", "-t", "none", f"nbd:unix:{place}"]
    words = [word for each in commands for word in ("-c", each)]
    done = subprocess.run([*argv, *words], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_what_is_written_is_read_back(new_card: Callable[[int], Card], tmp_path: Path) -> None:
    new_card(1)
    said = client(tmp_path / "socket", "write -P 7 4096 8192", "read -P 7 4096 8192", "flush")
    assert "wrote 8192/8192" in said
    assert "read 8192/8192" in said
    assert "failed" not in said.lower()


def test_what_was_flushed_stays_and_the_rest_may_be_gone(
    new_card: Callable[[int], Card], image: Path, tmp_path: Path
) -> None:
    found = set()
    for seed in range(12):
        image.write_bytes(bytes(SIZE))
        card = new_card(seed)
        client(tmp_path / "socket", "write -P 1 0 64k", "flush", "write -P 2 64k 64k", "abort")
        card.cut(lambda: None)
        data = image.read_bytes()
        assert data[: 64 << 10] == b"\1" * (64 << 10)
        rest = data[64 << 10 : 128 << 10]
        sectors = [rest[start : start + SECTOR] for start in range(0, len(rest), SECTOR)]
        assert all(each in (b"\2" * SECTOR, bytes(SECTOR)) for each in sectors)
        found.add(rest.count(b"\2") // SECTOR)
    assert 0 in found
    assert len(found) > 2


def test_the_power_goes_at_the_write_that_was_chosen(
    new_card: Callable[[int], Card], image: Path, tmp_path: Path
) -> None:
    card = new_card(1)
    card.arm(2)
    said = client(
        tmp_path / "socket", "write -P 1 0 4k", "flush", "write -P 2 4k 4k", "write -P 3 8k 4k"
    )
    assert card.dark.is_set()
    assert "wrote 4096/4096 bytes at offset 0" in said
    assert "offset 8192" not in said
    card.cut(lambda: None)
    assert image.read_bytes()[:4096] == b"\1" * 4096
    assert 3 not in image.read_bytes()
