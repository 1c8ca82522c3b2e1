# SPDX-License-Identifier: GPL-3.0-or-later
"""From a name to a row, in one folder: the rows in the order of their names, four bytes each."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable


class NameIndex:
    """The rows of one folder; `name` gives the name of each."""

    def __init__(self, rows: Iterable[int], name: Callable[[int], bytes]) -> None:
        self._name = name
        self._rows = array("I", sorted(rows, key=name))

    def find(self, name: bytes) -> int | None:
        """Find the row of a name; None where there is none."""
        position = self._position(name)
        if position < len(self._rows) and self._name(self._rows[position]) == name:
            return self._rows[position]
        return None

    def add(self, row: int) -> None:
        """Take in a row, which has its name."""
        self._rows.insert(self._position(self._name(row)), row)

    def remove(self, row: int) -> None:
        """Leave out a row, which still has its name; another one may have it too, for a moment."""
        name = self._name(row)
        for position in range(self._position(name), len(self._rows)):
            if self._rows[position] == row:
                del self._rows[position]
                return
            if self._name(self._rows[position]) != name:
                return

    def _position(self, name: bytes) -> int:
        return bisect_left(self._rows, name, key=self._name)
