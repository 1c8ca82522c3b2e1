# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory for many known objects, on this machine itself: bytes do not depend on its speed.

python -m tests.bench.memory FOLDER      serves FOLDER, in which a million files lie, and tells
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.rows import OURS, Row
from tests.fakes.memory_client import connect_memory
from tests.vm.image import PROJECT

MANY = 1_000_000
_FOLDERS = 1000
#: A million files are made in seconds there; it takes a gigabyte.
_IN_MEMORY = Path("/dev/shm")
_STORAGE, _ROOT = 0x00010001, 0xFFFFFFFF


def measure() -> list[Row]:
    """Serve a million objects by a process of its own; bytes an object, and all of it."""
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as folder:
        for outer in range(_FOLDERS):
            (inner := Path(folder) / f"folder-{outer:04}").mkdir()
            for number in range(MANY // _FOLDERS):
                (inner / f"IMG_{number:06}.JPG").touch()
        argv = [sys.executable, "-m", "tests.bench.memory", folder]
        said = json.loads(subprocess.run(argv, cwd=PROJECT, capture_output=True, check=True).stdout)
    case = f"{MANY:,} objects in {_FOLDERS:,} folders"
    return [
        Row("memory of the responder", case, "MB", {OURS: [said["all"] / 1e6]}),
        Row("memory for a known object", case, "bytes", {OURS: [said["each"]]}),
    ]


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def _serve(folder: Path) -> None:
    with connect_memory(folder) as client:
        client.call(0x1002, 1)
        before = _resident()
        assert client.call(0x1007, _STORAGE, 0, _ROOT).ok
        answer = client.call(0x1007, _STORAGE, 0, 0)
        assert answer.ok
        assert answer.data is not None
        known = int.from_bytes(answer.data[:4], "little")
        del answer
        after = _resident()
    print(json.dumps({"all": after, "each": (after - before) / known, "known": known}))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
