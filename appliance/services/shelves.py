# SPDX-License-Identifier: GPL-3.0-or-later
"""The storages for the status: looked at seldom, for a look may have to wait for a disk."""

import math
from collections.abc import Iterator

from appliance.mtp.errors import MtpError
from appliance.status import StorageStatus, Unsafe
from appliance.storage import Catalogue
from appliance.storage.errors import HEALTH
from appliance.storage.storages import State, StorageState

#: Seconds between two looks at a disk that is being written to.
_PAUSE = 2.0


class Shelves:
    """What the storages looked like, and when that is too old; `expire` is for any thread."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._seen: tuple[StorageStatus, ...] = ()
        self._looked = -math.inf
        self._is_stale = True
        self._has_moved = False

    def expire(self) -> None:
        """Note that storages have come, gone or changed."""
        self._is_stale = True

    def look(self, now: float, *, moving: bool) -> tuple[tuple[StorageStatus, ...], float]:
        """Say what the storages are like, and in how many seconds to look again."""
        self._has_moved |= moving
        is_due = self._has_moved and now - self._looked >= _PAUSE
        if self._is_stale or is_due:
            self._is_stale, self._has_moved = False, moving
            self._seen, self._looked = tuple(self._look()), now
        return self._seen, max(0.0, self._looked + _PAUSE - now) if self._has_moved else math.inf

    def _look(self) -> Iterator[StorageStatus]:
        for each in self._catalogue.storages():
            yield self._describe(each)

    def _describe(self, storage: StorageState) -> StorageStatus:
        state, free, capacity = storage.state, 0, 0
        if state is State.IN:
            try:
                record = self._catalogue.storage(storage.storage_id)
                free, capacity = record.free, record.capacity
            except MtpError:
                state = State.MISSING
        read_only = storage.read_only
        return StorageStatus(
            storage.name, str(storage.path), state.value, read_only, free, capacity
        )

    @property
    def unwatched(self) -> str:
        """Why changes on the device are not all seen at once; "" where they are."""
        return self._catalogue.unwatched

    def unsafe(self) -> Unsafe:
        """Say what is not yet on the card."""
        waiting = self._catalogue.unsafe()
        return Unsafe(waiting.files, waiting.size, waiting.until)

    @property
    def trouble(self) -> str:
        """What a disk has said that it cannot do, since the start; "" for nothing."""
        return HEALTH.trouble
