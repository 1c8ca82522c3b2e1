# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of known objects: a handle is a row number, and a row costs under a hundred bytes.

Rows are only ever appended, so a handle is never given twice while the process lives. What belongs
to a row lies in columns; there is no Python object per row but the name. The root of each storage
has a row too, whose handle no initiator ever hears of.
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntFlag

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError

_MAX_HANDLE = 0xFFFFFFFE
_INDEXED_FOLDERS = 4


class _Flag(IntFlag):
    FOLDER = 1
    ROOT = 2
    ALIVE = 4


@dataclass(frozen=True, slots=True)
class ScanMark:
    """What a folder looked like when it was scanned: its inode and modification time (ns)."""

    inode: int
    modified: int
    taken: int


class HandleTable:
    """Rows for objects; not for several threads at once."""

    def __init__(self) -> None:
        self._names: list[bytes] = [b""]
        self._parents = array("I", [0])
        self._flags = bytearray(1)
        self._children: dict[int, array[int]] = {}
        self._loose: set[int] = set()  # folders whose children hold rows that went elsewhere
        self._indices: OrderedDict[int, dict[bytes, int]] = OrderedDict()
        self.marks: dict[int, ScanMark] = {}

    def add_root(self) -> int:
        """Make the row of a storage's root."""
        return self._append(b"", 0, _Flag.FOLDER | _Flag.ROOT | _Flag.ALIVE)

    def reserve(self) -> int:
        """Make a row for an object that is not there yet."""
        return self._append(b"", 0, _Flag(0))

    def add(self, parent: int, name: bytes, *, is_folder: bool) -> int:
        """Make the row of an object."""
        handle = self.reserve()
        self.enter(handle, parent, name, is_folder=is_folder)
        return handle

    def enter(self, handle: int, parent: int, name: bytes, *, is_folder: bool) -> None:
        """Fill a reserved row."""
        self._names[handle] = name
        self._flags[handle] = _Flag.ALIVE | (_Flag.FOLDER if is_folder else 0)
        self._attach(handle, parent)

    def is_alive(self, handle: int) -> bool:
        """Whether a handle names an object that an initiator may know."""
        return 0 < handle < len(self._names) and self._flags[handle] & 6 == _Flag.ALIVE

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
        return bool(self._flags[handle] & _Flag.FOLDER)

    def is_root(self, handle: int) -> bool:
        """Whether the row is a root's."""
        return bool(self._flags[handle] & _Flag.ROOT)

    def ancestors(self, handle: int) -> Iterator[int]:
        """Rows from the object itself up to its root."""
        yield handle
        while not self.is_root(handle):
            handle = self._parents[handle]
            yield handle

    def path(self, handle: int) -> list[bytes]:
        """Names from below the root down to the object."""
        names = [self._names[each] for each in self.ancestors(handle)]
        names.pop()
        names.reverse()
        return names

    def children(self, folder: int) -> "array[int]":
        """Known rows in a folder, in the order in which they became known; do not change it."""
        known = self._children.get(folder)
        if known is None:
            known = self._children[folder] = array("I")
        if folder in self._loose:
            self._loose.discard(folder)
            known = self._children[folder] = array("I", self._present(folder, known))
        return known

    def find(self, folder: int, name: bytes) -> int | None:
        """Find the row of a name in a folder; None where none is known."""
        index = self._indices.get(folder)
        if index is None:
            index = {self._names[each]: each for each in self.children(folder)}
            self._indices[folder] = index
            if len(self._indices) > _INDEXED_FOLDERS:
                self._indices.popitem(last=False)
        self._indices.move_to_end(folder)
        return index.get(name)

    def rename(self, handle: int, name: bytes) -> None:
        """Give a row another name."""
        index = self._indices.get(self._parents[handle])
        if index is not None:
            index.pop(self._names[handle], None)
            index[name] = handle
        self._names[handle] = name

    def move(self, handle: int, parent: int) -> None:
        """Put a row, and with it all below it, into another folder."""
        self._detach(handle)
        self.children(parent)  # without what was here before, or it would be there twice
        self._attach(handle, parent)

    def drop(self, handle: int) -> None:
        """Forget an object and all below it."""
        if not self._flags[handle] & _Flag.ROOT:
            self._detach(handle)
        pending = [handle]
        while pending:
            each = pending.pop()
            if each in self._children:
                pending.extend(self.children(each))
            self._forget(each)

    def merge(self, folder: int, listing: Iterable[tuple[bytes, bool]]) -> None:
        """Make a folder's rows what a scan found: names and whether they are folders."""
        found = dict(listing)
        for each in array("I", self.children(folder)):
            is_folder = found.pop(self._names[each], None)
            if is_folder is None:
                self.drop(each)
            elif is_folder is not self.is_folder(each):
                found[self._names[each]] = is_folder
                self.drop(each)
        self._indices.pop(folder, None)
        for name in sorted(found):
            self.add(folder, name, is_folder=found[name])

    def _present(self, folder: int, rows: "array[int]") -> Iterator[int]:
        parents, flags = self._parents, self._flags
        return (each for each in rows if parents[each] == folder and flags[each] & _Flag.ALIVE)

    def _append(self, name: bytes, parent: int, flags: _Flag) -> int:
        handle = len(self._names)
        if handle > _MAX_HANDLE:
            raise MtpError(ResponseCode.GENERAL_ERROR, "all handles have been given")
        self._names.append(name)
        self._parents.append(parent)
        self._flags.append(flags)
        return handle

    def _attach(self, handle: int, parent: int) -> None:
        self._parents[handle] = parent
        self._children.setdefault(parent, array("I")).append(handle)
        if parent in self._indices:
            self._indices[parent][self._names[handle]] = handle

    def _detach(self, handle: int) -> None:
        parent = self._parents[handle]
        self._loose.add(parent)
        if parent in self._indices:
            self._indices[parent].pop(self._names[handle], None)

    def _forget(self, handle: int) -> None:
        self._names[handle] = b""
        self._flags[handle] = 0
        self._children.pop(handle, None)
        self._indices.pop(handle, None)
        self._loose.discard(handle)
        self.marks.pop(handle, None)
