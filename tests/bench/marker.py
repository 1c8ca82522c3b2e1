# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets `counter.c` write down what it has counted so far."""

import os
from contextlib import suppress

_MARKER = 0x4D545000


def mark(number: int) -> None:
    """Make a system call that means nothing, and that the counter knows."""
    with suppress(OSError):
        os.getpriority(os.PRIO_PROCESS, _MARKER + number)
