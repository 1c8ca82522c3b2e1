# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs ask for each object when they list a folder, from recordings of them.

The recordings are `tests/data/traces`. There is none of Windows, which asks for all properties of
each object.
"""

import functools
from itertools import groupby

from tests.protocol.traces import FOLDER, read

_HANDLES = 0x1007
WINDOWS = ("9805,@,0,FFFFFFFF,0,0",)
#: Where a device has no property lists, libmtp asks so instead, and Windows for these two alone.
WITHOUT_LISTS = ("1008,@", "9801,3000", "9803,@,DC04")
WINDOWS_WITHOUT_LISTS = ("1008,@", "9803,@,DC04")


@functools.cache
def of(recording: str) -> tuple[str, ...]:
    """Find the steps that a recorded program took for each object after it listed a folder.

    A step is as `client.c` has it; all objects have to have been asked for the same.
    """
    steps = list(read(FOLDER / f"{recording}.ops.txt"))
    start = 1 + next(at for at, each in enumerate(steps) if each.code == _HANDLES)
    about: list[tuple[int, str]] = []
    for step in steps[start:]:
        if not step.parameters or step.code == _HANDLES:
            break
        words = [f"{step.code:04X}", "@", *(f"{each:X}" for each in step.parameters[1:])]
        about.append((step.parameters[0], ",".join(words)))
    habits = {
        tuple(words for _, words in group) for _, group in groupby(about, lambda each: each[0])
    }
    (habit,) = habits
    return habit
