# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in the virtual Pi: all measurements, one JSON file at the end.

python -m tests.bench.guest OUTPUT [--quick]
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench import measures, peers
from tests.bench.client import KIB, MIB
from tests.bench.rows import OURS, UMTP, Row, dump

_PUMP_REQUEST = 256 * KIB


def main() -> None:
    """Measure, and write what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    parser.add_argument("--quick", action="store_true", help="little of everything")
    arguments = parser.parse_args()
    rows = []
    start = time.monotonic()
    for row in _measure(quick=arguments.quick):
        rows.append(row)
        medians = {who: f"{row.median(who):.4g}" for who in row.samples}
        print(f"{time.monotonic() - start:6.0f} s  {row.what}, {row.case}: {medians} {row.unit}")
        sys.stdout.flush()
        arguments.output.write_text(dump(rows, **_machine()))


def _measure(*, quick: bool) -> Iterator[Row]:
    repeats, size = (1, 4 * MIB) if quick else (5, 32 * MIB)
    count = 50 if quick else 1000
    ram, disk = Path(tempfile.mkdtemp(dir="/tmp")), Path(tempfile.mkdtemp(dir="/root"))
    with ExitStack() as stack:
        stack.enter_context(peers.cables(3))
        everyone = [
            stack.enter_context(peers.ours(ram, disk, 0)),
            stack.enter_context(peers.umtp(ram, disk, 1)),
            stack.enter_context(peers.pump(_PUMP_REQUEST, 2)),
        ]
        yield measures.starts(everyone)
        clients = measures.opened(everyone, stack)
        table = measures.Table(everyone, clients, repeats, limit=2 if quick else 20)
        yield from measures.memory(table, 100 if quick else 10_000)
        yield from measures.transfers(table, size)
        yield from measures.small_files(table, count, 4 * KIB, "memory", {OURS: OURS, UMTP: UMTP})
        yield from measures.small_files(
            table, count, 4 * KIB, "disk", {OURS: "ours, safe", UMTP: UMTP}
        )
        _be_fast(everyone[0])
        yield from measures.small_files(table, count, 4 * KIB, "disk", {OURS: "ours, fast"})
        yield measures.events(table, 3 if quick else 10)
        yield measures.thumbnails(table, 2 if quick else 20)
        yield from measures.listings(table, (10, 100) if quick else (100, 1000, 10_000, 100_000))


def _be_fast(peer: peers.Peer) -> None:
    assert peer.settings is not None
    peer.settings.write_text(peer.settings.read_text().replace('"safe"', '"fast"'))
    os.kill(peer.process.pid, signal.SIGHUP)
    time.sleep(5)


def _machine() -> dict[str, object]:
    version = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "umtp-responder"], capture_output=True, check=True
    )
    return {
        "guest": "QEMU, emulated (TCG), 2 processors, 3 GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "umtp-responder": version.stdout.decode(),
    }


if __name__ == "__main__":
    main()
