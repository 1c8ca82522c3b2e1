# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done here for initiators, so that the watch does not tell them of their own doing.

What comes and goes needs no note: the table has it already when the event comes. A note is for
content and dates, which the table does not know: what the object looked like afterwards. It also
says which file of the disk a row stands for now. A file that is being edited, and a tree that is
being emptied, have nothing to be compared with before the end: of them nothing is told at all.
"""

import os
import stat
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

_MOST = 1024
#: Seconds after which the watch has long seen it.
_KEPT = 10.0

_Look = tuple[int, ...]


class OngoingEdit(Protocol):
    """A file that is being changed in place."""

    @property
    def handle(self) -> int:
        """Whose content it is."""
        ...

    def is_of(self, status: os.stat_result) -> bool:
        """Whether it is this file: another one can have come to lie in its place."""
        ...


class OwnChanges:
    """Notes on what we have done; not for several threads at once.

    `current` gives the handle under which an object is listed: what an initiator does by another
    one is our own doing too.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        current: Callable[[int], int] = lambda handle: handle,
    ) -> None:
        self._clock = clock
        self._current = current
        self._notes: OrderedDict[int, tuple[float, _Look]] = OrderedDict()
        self._edits: weakref.WeakSet[OngoingEdit] = weakref.WeakSet()
        self._leaving: list[int] = []
        self._emptied: list[int] = []

    def note(self, handle: int, status: os.stat_result) -> None:
        """Keep what an object looks like after a change of our own."""
        handle = self._current(handle)
        self._notes.pop(handle, None)
        self._notes[handle] = self._clock(), _look(status)
        while len(self._notes) > _MOST or self._oldest() + _KEPT < self._clock():
            self._notes.popitem(last=False)

    def forget(self, handle: int) -> None:
        """Drop the note on an object that somebody else has changed."""
        self._notes.pop(handle, None)

    def is_own(self, handle: int, status: os.stat_result) -> bool:
        """Whether nobody but us has changed an object lately."""
        return self._is_edited(handle, status) or self._noted(handle) == _look(status)

    def may_be(self, handle: int, status: os.stat_result) -> bool:
        """Whether a row can stand for a file; not where we have just made it stand for another."""
        noted = self._noted(handle)
        return noted is None or noted[0] == status.st_ino

    def begin_edit(self, edit: OngoingEdit) -> None:
        """Note that a file will be changed, until the end or until the edit is forgotten."""
        self._edits.add(edit)

    def end_edit(self, edit: OngoingEdit, status: os.stat_result | None) -> None:
        """Note what came of an edit; None where its file is the object's no more."""
        self._edits.discard(edit)
        if status is not None:
            self.note(edit.handle, status)

    def leaving(self, handle: int) -> AbstractContextManager[None]:
        """Note, for the length of a block, that we are deleting an object."""
        return _held_in(self._leaving, handle)

    def is_leaving(self, row: int) -> bool:
        """Whether an object is being deleted."""
        return bool(self._leaving) and row in map(self._current, self._leaving)

    def emptying(self, folder: int) -> AbstractContextManager[None]:
        """Note, for the length of a block, that we are removing all that is in a folder."""
        return _held_in(self._emptied, folder)

    def is_emptied(self, rows: Iterable[int]) -> bool:
        """Whether all in one of the rows is being removed."""
        return bool(self._emptied) and not set(self._emptied).isdisjoint(rows)

    def _is_edited(self, handle: int, status: os.stat_result) -> bool:
        edits = (each for each in self._edits if self._current(each.handle) == handle)
        return any(each.is_of(status) for each in edits)

    def _oldest(self) -> float:
        return next(iter(self._notes.values()))[0]

    def _noted(self, handle: int) -> _Look | None:
        since, look = self._notes.get(handle, (0.0, ()))
        return look if look and since + _KEPT >= self._clock() else None


def _look(status: os.stat_result) -> _Look:
    """Reduce to what a change changes; a folder's dates change with what is in it."""
    if stat.S_ISDIR(status.st_mode):
        return status.st_ino, status.st_mode
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextmanager
def _held_in(rows: list[int], row: int) -> Iterator[None]:
    rows.append(row)
    try:
        yield
    finally:
        rows.remove(row)
