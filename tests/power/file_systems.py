# SPDX-License-Identifier: GPL-3.0-or-later
"""The file systems that a card may have: how each is made and checked."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.vm.image import find_program

CARD_SIZE = 128 << 20


@dataclass(frozen=True, slots=True)
class FileSystem:
    """`good` are the exit statuses of `check` for a file system that needs nobody to decide.

    `without`: what is not done on such a card; with exFAT the settings lie on another one.
    """

    make: tuple[str, ...]
    check: tuple[str, ...]
    good: frozenset[int]
    without: tuple[str, ...] = ()


FILE_SYSTEMS = {
    # 1: repaired, by its journal; from 4 on errors are left, or it did not run (e2fsck(8)).
    "ext4": FileSystem(("mke2fs", "-q", "-t", "ext4"), ("e2fsck", "-f", "-p"), frozenset({0, 1})),
    "exfat": FileSystem(
        ("mkfs.exfat", "-q"), ("fsck.exfat", "-n"), frozenset({0}), without=("days",)
    ),
}


def make_card(kind: FileSystem, card: Path) -> None:
    """Make an empty card."""
    with card.open("wb") as file:
        file.truncate(CARD_SIZE)
    program, *options = kind.make
    argv = [find_program(program), *options, str(card)]
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def check(kind: FileSystem, card: Path) -> list[str]:
    """Mend a card as far as a start does it by itself; what is wrong then."""
    program, *options = kind.check
    argv = [find_program(program), *options, str(card)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode in kind.good:
        return []
    return [(done.stdout + done.stderr).replace(str(card), "card").strip()]
