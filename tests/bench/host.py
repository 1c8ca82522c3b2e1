# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine on which something is measured."""

import os
import platform
import time
from pathlib import Path


def describe(note: str = "") -> dict[str, object]:
    """Say what it is, and how busy: by a note, or else by its load average."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return {
        "host": cpu[0].partition(": ")[2] if cpu else platform.machine(),
        "host processors": os.cpu_count(),
        "host load": note or f"load average {os.getloadavg()[0]:.1f} at the end",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
