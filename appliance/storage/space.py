# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the free space of storages is worth a word: not often, and not for little."""

import math
from collections.abc import Callable
from contextlib import suppress

from appliance.mtp.errors import MtpError
from appliance.mtp.ports import StorageRecord

#: Seconds between two looks at a storage.
_PAUSE = 2.0
#: Bytes, or the part of the capacity, that make a difference.
_NOTABLE = 1 << 20
_NOTABLE_PART = 1000


class Space:
    """Looks at storages in which something has happened, and at no others.

    `look` describes a storage as it is now, or raises MtpError. Times are seconds of one clock.
    """

    def __init__(self, look: Callable[[int], StorageRecord]) -> None:
        self._look = look
        self._touched: dict[int, float] = {}
        self._looked: dict[int, float] = {}
        self._told: dict[int, int] = {}

    def touch(self, storage_id: int, now: float) -> bool:
        """Note that something has happened in a storage; whether that is news.

        The look comes when it is time. What the first one finds is taken for known.
        """
        if storage_id not in self._told:
            self._know(storage_id)
        elif storage_id not in self._touched:
            looked = self._looked.get(storage_id, -math.inf)
            self._touched[storage_id] = max(now, looked + _PAUSE)
            return True
        return False

    def _know(self, storage_id: int) -> None:
        with suppress(MtpError):
            self._told[storage_id] = self._look(storage_id).free

    def due_at(self) -> float:
        """Say when there is something to look at; infinity where there is nothing."""
        return min(self._touched.values(), default=math.inf)

    def changed(self, now: float) -> list[int]:
        """Look where it is time; storages whose free space is notably another."""
        due = [each for each, at in self._touched.items() if at <= now]
        return [each for each in due if self._has_changed(each, now)]

    def _has_changed(self, storage_id: int, now: float) -> bool:
        del self._touched[storage_id]
        self._looked[storage_id] = now
        try:
            record = self._look(storage_id)
        except MtpError:
            return False
        difference = abs(record.free - self._told.get(storage_id, record.free))
        if not difference or difference < min(_NOTABLE, record.capacity // _NOTABLE_PART):
            return False
        self._told[storage_id] = record.free
        return True
