# SPDX-License-Identifier: GPL-3.0-or-later
"""The image that `make image-test` has made. Without one, these tests are not even collected."""

import os
from pathlib import Path

import pytest

from image.__main__ import PROJECT, image_name
from image.boards import BOARDS, Board
from tests.image.disk import Disk

BOARD = os.environ.get("MTP_APPLIANCE_IMAGE", "")

collect_ignore_glob = [] if BOARD else ["*"]


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
