# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the table what the disk is, at the places where something has happened.

What the kernel told only says where to look, and what may have moved where; what is entered and
told is what is on the disk now. Not for several threads at once.
"""

import os
import stat
from collections.abc import Iterable

from appliance.mtp.errors import MtpError
from appliance.mtp.ports import ChangeKind
from appliance.storage.changes import Place
from appliance.storage.errors import is_gone
from appliance.storage.lookup import Lookup
from appliance.storage.scanning import is_for_repairs, is_shown

#: So begins a name that no file has: of a row on its way whose place was taken by another one.
_NOWHERE = b"/"


class Reconciler:
    """Brings places in order, one at a time."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._table = lookup.table
        self._tell = lookup.announcements.tell

    def look(self, place: Place, *, changed: bool) -> None:
        """Make the table true of one place, and tell what is different.

        `changed`: whether what is there may have another content than when it was told.
        """
        place = self._lookup.folder_now(place[0]), place[1]  # it may have moved in that moment
        if not self._is_ours(place[0]) or self._lookup.is_waiting(*place):
            return
        try:
            seen = self._seen(place)
        except (OSError, MtpError):
            self._lookup.doubt(place[0])  # it is gone, which is another place's business, or away
            return
        row = self._table.find(*place)
        if row is not None and self._lookup.own.is_leaving(row):
            return  # to be looked at again when it has left
        if row is not None and (seen is None or not self._is_same(row, *seen)):
            self._drop(row)
            row = None
        if seen is not None and row is None:
            self._tell(ChangeKind.ADDED, self._table.add(*place, is_folder=seen[1]))
        elif seen is not None and row is not None and changed:
            self._tell_content(row, seen[0])

    def move(self, moves: Iterable[tuple[Place, Place]]) -> set[Place]:
        """Take rows along to where their objects went; the places that have got their rows.

        A folder's new place may only be reached when others have arrived: so, as often as it helps.
        What we are deleting stays what it is until that has ended; if it went, it is new elsewhere.
        """
        travelling = {
            target: row
            for origin, target in moves
            if self._is_ours(origin[0]) and (row := self._table.find(*origin)) is not None
            if not self._lookup.own.is_leaving(row)
        }
        rows = set(travelling.values())
        arrived: dict[Place, int] = {}
        while landed := {each for each in travelling if self._land(travelling[each], each, rows)}:
            arrived |= {each: travelling.pop(each) for each in landed}
        for row in rows:
            if self._table.is_alive(row) and self._table.name(row).startswith(_NOWHERE):
                self._drop(row)
        for row in arrived.values():
            self._tell_anew(ChangeKind.PLACE, row)
        return set(arrived)

    def look_all_over(self, folder: int, since: float) -> None:
        """Scan a folder of whose changes some were lost after a moment (Unix seconds)."""
        folder = self._lookup.folder_now(folder)
        if not self._is_ours(folder):
            return
        try:
            known = self._table.children(folder)[:]
            self._lookup.scan_anew(folder)
            for row in known:
                self._compare(row, since)
        except (OSError, MtpError):
            self._lookup.doubt(folder)

    def _is_ours(self, folder: int) -> bool:
        """Whether somebody has seen a folder, and it is not we who are emptying it."""
        if folder not in self._table.marks:
            return False
        return not self._lookup.own.is_emptied(self._table.ancestors(folder))

    def _seen(self, place: Place) -> tuple[os.stat_result, bool] | None:
        """Look at a place: what is shown of it, and whether it is a folder."""
        folder, name = place
        volume = self._lookup.volume_above(folder)
        fd = self._lookup.fd(folder)
        if not is_shown(name, hidden_files=volume.hidden_files):
            return None
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            if is_gone(error):
                return None
            raise
        if stat.S_ISREG(status.st_mode):
            return status, False
        is_ours = self._lookup.is_folder_of(folder, status) and not is_for_repairs(name, status)
        return (status, True) if is_ours else None

    def _is_same(self, row: int, status: os.stat_result, is_folder: bool) -> bool:
        """Whether a row can stand for what is there; a scanned folder only for that very one."""
        if is_folder is not self._table.is_folder(row):
            return False
        mark = self._table.marks.get(row)
        return mark is None or mark.stamp[0] == status.st_ino

    def _drop(self, row: int) -> None:
        self._table.drop(row)
        self._tell(ChangeKind.REMOVED, row)

    def _tell_content(self, row: int, status: os.stat_result) -> None:
        """Tell of another content, if it is not our own doing."""
        if not self._lookup.own.is_own(row, status):
            self._lookup.own.forget(row)
            if self._table.is_folder(row):
                self._tell(ChangeKind.CONTENT, row)
            else:
                self._tell_anew(ChangeKind.CONTENT, row)

    def _tell_anew(self, kind: ChangeKind, row: int) -> None:
        """Tell of an object, under another handle where that is wanted.

        A widespread client believes what it was told of a handle for as long as the device is
        connected, whatever event comes.
        """
        if self._table.is_alive(row):
            renews = self._lookup.renews_handles
            self._tell(kind, row, self._lookup.give_another_handle(row) if renews else 0)

    def _compare(self, row: int, since: float) -> None:
        """Tell of a file that was changed after a moment."""
        if not self._table.is_alive(row) or self._table.is_folder(row):
            return
        if row in self._lookup.waiting:
            return
        seen = self._seen((self._table.parent(row), self._table.name(row)))
        if seen is not None and max(seen[0].st_mtime, seen[0].st_ctime) >= since:
            self._tell_content(row, seen[0])

    # Moves

    def _land(self, row: int, target: Place, travelling: set[int]) -> bool:
        """Bring a row to its object's new place, if it is there and the object is that row's."""
        if not self._can_be_at(row, target):
            return False
        folder, name = target
        twin = self._table.find(folder, name)
        if twin in travelling:
            self._table.rename(twin, b"%s%d" % (_NOWHERE, twin))  # by that it is found again
        elif twin is not None:
            self._drop(twin)
        self._table.rename(row, name)
        if folder != self._table.parent(row):
            self._table.move(row, folder)
        return True

    def _can_be_at(self, row: int, target: Place) -> bool:
        if not self._table.is_alive(row) or not self._is_ours(target[0]):
            return False
        if row in self._lookup.waiting or self._lookup.is_waiting(*target):
            return False
        if row in self._table.ancestors(target[0]):
            return False
        try:
            seen = self._seen(target)
        except (OSError, MtpError):
            return False
        if seen is None or not self._is_same(row, *seen):
            return False
        return self._lookup.own.may_be(row, seen[0])
