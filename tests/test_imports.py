# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to start: the modules that come in."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("asyncio", "flask", "gpiozero", "functionfs", "libaio", "pyinotify")


def python(code: str, *arguments: str) -> str:
    """What a fresh interpreter says to `code`."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "module", ["appliance.mtp.responder", "appliance.transports.ptpip", "appliance.cli"]
)
def test_importing_brings_in_nothing_heavy(module: str) -> None:
    loaded = python(f"import sys, {module}; print(*sys.modules)").split()
    assert not set(HEAVY) & set(loaded)
