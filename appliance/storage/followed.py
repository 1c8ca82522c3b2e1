# SPDX-License-Identifier: GPL-3.0-or-later
"""Which row a watch is for. A folder that lies in two storages has one watch and two rows."""

from collections.abc import Iterator

from appliance.storage.watch import Watch

_NONE: tuple[int, ...] = ()


class Followed:
    """Watches of folders by their rows, two numbers each; not for several threads at once."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._watches: dict[int, int] = {}
        self._rows: dict[int, int | tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def __iter__(self) -> Iterator[int]:
        return iter(self._watches)

    def add(self, row: int, fd: int) -> None:
        """Watch a folder, open as `fd`; nothing new where that very folder is watched already."""
        number = self._watch.add(fd)
        if number is not None and number != self._watches.get(row):
            self.remove(row)
            self._watches[row] = number
            self._set(number, (*self.rows(number), row))

    def remove(self, row: int) -> None:
        """Watch a folder no more; harmless where it was not watched."""
        number = self._watches.pop(row, None)
        if number is None:
            return
        others = tuple(each for each in self.rows(number) if each != row)
        self._set(number, others)
        if not others:
            self._watch.remove(number)

    def hand_over(self, row: int, new: int) -> None:
        """Let the watch of a folder be for another row; harmless where it is not watched."""
        number = self._watches.pop(row, None)
        if number is not None:
            self._watches[new] = number
            self._set(number, tuple(new if each == row else each for each in self.rows(number)))

    def ended(self, number: int) -> None:
        """Note that the kernel has ended a watch."""
        for row in self.rows(number):
            del self._watches[row]
        self._rows.pop(number, None)

    def rows(self, number: int) -> tuple[int, ...]:
        """Rows that a watch is for; none where it is for nothing any more."""
        found = self._rows.get(number, _NONE)
        return found if isinstance(found, tuple) else (found,)

    def _set(self, number: int, rows: tuple[int, ...]) -> None:
        if not rows:
            self._rows.pop(number, None)
        else:
            self._rows[number] = rows[0] if len(rows) == 1 else rows
