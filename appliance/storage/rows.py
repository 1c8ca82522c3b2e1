# SPDX-License-Identifier: GPL-3.0-or-later
"""The columns of the table of objects, in pages: what no row of a page needs takes no memory.

A row's number is never given twice. A page whose rows have all been given and freed is let go, so
that files which come and go for months cost nothing in the end. Not for several threads at once.
"""

from array import array
from collections.abc import Iterable, Sequence

_SHIFT = 8
_PAGE = 1 << _SHIFT
_WITHIN = _PAGE - 1


class _Page:
    """Columns of so many rows; `used`: of how many the number is not free yet."""

    __slots__ = ("flags", "names", "parents", "used")

    def __init__(self) -> None:
        self.names = [b""] * _PAGE
        self.parents = array("I", bytes(4 * _PAGE))
        self.flags = bytearray(_PAGE)
        self.used = _PAGE


#: What stands for every page that was let go; nobody writes to a row that was freed.
_GONE = _Page()


class Rows:
    """Names, parents and flags of rows."""

    def __init__(self) -> None:
        self._pages: list[_Page] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def pages(self) -> int:
        """How many pages take memory."""
        return sum(page is not _GONE for page in self._pages)

    def name(self, row: int) -> bytes:
        """Name of a row; empty where it is free."""
        return self._pages[row >> _SHIFT].names[row & _WITHIN]

    def set_name(self, row: int, name: bytes) -> None:
        """Name a row."""
        self._pages[row >> _SHIFT].names[row & _WITHIN] = name

    def parent(self, row: int) -> int:
        """Parent of a row."""
        return self._pages[row >> _SHIFT].parents[row & _WITHIN]

    def set_parent(self, row: int, parent: int) -> None:
        """Put a row below another one."""
        self._pages[row >> _SHIFT].parents[row & _WITHIN] = parent

    def flags(self, row: int) -> int:
        """Flags of a row; 0 where it is free."""
        return self._pages[row >> _SHIFT].flags[row & _WITHIN]

    def set_flags(self, row: int, flags: int) -> None:
        """Give a row other flags, not 0."""
        self._pages[row >> _SHIFT].flags[row & _WITHIN] = flags

    def append(self, flags: int) -> int:
        """Make a row; its number."""
        row = self._count
        self._page().flags[row & _WITHIN] = flags
        self._count += 1
        return row

    def extend(self, names: Sequence[bytes], parent: int, flags: Iterable[int]) -> range:
        """Make rows with one parent; their numbers."""
        first, done, every = self._count, 0, bytes(flags)
        while done < len(names):
            page, at = self._page(), self._count & _WITHIN
            count = min(_PAGE - at, len(names) - done)
            page.names[at : at + count] = names[done : done + count]
            page.parents[at : at + count] = array("I", [parent]) * count
            page.flags[at : at + count] = every[done : done + count]
            self._count, done = self._count + count, done + count
        return range(first, self._count)

    def free(self, row: int) -> None:
        """Need a row no more; harmless when repeated."""
        page = self._pages[row >> _SHIFT]
        if not page.flags[row & _WITHIN]:
            return
        page.flags[row & _WITHIN] = 0
        page.names[row & _WITHIN] = b""
        page.used -= 1
        if not page.used:
            self._pages[row >> _SHIFT] = _GONE

    def _page(self) -> _Page:
        """Find the page of the next row; a new one where the last is full."""
        if self._count & _WITHIN == 0:
            self._pages.append(_Page())
        return self._pages[-1]
