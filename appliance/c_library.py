# SPDX-License-Identifier: GPL-3.0-or-later
"""The C library, at hand for packages that would search for it.

They ask `ctypes.util.find_library("c")`, which runs `ldconfig` and looks through its answer, at
each start. But Python is linked with the C library, so it is in the process already, where
`ctypes.CDLL(None)` finds it.
"""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_NAME = "ctypes.util"
_lock = threading.Lock()


@contextmanager
def at_hand() -> Iterator[None]:
    """Let what is imported or called meanwhile find the C library in the process."""
    with _lock:
        if _NAME in sys.modules:  # somebody has paid for it already
            yield
            return
        stand_in = ModuleType(_NAME)
        stand_in.__dict__["find_library"] = _in_the_process
        sys.modules[_NAME] = ctypes.__dict__["util"] = stand_in
        try:
            yield
        finally:
            del sys.modules[_NAME], ctypes.__dict__["util"]


def _in_the_process(name: str) -> None:
    """Answer for `find_library`: None, which `CDLL` takes for the process itself."""
    if name != "c":
        raise OSError(f"nobody was to look for the library {name}")
