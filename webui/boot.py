# SPDX-License-Identifier: GPL-3.0-or-later
"""Which start of the machine this is, and since when: a small board's clock may be wrong."""

import os
import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: Where the unit says it, whose sandbox hides that file.
_VARIABLE = "MTP_APPLIANCE_BOOT_ID"


def boot() -> str:
    """Name this start of the machine; "" where that is not known."""
    told = os.environ.get(_VARIABLE, "")
    if told:
        return told
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def now() -> float:
    """Say how many seconds ago that start was, also those of a machine that slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
