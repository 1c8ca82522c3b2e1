# SPDX-License-Identifier: GPL-3.0-or-later
"""Beside QEMU's usb-mtp, in one guest on one controller: python -m tests.bench.redirected.

Both serve the same files from memory. The same clients measure both in turn, and a pump that
answers at once with zeros over a socket like ours: what QEMU itself takes on this road. A whole run
makes the table in docs/qemu.md; `page` makes it of what the last one has kept.
"""

import argparse
import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.bench import build, host, report
from tests.bench.client import MIB
from tests.bench.rows import OURS, PUMP, Row, dump, load
from tests.vm import image
from tests.vm.redirected import RedirectedGuest, device

PAGE = image.PROJECT / "docs/qemu.md"
RESULTS = PAGE.with_suffix(".json")
#: The peer, by its name in a row.
USB_MTP = "usb-mtp"
FOLDERS = (2_000, 10_000)
LARGE = 100 * MIB


def main() -> int:
    """Do what the command line says; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.redirected", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything, and no page")
    parser.add_argument("--note", default="", help="what else the machine does, for the page")
    parser.add_argument("verb", choices=("run", "page"), nargs="?", default="run")
    arguments = parser.parse_args()
    if arguments.verb == "run":
        rows, machine = _run(quick=arguments.quick)
        print(table(rows))
        if arguments.quick:
            return 0
        RESULTS.write_text(dump(rows, **host.describe(arguments.note), **machine))
    write_page()
    return 0


def write_page() -> None:
    """Put table and machine into the page."""
    rows, machine = load(RESULTS.read_text())
    lines = [f"- {name}: {value}" for name, value in machine.items()]
    page = report.put(PAGE.read_text(), "table", table(rows))
    PAGE.write_text(report.put(page, "machine", "\n".join(lines) + "\n"))


def _run(*, quick: bool) -> tuple[list[Row], dict[str, object]]:
    """Boot a guest with all three devices; what it measured, and what it is."""
    tempfile.tempdir = "/dev/shm"
    guest = RedirectedGuest(image.get())
    build.bring(guest.folder, "client")
    beside, socket = guest.folder / "beside", guest.folder / "pump.sock"
    for share in (guest.folder / "share", beside):
        _fill(share)
    options = ("-device", f"usb-mtp,rootdir={beside},readonly=off,bus=xhci.0")
    guest.devices = (*guest.devices, *options, *device(socket, "pump"))
    words = ["python3", "-u", "-m", "tests.bench.redirected_guest", "/run/host/results.json"]
    with _pump(socket):
        guest.start(shlex.join([*words, *(["--quick"] if quick else [])]))
        try:
            _follow(guest)
            return load((guest.folder / "results.json").read_text())
        finally:
            guest.stop()


@contextlib.contextmanager
def _pump(socket: Path) -> Iterator[None]:
    argv = [str(build.program("redirected_pump")), str(socket)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise image.GuestError("the pump does not start")
            yield
        finally:
            process.kill()


def _follow(guest: RedirectedGuest) -> None:
    with guest.output.open() as output:
        while guest.running():
            print(output.read(), end="", file=sys.stderr, flush=True)
            time.sleep(0.2)
    if guest.status():
        raise image.GuestError(guest.last_words())


def _fill(share: Path) -> None:
    for count in FOLDERS:
        folder = share / str(count)
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"photo {number:05}.jpg").touch()
    (share / "up").mkdir()
    (share / "large.bin").write_bytes(os.urandom(MIB) * (LARGE // MIB))


def table(rows: Iterable[Row]) -> str:
    """Lay out medians in seconds; a ratio above 1 says how many times as fast ours is."""
    lines = [
        "| what | by | this | usb-mtp | bare pump | against usb-mtp | against the pump |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        cells = [row.what, row.case]
        cells += [report.number(row.median(who)) for who in (OURS, USB_MTP, PUMP)]
        cells += [report.times(row.ratio(who)) for who in (USB_MTP, PUMP)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
