# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to run: the modules that come in, and the memory that objects take."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = (
    *("asyncio", "flask", "gpiozero", "functionfs", "libaio", "pyinotify", "_hashlib"),
    *("argparse", "dataclasses", "inspect", "subprocess", "ctypes.util", "shutil", "tempfile"),
)
OBJECTS = 10_000
PEAK_KIB = 25 * 1024

LIST_AND_DESCRIBE = """
import sys
from pathlib import Path
import appliance.cli, appliance.transports.ptpip
from appliance.storage import Catalogue, Folder

with Catalogue([Folder(Path(sys.argv[1]), "Card")], watch=True) as store:
    handles = store.children(store.storage_ids()[0], 0)
    for handle in handles:
        store.record(handle)
    print(len(handles))
    print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def python(code: str, *arguments: str) -> list[str]:
    """The words that a fresh interpreter says to `code`."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "module",
    [
        *("appliance.mtp.responder", "appliance.transports.ptpip", "appliance.storage"),
        *("appliance.cli", "appliance.cli.start", "appliance.services.mtpd"),
    ],
)
def test_importing_brings_in_nothing_heavy(module: str) -> None:
    loaded = python(f"import sys, {module}; print(*sys.modules)")
    assert not set(HEAVY) & set(loaded)


def test_ten_thousand_objects_take_little_memory(tmp_path: Path) -> None:
    for number in range(OBJECTS):
        (tmp_path / f"a file with a usual name {number:05}.txt").touch()
    count, peak = python(LIST_AND_DESCRIBE, str(tmp_path))
    assert int(count) == OBJECTS
    assert int(peak) < PEAK_KIB
