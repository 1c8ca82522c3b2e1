# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of more than 4 GiB, both ways, by the library that most programs on a PC use.

libmtp writes the length of such a file modulo 2^32 into the header of what it sends.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.mtp_tools import MtpTools
from tests.clients.served import serve, wait_for_device

pytestmark = pytest.mark.guest

SIZE = (4 << 30) + (3 << 20) + 5
#: Where the content is not zero: offset and bytes.
MARKS = ((0, b"first"), ((4 << 30) - 3, b"across 4 GiB"), (SIZE - 4, b"last"))


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder on the guest's disk: its memory is too small for such a file."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    yield folder
    shutil.rmtree(folder)


def _make(path: Path) -> None:
    with path.open("wb") as file:
        for offset, mark in MARKS:
            file.seek(offset)
            file.write(mark)


def _check(path: Path) -> None:
    assert path.stat().st_size == SIZE
    with path.open("rb") as file:
        for offset, mark in MARKS:
            file.seek(offset)
            assert file.read(len(mark)) == mark


def test_more_than_4_gib_down_and_up(disk: Path) -> None:
    share = disk / "share"
    share.mkdir()
    _make(share / "huge.bin")
    client = MtpTools()
    with serve("--usb", "--state-dir", disk / "state", f"Card={share}", share=share):
        wait_for_device()
        assert client.sizes("") == {"huge.bin": SIZE}
        client.get("huge.bin", disk / "back.bin")
        _check(disk / "back.bin")
        (share / "huge.bin").unlink()
        (disk / "back.bin").rename(disk / "up.bin")
        client.put(disk / "up.bin", "")
        _check(share / "up.bin")
