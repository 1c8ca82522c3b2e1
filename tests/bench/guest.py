# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in the virtual Pi: all measurements, one JSON file.

python -m tests.bench.guest OUTPUT [quick | short | full]
"""

import argparse
import compileall
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import measures, peers
from tests.bench.client import KIB, MIB
from tests.bench.rows import OURS, UMTP, Row, dump
from tests.vm import dummy

_PUMP_REQUEST = 256 * KIB


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured; `limit` is the seconds after which a slow way is cut short."""

    repeats: int
    size: int
    files: int
    limit: int
    listings: tuple[int, ...]
    listed: int
    others: int


EXTENTS = {
    "quick": Extent(1, 2 * MIB, 20, 2, (10, 100), 100, 2),
    "short": Extent(3, 8 * MIB, 100, 6, (100, 1000, 10_000), 10_000, 5),
    "full": Extent(5, 32 * MIB, 1000, 20, (100, 1000, 10_000, 100_000), 10_000, 20),
}


def main() -> None:
    """Measure, and write what came of it after each row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    parser.add_argument("extent", choices=EXTENTS, nargs="?", default="full")
    arguments = parser.parse_args()
    rows = []
    start = time.monotonic()
    for row in _measure(EXTENTS[arguments.extent]):
        rows.append(row)
        medians = {who: f"{row.median(who):.4g}" for who in row.samples}
        print(f"{time.monotonic() - start:6.0f} s  {row.what}, {row.case}: {medians} {row.unit}")
        sys.stdout.flush()
        arguments.output.write_text(dump(rows, **_machine(arguments.extent)))


def _measure(extent: Extent) -> Iterator[Row]:
    ram, disk = Path(tempfile.mkdtemp(dir="/tmp")), Path(tempfile.mkdtemp(dir="/root"))
    compileall.compile_dir("appliance", quiet=1)  # or its first start would be measured
    dummy.load("high", cables=4)
    with ExitStack() as stack:
        everyone = [
            stack.enter_context(peers.ours(ram, disk, 0)),
            stack.enter_context(peers.umtp(ram, disk, 1)),
            stack.enter_context(peers.pump(_PUMP_REQUEST, 2)),
            stack.enter_context(peers.pump(_PUMP_REQUEST, 3, store=ram)),
        ]
        yield measures.starts(everyone)
        clients = measures.opened(everyone, stack)
        table = measures.Table(everyone, clients, extent.repeats, extent.limit)
        yield from measures.memory(table, extent.listed)
        yield from measures.transfers(table, extent.size)
        yield from measures.listings(table, extent.listings)
        yield from _small_files(table, extent.files)
        yield measures.events(table, extent.others)
        yield measures.thumbnails(table, extent.others)


def _small_files(table: measures.Table, count: int) -> Iterator[Row]:
    size = 4 * KIB
    yield from measures.small_files(table, count, size, "memory", {OURS: OURS, UMTP: UMTP})
    yield from measures.small_files(table, count, size, "disk", {OURS: "ours, safe", UMTP: UMTP})
    _be_fast(table.peers[0])
    yield from measures.small_files(table, count, size, "disk", {OURS: "ours, fast"})


def _be_fast(peer: peers.Peer) -> None:
    assert peer.settings is not None
    peer.settings.write_text(peer.settings.read_text().replace('"safe"', '"fast"'))
    os.kill(peer.process.pid, signal.SIGHUP)
    time.sleep(5)


def _machine(extent: str) -> dict[str, object]:
    version = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "umtp-responder"], capture_output=True, check=True
    )
    return {
        "extent": extent,
        "guest": "QEMU, emulated (TCG), 2 processors, 3 GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "umtp-responder": version.stdout.decode(),
    }


if __name__ == "__main__":
    main()
