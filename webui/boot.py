# SPDX-License-Identifier: GPL-3.0-or-later
"""Which start of the machine this is: the clock of a small board says nothing for sure."""

from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot() -> str:
    """Name this start of the machine; "" where that is not known."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
