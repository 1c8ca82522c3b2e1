# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of known objects: a handle is a row number, and a row costs about a hundred bytes.

A row's number is never given again, so a handle is never given twice while the process lives. What
belongs to a row lies in columns; there is no Python object per row but the name. The root of each
storage has a row too, whose handle no initiator ever hears of.
"""

from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage.name_index import NameIndex
from appliance.storage.rows import Rows
from appliance.storage.scanning import ScanMark

_MAX_HANDLE = 0xFFFFFFFE
_INDEXED_FOLDERS = 4

# Flags of a row; plain numbers, for they are looked at all the time.
_FOLDER = 1
_ROOT = 2
_ALIVE = 4
_ALIAS = 8
_RESERVED = 16
#: Rows that have left a folder may stand in its list until it has grown by so many.
_LOOSE_ROWS = 1024

#: Old handles that go on to mean an object that has another one by now; the oldest end first.
MOST_ALIASES = 4096


class HandleTable:
    """Rows for objects; not for several threads at once."""

    def __init__(self) -> None:
        self._rows = Rows()
        self._rows.append(_ROOT)  # no object has handle 0; all ways up end here at last
        self._children: dict[int, array[int]] = {}
        self._loose: set[int] = set()  # folders whose children hold rows that went elsewhere
        self._indices: OrderedDict[int, NameIndex] = OrderedDict()
        self._aliases: deque[int] = deque()
        self._successors: dict[int, int] = {}
        self._former: dict[int, deque[int]] = {}
        self.marks: dict[int, ScanMark] = {}
        #: Told of each folder, when its row is forgotten.
        self.on_forget: Callable[[int], None] = _nothing
        #: Told of each folder that gets another row: the old one and the new one.
        self.on_renew: Callable[[int, int], None] = _nothing

    # Rows

    def add_root(self) -> int:
        """Make the row of a storage's root."""
        return self._append(_FOLDER | _ROOT | _ALIVE)

    def reserve(self) -> int:
        """Make a row for an object that is not there yet."""
        return self._append(_RESERVED)

    def give_up(self, handle: int) -> None:
        """Free a reserved row whose object does not come; harmless where it came."""
        if self._rows.flags(handle) & _RESERVED:
            self._rows.free(handle)

    def add(self, parent: int, name: bytes, *, is_folder: bool) -> int:
        """Make the row of an object."""
        handle = self.reserve()
        self.enter(handle, parent, name, is_folder=is_folder)
        return handle

    def enter(self, handle: int, parent: int, name: bytes, *, is_folder: bool) -> None:
        """Fill a reserved row."""
        self._rows.set_name(handle, name)
        self._rows.set_flags(handle, _ALIVE | (_FOLDER if is_folder else 0))
        self._attach(handle, parent)

    def is_alive(self, handle: int) -> bool:
        """Whether a handle names an object that an initiator may know."""
        if not 0 < handle < len(self._rows):
            return False
        return self._rows.flags(handle) & (_ALIVE | _ROOT) == _ALIVE

    def check(self, handle: int) -> None:
        """Refuse a handle that names nothing."""
        if not self.is_alive(handle):
            raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, f"no object {handle:X}")

    def name(self, handle: int) -> bytes:
        """Name on the disk."""
        return self._rows.name(self.current(handle))

    def parent(self, handle: int) -> int:
        """Row of the folder; a root's row for what lies in a root."""
        return self._rows.parent(self.current(handle))

    def is_folder(self, handle: int) -> bool:
        """Whether the row is a folder's, or a root's."""
        return self._rows.flags(handle) & _FOLDER != 0

    def is_root(self, handle: int) -> bool:
        """Whether the row is a root's."""
        return self._rows.flags(handle) & _ROOT != 0

    def ancestors(self, handle: int) -> Iterator[int]:
        """Rows from the object itself up to its root."""
        yield handle
        while not self._rows.flags(handle) & _ROOT:
            handle = self.parent(handle)
            yield handle

    def place(self, folder: int) -> tuple[int, tuple[bytes, ...]]:
        """Row of the root above a folder, and the names from below that root down to it."""
        rows, folder = self._rows, self.current(folder)
        path = []
        while not rows.flags(folder) & _ROOT:
            path.append(rows.name(folder))
            folder = rows.parent(folder)
        path.reverse()
        return folder, tuple(path)

    def rename(self, handle: int, name: bytes) -> None:
        """Give a row another name."""
        handle = self.current(handle)
        index = self._indices.get(self._rows.parent(handle))
        if index is not None:
            index.remove(handle)
        self._rows.set_name(handle, name)
        if index is not None:
            index.add(handle)

    def move(self, handle: int, parent: int) -> None:
        """Put a row, and with it all below it, into another folder."""
        handle = self.current(handle)
        self._detach(handle)
        self.children(parent)  # without what was here before, or it would be there twice
        self._attach(handle, parent)

    def renew(self, handle: int) -> int:
        """Give an object another handle; what lies in a folder keeps its handles.

        Clients that have seen a handle may believe for good what they were told of it. A file's old
        handle goes on to mean it, unlisted, for those who hold it.
        """
        handle = self.current(handle)
        parent, name = self.parent(handle), self.name(handle)
        self._detach(handle)
        new = self.add(parent, name, is_folder=self.is_folder(handle))
        if self.is_folder(handle):
            self._hand_over(handle, new)
            self._forget(handle)
        else:
            self._succeed(handle, new)
        return new

    def _succeed(self, handle: int, new: int) -> None:
        """Let a handle mean what another one is listed as, as long as that is there."""
        self._rows.set_flags(handle, self._rows.flags(handle) | _ALIAS)
        self._aliases.append(handle)
        self._successors[handle] = new
        self._former[new] = self._former.pop(handle, deque())
        self._former[new].append(handle)
        while len(self._aliases) > MOST_ALIASES:
            oldest = self._aliases.popleft()
            former = self._former.get(self.current(oldest))
            if former and former[0] == oldest:
                former.popleft()
            self._forget(oldest)

    def current(self, handle: int) -> int:
        """Find the handle under which an object is listed now; others stay what they are."""
        now = handle
        while (successor := self._successors.get(now)) is not None:
            now = successor
        if now != handle:
            self._successors[handle] = now  # the next time, in one step
        return now

    def _hand_over(self, folder: int, new: int) -> None:
        """Let what is known of a folder be known of another row, for it is the same directory."""
        if folder in self._children:
            self._children[new] = array("I", self.children(folder))
            for each in self._children[new]:
                self._rows.set_parent(each, new)
        if folder in self.marks:
            self.marks[new] = self.marks.pop(folder)
        self.on_renew(folder, new)

    def drop(self, handle: int) -> None:
        """Forget an object and all below it, by whatever handle."""
        handle = self.current(handle)
        if not self.is_root(handle):
            self._detach(handle)
        for each in reversed(self.scanned_below(handle)):
            for row in self.children(each):
                self._forget(row)
        self._forget(handle)

    # Folders

    def children(self, folder: int) -> "array[int]":
        """Known rows in a folder, in the order in which they became known; do not change it."""
        known = self._children.get(folder)
        if known is None:
            return array("I")
        if folder in self._loose:
            self._loose.discard(folder)
            known = self._children[folder] = array("I", self._present(folder, known))
        return known

    def scanned_below(self, folder: int) -> list[int]:
        """Folders in which something is known, from this one down, the deepest last."""
        found = [folder] if folder in self._children else []
        for each in found:
            found.extend(row for row in self.children(each) if row in self._children)
        return found

    def find(self, folder: int, name: bytes) -> int | None:
        """Find the row of a name in a folder; None where none is known."""
        index = self._indices.get(folder)
        if index is None:
            index = self._indices[folder] = NameIndex(self.children(folder), self._rows.name)
            if len(self._indices) > _INDEXED_FOLDERS:
                self._indices.popitem(last=False)
        self._indices.move_to_end(folder)
        return index.find(name)

    def merge(self, folder: int, found: dict[bytes, bool]) -> tuple[list[int], range]:
        """Make a folder's rows what a scan found: names and whether they are folders.

        `found` is used up. Gives the rows that were forgotten, and those that are new.
        """
        gone: list[int] = []
        self._indices.pop(folder, None)
        for each in self.children(folder)[:]:
            name = self._rows.name(each)
            is_folder = found.get(name)
            if is_folder is self.is_folder(each):
                del found[name]
            else:
                self.drop(each)
                gone.append(each)
        return gone, self._add_all(folder, sorted(found), found)

    def _add_all(self, folder: int, names: list[bytes], is_folder: dict[bytes, bool]) -> range:
        self._require_handles(len(names))
        flags = (_ALIVE | is_folder[name] for name in names)  # True is _FOLDER
        added = self._rows.extend(names, folder, flags)
        self._children.setdefault(folder, array("I")).extend(array("I", added))
        return added

    def _present(self, folder: int, rows: "array[int]") -> Iterator[int]:
        parent, flags = self._rows.parent, self._rows.flags
        return (
            each
            for each in rows
            if parent(each) == folder and flags(each) & (_ALIVE | _ALIAS) == _ALIVE
        )

    def _append(self, flags: int) -> int:
        self._require_handles(1)
        return self._rows.append(flags)

    def _require_handles(self, count: int) -> None:
        if len(self._rows) + count - 1 > _MAX_HANDLE:
            raise MtpError(ResponseCode.GENERAL_ERROR, "all handles have been given")

    def _attach(self, handle: int, parent: int) -> None:
        self._rows.set_parent(handle, parent)
        if len(self._children.setdefault(parent, array("I"))) % _LOOSE_ROWS == _LOOSE_ROWS - 1:
            self.children(parent)
        self._children[parent].append(handle)
        if parent in self._indices:
            self._indices[parent].add(handle)

    def _detach(self, handle: int) -> None:
        parent = self._rows.parent(handle)
        self._loose.add(parent)
        if parent in self._indices:
            self._indices[parent].remove(handle)

    def _forget(self, handle: int) -> None:
        if self.is_folder(handle):
            self.on_forget(handle)
        for each in (handle, *self._former.pop(handle, ())):
            self._rows.free(each)
            self._successors.pop(each, None)
        self._children.pop(handle, None)
        self._indices.pop(handle, None)
        self._loose.discard(handle)
        self.marks.pop(handle, None)


def _nothing(*folders: int) -> None:
    """Be what is told where nobody cares."""
