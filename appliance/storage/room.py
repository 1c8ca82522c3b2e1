# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing what takes space: on a full disk again and again, as long as there is some to make."""

import errno
from collections.abc import Callable
from typing import TypeVar

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError

_Result = TypeVar("_Result")
#: What file systems say when they are full.
_FULL = {errno.ENOSPC, errno.EDQUOT}


def with_room(make_room: Callable[[], bool], act: Callable[[], _Result]) -> _Result:
    """Act; where the disk is full, make some room and act anew. Raises OSError, MtpError.

    `make_room` says whether there was any to be made. An act that fails must leave all as it was:
    so the sync that follows one is no part of it. Not to be called under the lock: making room may
    take a while.
    """
    while True:
        try:
            return act()
        except (OSError, MtpError) as error:
            if not _is_full(error) or not make_room():
                raise


def _is_full(error: OSError | MtpError) -> bool:
    if isinstance(error, MtpError):
        return error.code is ResponseCode.STORE_FULL
    return error.errno in _FULL
