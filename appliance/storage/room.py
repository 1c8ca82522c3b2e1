# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing what takes space: on a full disk again and again, as long as there is some to make."""

import errno
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")
#: What file systems say when they are full.
_FULL = {errno.ENOSPC, errno.EDQUOT}


def with_room(make_room: Callable[[], bool], act: Callable[[], _Result]) -> _Result:
    """Act; where the disk is full, make some room and act anew. Raises OSError.

    `make_room` says whether there was any to be made. An act that fails must leave all as it was.
    """
    while True:
        try:
            return act()
        except OSError as error:
            if error.errno not in _FULL or not make_room():
                raise
