# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of known objects: a handle is a row number, and a row costs about a hundred bytes.

Rows are only ever appended, so a handle is never given twice while the process lives. What belongs
to a row lies in columns; there is no Python object per row but the name. The root of each storage
has a row too, whose handle no initiator ever hears of.
"""

from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage.name_index import NameIndex
from appliance.storage.scanning import ScanMark

_MAX_HANDLE = 0xFFFFFFFE
_INDEXED_FOLDERS = 4

# Flags of a row; plain numbers, for they are looked at all the time.
_FOLDER = 1
_ROOT = 2
_ALIVE = 4
_ALIAS = 8

#: Old handles that go on to mean an object that has another one by now; the oldest end first.
MOST_ALIASES = 4096


class HandleTable:
    """Rows for objects; not for several threads at once."""

    def __init__(self) -> None:
        self._names: list[bytes] = [b""]
        self._parents = array("I", [0])
        self._flags = bytearray([_ROOT])  # no object has handle 0; all ways up end here at last
        self._children: dict[int, array[int]] = {}
        self._loose: set[int] = set()  # folders whose children hold rows that went elsewhere
        self._indices: OrderedDict[int, NameIndex] = OrderedDict()
        self._aliases: deque[int] = deque()
        self._successors: dict[int, int] = {}
        self.marks: dict[int, ScanMark] = {}
        #: Told of each folder, when its row is forgotten.
        self.on_forget: Callable[[int], None] = _nothing

    # Rows

    def add_root(self) -> int:
        """Make the row of a storage's root."""
        return self._append(_FOLDER | _ROOT | _ALIVE)

    def reserve(self) -> int:
        """Make a row for an object that is not there yet."""
        return self._append(0)

    def add(self, parent: int, name: bytes, *, is_folder: bool) -> int:
        """Make the row of an object."""
        handle = self.reserve()
        self.enter(handle, parent, name, is_folder=is_folder)
        return handle

    def enter(self, handle: int, parent: int, name: bytes, *, is_folder: bool) -> None:
        """Fill a reserved row."""
        self._names[handle] = name
        self._flags[handle] = _ALIVE | (_FOLDER if is_folder else 0)
        self._attach(handle, parent)

    def is_alive(self, handle: int) -> bool:
        """Whether a handle names an object that an initiator may know."""
        if not 0 < handle < len(self._names):
            return False
        return self._flags[handle] & (_ALIVE | _ROOT) == _ALIVE

    def check(self, handle: int) -> None:
        """Refuse a handle that names nothing."""
        if not self.is_alive(handle):
            raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, f"no object {handle:X}")

    def name(self, handle: int) -> bytes:
        """Name on the disk."""
        return self._names[handle]

    def parent(self, handle: int) -> int:
        """Row of the folder; a root's row for what lies in a root."""
        return self._parents[handle]

    def is_folder(self, handle: int) -> bool:
        """Whether the row is a folder's, or a root's."""
        return self._flags[handle] & _FOLDER != 0

    def is_root(self, handle: int) -> bool:
        """Whether the row is a root's."""
        return self._flags[handle] & _ROOT != 0

    def ancestors(self, handle: int) -> Iterator[int]:
        """Rows from the object itself up to its root."""
        yield handle
        while not self._flags[handle] & _ROOT:
            handle = self._parents[handle]
            yield handle

    def place(self, folder: int) -> tuple[int, tuple[bytes, ...]]:
        """Row of the root above a folder, and the names from below that root down to it."""
        names, parents, flags = self._names, self._parents, self._flags
        path = []
        while not flags[folder] & _ROOT:
            path.append(names[folder])
            folder = parents[folder]
        path.reverse()
        return folder, tuple(path)

    def rename(self, handle: int, name: bytes) -> None:
        """Give a row another name."""
        index = None if self._is_alias(handle) else self._indices.get(self._parents[handle])
        if index is not None:
            index.remove(handle)
        self._names[handle] = name
        if index is not None:
            index.add(handle)

    def move(self, handle: int, parent: int) -> None:
        """Put a row, and with it all below it, into another folder."""
        self._detach(handle)
        self.children(parent)  # without what was here before, or it would be there twice
        self._attach(handle, parent)

    def renew(self, handle: int) -> int:
        """Give an object another handle; what lies in a folder keeps its handles.

        Clients that have seen a handle may believe for good what they were told of it. A file's old
        handle goes on to mean it, unlisted, for those who hold it.
        """
        parent, name = self._parents[handle], self._names[handle]
        self._detach(handle)
        new = self.add(parent, name, is_folder=self.is_folder(handle))
        if self.is_folder(handle):
            self._hand_over(handle, new)
            self._forget(handle)
        else:
            self._flags[handle] |= _ALIAS
            self._aliases.append(handle)
            self._successors[handle] = new
        while len(self._aliases) > MOST_ALIASES:
            self._forget(self._aliases.popleft())
        return new

    def current(self, handle: int) -> int:
        """Find the handle under which an object is listed now; others stay what they are."""
        while (successor := self._successors.get(handle)) is not None:
            handle = successor
        return handle

    def _is_alias(self, handle: int) -> bool:
        return self._flags[handle] & _ALIAS != 0

    def _hand_over(self, folder: int, new: int) -> None:
        """Let what is known in a folder lie in another row's, which has not been scanned."""
        if folder in self._children:
            self._children[new] = array("I", self.children(folder))
            for each in self._children[new]:
                self._parents[each] = new

    def drop(self, handle: int) -> None:
        """Forget an object and all below it."""
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
            index = self._indices[folder] = NameIndex(self.children(folder), self._names)
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
            name = self._names[each]
            is_folder = found.get(name)
            if is_folder is self.is_folder(each):
                del found[name]
            else:
                self.drop(each)
                gone.append(each)
        return gone, self._add_all(folder, sorted(found), found)

    def _add_all(self, folder: int, names: list[bytes], is_folder: dict[bytes, bool]) -> range:
        first = len(self._names)
        if first + len(names) - 1 > _MAX_HANDLE:
            raise MtpError(ResponseCode.GENERAL_ERROR, "all handles have been given")
        self._names.extend(names)
        self._parents.extend(array("I", [folder]) * len(names))
        self._flags.extend(_ALIVE | is_folder[name] for name in names)  # True is _FOLDER
        rows = self._children.setdefault(folder, array("I"))
        added = range(first, len(self._names))
        rows.extend(array("I", added))
        return added

    def _present(self, folder: int, rows: "array[int]") -> Iterator[int]:
        parents, flags = self._parents, self._flags
        return (
            each
            for each in rows
            if parents[each] == folder and flags[each] & (_ALIVE | _ALIAS) == _ALIVE
        )

    def _append(self, flags: int) -> int:
        handle = len(self._names)
        if handle > _MAX_HANDLE:
            raise MtpError(ResponseCode.GENERAL_ERROR, "all handles have been given")
        self._names.append(b"")
        self._parents.append(0)
        self._flags.append(flags)
        return handle

    def _attach(self, handle: int, parent: int) -> None:
        self._parents[handle] = parent
        if self._is_alias(handle):
            return  # it stays unlisted, wherever its object goes
        self._children.setdefault(parent, array("I")).append(handle)
        if parent in self._indices:
            self._indices[parent].add(handle)

    def _detach(self, handle: int) -> None:
        parent = self._parents[handle]
        self._loose.add(parent)
        if parent in self._indices:
            self._indices[parent].remove(handle)

    def _forget(self, handle: int) -> None:
        if self._flags[handle] & _FOLDER:
            self.on_forget(handle)
        self._names[handle] = b""
        self._flags[handle] = 0
        self._successors.pop(handle, None)
        self._children.pop(handle, None)
        self._indices.pop(handle, None)
        self._loose.discard(handle)
        self.marks.pop(handle, None)


def _nothing(folder: int) -> None:
    """Be what is told where nobody cares."""
