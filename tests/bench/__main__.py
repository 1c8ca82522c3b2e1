# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.bench run | memory | counts | page: measure, count, write the page."""

import argparse
import shlex
import sys
import time
from pathlib import Path

from tests.bench import counts, host, memory, plot, report
from tests.bench.build import bring
from tests.bench.roots import PROCESSORS
from tests.bench.rows import UMTP, Row, dump, load
from tests.vm import image
from tests.vm.machine import Guest

PAGE = image.PROJECT / "docs/performance.md"
RESULTS = PAGE.with_suffix(".json")
PICTURE = PAGE.with_suffix(".svg")
PICTURE_SAYS = "How many times better than uMTP-Responder, each thing that was measured in both"
_INTERRUPTED = 130
COUNTS = Path(__file__).with_name("instructions.json")


def main() -> int:
    """Do what the command line says; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="measure in the virtual Pi, then write the page")
    run.add_argument(
        "extent",
        choices=("quick", "short", "full"),
        nargs="?",
        default="full",
        help="quick: little of everything, and no page",
    )
    run.add_argument("--note", default="", help="what else this machine did meanwhile")
    verbs.add_parser("memory", help="measure the memory for a million objects, then write the page")
    verbs.add_parser("counts", help="count instructions anew; the record that the test holds")
    verbs.add_parser("page", help="write the page from what was measured last")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "run":
            return _run(arguments.extent, arguments.note)
        if arguments.verb == "memory":
            _keep(memory.measure(), {}, "")
        if arguments.verb == "counts":
            _count()
        write_page()
    except image.GuestError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(extent: str, note: str) -> int:
    """Measure in the guest; who interrupts it keeps the rows that are done."""
    guest = Guest(image.get())
    bring(guest.folder, "client", "pump")
    results = guest.folder / "results.json"
    words = ["python3", "-m", "tests.bench.guest", "/run/host/results.json", extent]
    guest.start(shlex.join(words))
    try:
        status = _follow(guest)
        if extent != "quick" and results.exists():
            rows, machine = load(results.read_text())
            others = memory.measure() if status == 0 else []
            _keep([*rows, *others], machine, note)
            write_page()
        return status
    finally:
        guest.stop()


def _follow(guest: Guest) -> int:
    """Show what the guest says until it ends; its exit status."""
    try:
        with guest.output.open() as output:
            while guest.running():
                print(output.read(), end="", flush=True)
                time.sleep(0.2)
            print(output.read(), end="", flush=True)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return guest.status()


def _keep(rows: list[Row], machine: dict[str, object], note: str) -> None:
    """Put rows in the place of those that were there for the same; others stay."""
    old, known = load(RESULTS.read_text()) if RESULTS.exists() else ([], {})
    machine = {**known, **machine, **host.describe(note)}
    new = {(row.what, row.case) for row in rows}
    kept = [row for row in old if (row.what, row.case) not in new]
    RESULTS.write_text(dump([*rows, *kept], **machine))


def _count() -> None:
    made = {name: counts.usual(processor) for name, processor in PROCESSORS.items()}
    COUNTS.write_text(counts.dump(made))


def write_page() -> None:
    """Put tables and picture into docs from the JSON files."""
    rows, machine = load(RESULTS.read_text())
    compared = any(row.ratio(UMTP) for row in rows)
    if compared:
        PICTURE.write_text(plot.picture(rows))
    picture = f"![{PICTURE_SAYS}]({PICTURE.name})\n\n" if compared else ""
    page = report.put(PAGE.read_text(), "table", picture + report.table(rows))
    lines = [f"- {name}: {value}" for name, value in machine.items()]
    page = report.put(page, "machine", "\n".join(lines) + "\n")
    records = counts.load(COUNTS.read_text())
    PAGE.write_text(report.put(page, "counts", report.counts_table(records)))


if __name__ == "__main__":
    sys.exit(main())
