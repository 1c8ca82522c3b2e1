# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of more than 4 GiB, both ways, by the library that most programs on a PC use.

libmtp writes the length of such a file modulo 2^32 into the header of what it sends.
"""

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.clients.mtp_tools import MtpTools
from tests.clients.served import serve, wait_for_device

pytestmark = pytest.mark.guest

SIZE = (4 << 30) + (3 << 20) + 5
#: Where the content is not zero: offset and bytes.
MARKS = ((0, b"first"), ((4 << 30) - 3, b"across 4 GiB"), (SIZE - 4, b"last"))
_PIECE = 1 << 20
_PATIENCE = 60.0


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


def _expected(offset: int, length: int) -> bytes:
    """Give what the file has there."""
    piece = bytearray(length)
    for at, mark in MARKS:
        for number, byte in enumerate(mark, at - offset):
            if 0 <= number < length:
                piece[number] = byte
    return bytes(piece)


class _Reader:
    """Compares what passes through a pipe with what the file has."""

    def __init__(self, pipe: Path) -> None:
        self._pipe = pipe
        self.right = 0
        self.is_wrong = False

    def run(self) -> None:
        """Read to the end; `right` is how many bytes were as they should be."""
        with self._pipe.open("rb", buffering=0) as file:
            fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, _PIECE)
            while piece := file.read(_PIECE):
                if piece == _expected(self.right, len(piece)):
                    self.right += len(piece)
                else:
                    self.is_wrong = True


@contextmanager
def _compared(pipe: Path) -> Iterator[_Reader]:
    """Compare what a client writes to `pipe` while the block lasts: the disk is too slow for it."""
    os.mkfifo(pipe)
    reader = _Reader(pipe)
    thread = threading.Thread(target=reader.run, daemon=True)
    thread.start()
    yield reader
    with suppress(OSError):  # nobody reads any more; or nobody ever wrote
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    thread.join(_PATIENCE)


def test_more_than_4_gib_down_and_up(disk: Path) -> None:
    share = disk / "share"
    share.mkdir()
    _make(share / "huge.bin")
    _make(disk / "up.bin")
    client = MtpTools()
    with serve("--usb", "--state-dir", disk / "state", f"Card={share}", share=share):
        wait_for_device()
        assert client.sizes("") == {"huge.bin": SIZE}
        with _compared(disk / "pipe") as reader:
            client.get("huge.bin", disk / "pipe")
        assert (reader.right, reader.is_wrong) == (SIZE, False)
        (share / "huge.bin").unlink()
        client.put(disk / "up.bin", "")
        _check(share / "up.bin")
