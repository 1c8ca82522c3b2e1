# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted, run by the Python that is emulated: a marker after each piece of work.

python workloads.py FOLDER       the pieces, in FOLDER, which has the files of `make_files`
python ready.py ...              see there
"""

import math
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from appliance.mtp.codes import ResponseCode
from appliance.storage import own
from appliance.transports.usb import Conversation
from tests.bench.marker import mark
from tests.bench.pipes import ScriptedPipes
from tests.fakes.device import responder_for

_STORAGE, _OTHER, _ROOT, _ALL = 0x00010001, 0x00020001, 0xFFFFFFFF, 0xFFFFFFFF
#: The first handle; those before it are the roots'.
_FIRST = 3
#: What lies in the folder: small files, of which the first is `BIG` bytes long.
FILES, BIG = 1000, 32 << 20
UPLOADS = 50
_LONG_AGO = 1_600_000_000
#: The pieces in their order: what is counted, the unit, and how many of it there are.
PIECES = (
    ("scan of a folder", "object", FILES),
    ("GetObjectInfo", "object", FILES),
    ("GetObjectPropList, an object at a time", "object", FILES),
    ("GetObjectPropList, the whole folder", "object", FILES),
    ("download", "MiB", BIG >> 20),
    ("upload", "MiB", BIG >> 20),
    ("upload of a small file", "file", UPLOADS),
    ("delete", "file", UPLOADS),
)


def make_files(folder: Path) -> None:
    """Make what the pieces work on."""
    for number in range(FILES):
        (folder / f"IMG_{number:06}.JPG").touch()
    os.truncate(folder / "IMG_000000.JPG", BIG)
    os.utime(folder, (_LONG_AGO, _LONG_AGO))  # at rest, or it would be looked at again and again


class _Host:
    """Builds what a host sends."""

    def __init__(self) -> None:
        self._transaction = 0
        self._zeros = memoryview(bytearray(BIG + 12))

    def command(self, code: int, *parameters: int) -> memoryview:
        self._transaction += 1
        size = 12 + 4 * len(parameters)
        head = struct.pack("<IHHI", size, 1, code, self._transaction)
        return memoryview(head + struct.pack(f"<{len(parameters)}I", *parameters))

    def data(self, code: int, size: int, start: bytes = b"") -> memoryview:
        view = self._zeros[: 12 + size]
        view[: 12 + len(start)] = (
            struct.pack("<IHHI", 12 + size, 2, code, self._transaction) + start
        )
        return view

    def upload(self, name: str, size: int, storage: int = _STORAGE) -> Iterator[memoryview]:
        text = f"{name}\0".encode("utf-16-le")
        info = struct.pack("<IHHI", storage, 0x3000, 0, size) + bytes(40)
        info += bytes([len(text) // 2]) + text + bytes(3)
        yield self.command(0x100C, storage, _ROOT)
        yield memoryview(bytes(self.data(0x100C, len(info), info)))
        yield self.command(0x100D)
        yield self.data(0x100D, size)

    def warm_up(self) -> Iterator[memoryview]:
        """Do everything once in the other storage: what is done for the first time costs more."""
        yield self.command(0x1002, 1)
        yield self.command(0x1007, _OTHER, 0, _ROOT)
        yield from self.upload("warm", 4096, _OTHER)
        yield self.command(0x1008, _FIRST)
        yield self.command(0x9805, _FIRST, 0, _ALL, 0, 0)
        yield self.command(0x1009, _FIRST)
        yield self.command(0x100B, _FIRST, 0)

    def work(self) -> Iterator[Iterable[memoryview]]:
        """The pieces; handles are given in order."""
        known = range(_FIRST + 1, _FIRST + 1 + FILES)
        uploaded = range(known.stop + 1, known.stop + 1 + UPLOADS)  # after the large one
        yield self.warm_up()
        yield [self.command(0x1007, _STORAGE, 0, _ROOT)]
        yield (self.command(0x1008, handle) for handle in known)
        yield (self.command(0x9805, handle, 0, _ALL, 0, 0) for handle in known)
        yield [self.command(0x9805, _ROOT, 0, _ALL, 0, 1)]
        yield [self.command(0x1009, known.start)]
        yield self.upload("big", BIG)
        yield (part for handle in uploaded for part in self.upload(f"u{handle}", 4096))
        yield (self.command(0x100B, handle, 0) for handle in uploaded)


def run(folder: Path) -> None:
    """Do the pieces, and mark each."""

    def script() -> Iterator[memoryview]:
        for number, piece in enumerate(_Host().work()):
            yield from piece
            mark(number)

    with TemporaryDirectory() as other, responder_for([folder, Path(other)]) as responder:
        pipes = ScriptedPipes(script())
        Conversation(pipes, responder.connect("usb")).run()
    wrong = {hex(code) for code in pipes.codes if code != ResponseCode.OK}
    if wrong:
        sys.exit(f"not all was answered by OK: {wrong}")


if __name__ == "__main__":
    sys.setswitchinterval(60)  # threads take turns where they wait, and not when time is up
    setattr(own, "_KEPT", math.inf)  # noqa: B010 - it may be minutes before the watch has its turn
    run(Path(sys.argv[1]))
