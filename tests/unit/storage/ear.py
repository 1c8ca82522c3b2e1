# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens to a store in tests."""

import threading
from collections.abc import Callable
from pathlib import Path

from appliance.mtp.ports import Change, ChangeKind
from appliance.storage import Catalogue

#: Seconds after which a test gives up.
PATIENCE = 20
Told = tuple[ChangeKind, int]


class Ear:
    """Keeps what it was told, but for free space, which anybody may change."""

    def __init__(self, store: Catalogue, root: Path) -> None:
        self._root = root
        self._changed = threading.Condition()
        self._signs = 0
        self.told: list[Told] = []
        self.spaces: list[int] = []
        self.store = store
        store.listen(self._take)

    def _take(self, change: Change) -> None:
        with self._changed:
            if change.kind is ChangeKind.STORAGE_INFO:
                self.spaces.append(change.number)
            else:
                self.told.append((change.kind, change.number))
            self._changed.notify_all()

    def until(self, done: Callable[[], bool]) -> None:
        """Wait until what was told satisfies; the test fails where it never does."""
        with self._changed:
            assert self._changed.wait_for(done, PATIENCE), self.told

    def all(self) -> list[Told]:
        """What was told of all that has happened until now; it is forgotten then.

        Something happens on the device that is told after all else; the root must be listed.
        """
        self._signs += 1
        sign = f"sign {self._signs}"
        (self._root / sign).mkdir()
        self.until(lambda: self._is_told(sign))
        with self._changed:
            told, self.told = self.told, []
        return [each for each in told if not self._is_sign(each)]

    def _is_told(self, name: str) -> bool:
        return any(kind is ChangeKind.ADDED and self._name(row) == name for kind, row in self.told)

    def _is_sign(self, told: Told) -> bool:
        return self._name(told[1]).startswith("sign ")

    def _name(self, row: int) -> str:
        table = self.store._table
        return table.name(row).decode(errors="replace") if table.is_alive(row) else ""
