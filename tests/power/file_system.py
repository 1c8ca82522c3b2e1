# SPDX-License-Identifier: GPL-3.0-or-later
"""The file system of a card: how it is made and checked."""

import re
import subprocess
from pathlib import Path

from tests.vm.image import find_program

CARD_SIZE = 128 << 20
#: e2fsck(8): errors that are left, or that it did not run.
_FSCK_FAILED = 4
#: What e2fsck says of a card that is in order, and of what the journal leaves to be put right: the
#: kernel does that too when it mounts.
_IN_ORDER = re.compile(
    r"""card:\ (
        recovering\ journal
      | (Clearing|Truncating)\ orphaned\ inode\ .*
      | Free\ (blocks|inodes)\ count\ wrong\ .*
      | \d+/\d+\ files\ .*
    )""",
    re.VERBOSE,
)


def make_card(card: Path) -> None:
    """Make an empty card."""
    with card.open("wb") as file:
        file.truncate(CARD_SIZE)
    argv = [find_program("mke2fs"), "-q", "-t", "ext4", str(card)]
    subprocess.run(argv, stdin=subprocess.DEVNULL, check=True)


def check(card: Path) -> list[str]:
    """Put a card's journal into force, as a start does; what e2fsck finds wrong after that."""
    argv = [find_program("e2fsck"), "-f", "-p", str(card)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).replace(str(card), "card").strip()
    if done.returncode >= _FSCK_FAILED:
        return [said]
    wrong = [line for line in said.splitlines() if line and not _IN_ORDER.fullmatch(line)]
    return ["\n".join(wrong)] if wrong else []
