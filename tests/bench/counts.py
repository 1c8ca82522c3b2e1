# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts instructions: the same on every machine, whatever else it does meanwhile.

QEMU's user-mode emulation runs a fixed Python of Debian's as a fixed processor (`roots`), and a
plugin counts (`counter.c`).
"""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench import roots, workloads
from tests.bench.build import program
from tests.bench.roots import Processor
from tests.vm.image import PROJECT, GuestError

READY = "start until ready over USB"


@dataclass(frozen=True, slots=True)
class Count:
    """Instructions of one thing, for each `unit` of it."""

    what: str
    unit: str
    instructions: int


@dataclass(frozen=True, slots=True)
class Record:
    """What was counted on one processor, and by which Python: both decide the numbers."""

    python: str
    counts: tuple[Count, ...]


@functools.cache
def _counter() -> Path:
    return program("counter")


def count(processor: Processor) -> Record:
    """Count everything for one processor."""
    root = roots.get(processor)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        (share := state / "share").mkdir()
        workloads.make_files(share)
        ready = _ready(processor, root, state, share)
        marks = _run(processor, root, "tests.bench.workloads", [str(share)])
    counts = [Count(READY, "start", ready)]
    for number, (what, unit, many) in enumerate(workloads.PIECES, start=1):
        counts.append(Count(what, unit, (marks[number] - marks[number - 1]) // many))
    return Record(roots.version(root), tuple(counts))


def usual(processor: Processor, times: int = 5) -> Record:
    """Count several times; of each thing the median, for a lucky count would be held for good.

    Threads that meet in another order cost a little more or less.
    """
    records = [count(processor) for _ in range(times)]
    every = zip(*(each.counts for each in records), strict=True)
    medians = [sorted(same, key=lambda each: each.instructions)[times // 2] for same in every]
    return Record(records[0].python, tuple(medians))


def load(text: str) -> dict[str, Record]:
    """Read records from JSON."""
    return {
        name: Record(each["python"], tuple(Count(**count) for count in each["counts"]))
        for name, each in json.loads(text).items()
    }


def dump(records: Mapping[str, Record]) -> str:
    """Write records as JSON."""
    return json.dumps({name: asdict(each) for name, each in records.items()}, indent=1) + "\n"


def _ready(processor: Processor, root: Path, state: Path, share: Path) -> int:
    """Count up to where it is ready; the first run only compiles the modules."""
    settings = state / "settings.toml"
    settings.write_text(f'version = 1\n[[storages]]\nname = "Card"\npath = "{share}"\n')
    arguments = [str(settings), str(state)]
    _run(processor, root, "tests.bench.ready", arguments)
    return _run(processor, root, "tests.bench.ready", arguments)[0]


def _run(processor: Processor, root: Path, module: str, arguments: Sequence[str]) -> dict[int, int]:
    """Run a module of ours in the emulated Python; the count at each marker."""
    emulator, *options = processor.emulator
    found = shutil.which(emulator)
    if found is None:
        raise GuestError(f"{emulator} is missing: apt install qemu-user")
    with tempfile.NamedTemporaryFile("r") as log:
        argv = [found, *options, "-L", str(root), "-plugin", f"{_counter()},log={log.name}"]
        argv += [str(root / f"usr/bin/python{processor.python}"), "-s", "-m", module, *arguments]
        done = subprocess.run(
            argv, env=_environment(processor, root), cwd=PROJECT, capture_output=True, check=False
        )
        lines = [line.split() for line in log]
    if done.returncode or not lines:
        raise GuestError(f"{module} failed on {processor.name}:\n{done.stderr.decode()[-4000:]}")
    return {int(number): int(instructions) for number, instructions in lines}


def _environment(processor: Processor, root: Path) -> dict[str, str]:
    """Fix what Python takes from its surroundings; modules of ours are compiled beside the root."""
    site = root / f"usr/local/lib/python{processor.python}/dist-packages"
    packages = root / "usr/lib/python3/dist-packages"
    return {
        "PATH": os.defpath,
        "PYTHONHASHSEED": "0",
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": f"{site}:{packages}",
        "PYTHONPYCACHEPREFIX": str(root / "compiled"),
        "LANG": "C.UTF-8",
        "HOME": "/",
        "TZ": "UTC",
    }
