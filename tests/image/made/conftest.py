# SPDX-License-Identifier: GPL-3.0-or-later
"""The image that `make image-test` has made. Without one, these tests are not even collected.

`make image-boot-test` boots it, too; of the ARMv6 one it also runs the programs by themselves.
"""

import os
import shutil
from pathlib import Path

import pytest

from image.__main__ import PROJECT, image_name
from image.boards import BOARDS, Board
from tests.image.disk import Disk

BOARD = os.environ.get("MTP_APPLIANCE_IMAGE", "")
_BOOTS = os.environ.get("MTP_APPLIANCE_IMAGE_BOOTS", "")

#: What runs which image.
_RUNS = {"test_boot.py": {"zero2w", "zero"}, "test_armv6.py": {"zero"}}
collect_ignore_glob = (
    [file for file, boards in _RUNS.items() if BOARD not in boards or not _BOOTS]
    if BOARD
    else ["*"]
)


@pytest.fixture(scope="session")
def board() -> Board:
    return BOARDS[BOARD]


@pytest.fixture(scope="session")
def image(board: Board) -> Path:
    return PROJECT / f"build/image/{image_name(board)}.img"


@pytest.fixture(scope="session")
def made(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """The image, to look into."""
    return Disk(image, tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="session")
def card(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """A card of 2 GB that the image has been written to."""
    folder = tmp_path_factory.mktemp("card")
    return write_card(image, folder, 2 << 30)


def write_card(image: Path, folder: Path, size: int) -> Disk:
    """Write the image to a card; where that is smaller, as much as fits."""
    copy = folder / "card.img"
    shutil.copyfile(image, copy)
    os.truncate(copy, size)
    return Disk(copy, folder)
