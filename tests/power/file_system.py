# SPDX-License-Identifier: GPL-3.0-or-later
"""The file system of a card: how it is made and checked."""

import subprocess
from pathlib import Path

from tests.vm.image import find_program

CARD_SIZE = 128 << 20
#: e2fsck(8): errors that are left, or that it did not run; what it repairs by itself is no loss.
_FSCK_FAILED = 4


def make_card(card: Path) -> None:
    """Make an empty card."""
    with card.open("wb") as file:
        file.truncate(CARD_SIZE)
    argv = [find_program("mke2fs"), "-q", "-t", "ext4", str(card)]
    subprocess.run(argv, stdin=subprocess.DEVNULL, check=True)


def check(card: Path) -> list[str]:
    """Mend a card as a start does, by the journal; what is left to ask about."""
    argv = [find_program("e2fsck"), "-f", "-p", str(card)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode < _FSCK_FAILED:
        return []
    return [(done.stdout + done.stderr).replace(str(card), "card").strip()]
