# SPDX-License-Identifier: GPL-3.0-or-later
"""What objects refer to, as a playlist does; kept over restarts, renames and moves.

On the disk an object is a mark (`reference_file.Mark`), for those who have asked it is a handle. A
mark is looked for where it lay; if another object or none is there, the storage is searched for it
once. What is not found is left out of the answer, and kept: it may come back from the trash.
"""

import logging
import threading
from array import array
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage import reference_file
from appliance.storage.describing import number_within
from appliance.storage.directories import keep
from appliance.storage.errors import reporting, skipping
from appliance.storage.lookup import Lookup
from appliance.storage.reference_file import MAX_MARKS, NO_FILE, Book, Mark, Stamp, count
from appliance.storage.reference_search import find_inodes
from appliance.storage.volume import Volume
from appliance.values import dataclass, field, replace

log = logging.getLogger(__name__)

#: Whether a mark and what is seen are of one object.
Comparison = Callable[[Mark, Mark], bool]
#: Bytes of a path that are kept; a longer one is found by searching.
_MAX_PATH = 1024


@dataclass(slots=True)
class _Page:
    """What is known of one storage's references.

    `handles`: those marks whose objects have been found. `places`: where they were found by
    searching. `lost`: what was searched for in vain.
    """

    book: Book = field(default_factory=dict)
    stamp: Stamp = NO_FILE
    handles: dict[Mark, int] = field(default_factory=dict)
    places: dict[Mark, bytes] = field(default_factory=dict)
    lost: set[Mark] = field(default_factory=set)


class References:
    """The references of all storages; for several threads."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._table = lookup.table
        self._lock = lock
        self._guard = threading.Lock()
        self._pages: dict[Volume, _Page] = {}

    def get(self, handle: int) -> Sequence[int]:
        """List what an object refers to, as far as it is there."""
        with self._guard:
            with self._lock:
                self._lookup.status(handle)
                volume = self._lookup.volume_of(handle)
            self._load(volume)
            home = self._find_source(handle, volume)
            if home is None:
                return array("I")
            volume, source = home
            targets = self._pages[volume].book[source]
            return array("I", filter(None, (self._resolve(volume, each) for each in targets)))

    def set(self, handle: int, references: Sequence[int]) -> None:
        """Keep what an object refers to from now on."""
        with self._guard:
            with self._lock:
                volume = self._lookup.volume_of(handle)
                volume.require_writable()
                source = self._mark(handle, volume)
            targets = tuple(self._target(volume, each) for each in references)
            self._load(volume)
            home = self._find_source(handle, volume)
            self._load_homes()
            pages = self._renewed(leaving_out=home)
            page = pages[volume]
            if targets:
                page.book[source] = targets
                page.handles[source] = handle
                page.handles.update(zip(targets, references, strict=True))
            _require_room(page)
            self._write(pages, volume)

    def close(self) -> None:
        """Write down what has been renamed and moved since it was written."""
        with self._guard, suppress(MtpError):
            self._load_homes()
            self._write(self._renewed())

    # Marks

    def _mark(self, handle: int, home: Volume) -> Mark:
        """Look at an object, as seen from a storage. Under the lock."""
        status = self._lookup.status(handle)
        volume = self._lookup.volume_of(handle)
        with self._lookup.watching(handle):
            number = number_within(*self._lookup.lies_at(handle)) or 0
        storage = "" if volume is home else volume.name
        size = 0 if self._table.is_folder(handle) else status.st_size
        return Mark(number, status.st_ino, size, status.st_mtime_ns, self._path(handle), storage)

    def _path(self, handle: int) -> bytes:
        above = self._table.place(self._table.parent(handle))[1]
        path = b"/".join((*above, self._table.name(handle)))
        return path if len(path) <= _MAX_PATH else b""

    def _target(self, home: Volume, handle: int) -> Mark:
        with self._lock:
            try:
                return self._mark(handle, home)
            except MtpError as error:
                if error.code is not ResponseCode.INVALID_OBJECT_HANDLE:
                    raise
                refusal = ResponseCode.INVALID_OBJECT_REFERENCE
                raise MtpError(refusal, f"no object {handle:X}") from None

    def _renewed(self, leaving_out: tuple[Volume, Mark] | None = None) -> dict[Volume, _Page]:
        """Make pages in which all that is known has the place where it lies now."""
        pages = {volume: _Page(stamp=page.stamp) for volume, page in self._pages.items()}
        with self._lock:
            for volume, page in self._pages.items():
                if not volume.is_present:
                    pages[volume] = page
                    continue
                for source, targets in page.book.items():
                    if (volume, source) == leaving_out:
                        continue
                    home = self._home(page, source) or volume
                    new = pages.setdefault(home, _Page())
                    key = self._renew(source, page, new, volume, home)
                    new.book[key] = tuple(
                        self._renew(each, page, new, volume, home) for each in targets
                    )
        return pages

    def _known(self, page: _Page, mark: Mark) -> int:
        """Say the handle of a mark's object, which may have got another one; 0 for none."""
        return self._table.current(page.handles.get(mark, 0))

    def _home(self, page: _Page, mark: Mark) -> Volume | None:
        handle = self._known(page, mark)
        with suppress(MtpError):  # its storage is away
            return self._lookup.volume_of(handle) if self._table.is_alive(handle) else None
        return None

    def _renew(self, mark: Mark, page: _Page, new: _Page, was: Volume, home: Volume) -> Mark:
        """Say a mark of one page as one of another, with the place where its object is now."""
        now = self._home(page, mark)
        if now is None:
            new.places.update({mark: page.places[mark]} if mark in page.places else {})
            return mark if was is home else replace(mark, storage=mark.storage or was.name)
        handle = self._known(page, mark)
        before = mark.storage or was.name
        storage = "" if now is home else now.name
        if before != now.name:
            with suppress(MtpError):
                mark = self._mark(handle, home)
        elif (mark.path, mark.storage) != (self._path(handle), storage):
            mark = replace(mark, path=self._path(handle), storage=storage)
        new.handles[mark] = handle
        return mark

    # Finding

    def _find_source(self, handle: int, volume: Volume) -> tuple[Volume, Mark] | None:
        """Find what an object was known by: storage and mark."""
        for home, page in self._pages.items():
            for mark in page.book:
                if self._known(page, mark) == self._table.current(handle):
                    return home, mark
        page = self._pages[volume]
        with self._lock:
            seen = self._mark(handle, volume)
            unknown = [mark for mark in page.book if self._home(page, mark) is None]
        for is_same in (Mark.is_of, Mark.lies_and_looks_like):
            for mark in unknown:
                if is_same(mark, seen):
                    page.handles[mark] = handle
                    return volume, mark
        return None

    def _resolve(self, volume: Volume, mark: Mark) -> int:
        """Find the handle of a mark; 0 where its object is not there."""
        page = self._pages[volume]
        with self._lock, skipping():
            handle = self._known(page, mark)
            if page.handles.pop(mark, 0):
                self._lookup.status(handle)
                page.handles[mark] = handle
                return handle
        home = self._storage(volume, mark)
        if home is None:
            return 0
        handle = self._look_at(home, page.places.get(mark, mark.path), mark, Mark.is_of)
        if not handle and mark not in page.lost:
            self._search(home, volume, page)
            handle = self._look_at(home, page.places.get(mark, b""), mark, Mark.is_of)
        if not handle:
            handle = self._look_at(home, mark.path, mark, Mark.looks_like)
        if handle:
            page.handles[mark] = handle
        return handle

    def _storage(self, volume: Volume, mark: Mark) -> Volume | None:
        if not mark.storage:
            return volume
        with self._lock:
            volumes = [each for each in self._lookup.volumes if each.is_present]
            return next((each for each in volumes if each.name == mark.storage), None)

    def _look_at(self, volume: Volume, path: bytes, mark: Mark, is_same: Comparison) -> int:
        """Walk to where an object may lie; its handle, or 0 where another one or none is there."""
        with self._lock, skipping():
            row = volume.root
            for name in path.split(b"/"):
                self._lookup.refresh(row)
                row = self._table.find(row, name) or 0
                self._table.check(row)
            return row if is_same(mark, self._mark(row, volume)) else 0
        return 0

    def _search(self, home: Volume, volume: Volume, page: _Page) -> None:
        """Look through a whole storage, once, for all that is not known to be anywhere."""
        marks = {mark for targets in page.book.values() for mark in targets} - page.handles.keys()
        wanted = {each for each in marks if self._storage(volume, each) is home} - page.lost
        with ExitStack() as held, suppress(OSError, MtpError):
            with self._lock:
                root_fd = keep(home.directories.get(), held)
            found = find_inodes(root_fd, {mark.inode for mark in wanted}, home.hidden_files)
            for mark in wanted:
                for path in found.get(mark.inode, ()):
                    page.places[mark] = path
        page.lost |= wanted

    # Keeping

    def _load(self, volume: Volume) -> None:
        """Read a storage's file, unless it is known as it is."""
        with ExitStack() as held, reporting(gone=ResponseCode.STORE_NOT_AVAILABLE):
            with self._lock:
                root_fd = keep(volume.directories.get(), held)
            now = reference_file.stamp(root_fd)
            known = self._pages.get(volume)
            if known is None or known.stamp != now:
                book = {} if now == NO_FILE else reference_file.read(root_fd)
                self._pages[volume] = _Page(book, now)

    def _load_homes(self) -> None:
        """Read the files of storages that objects have moved to, of which nobody may have asked."""
        with self._lock:
            homes = {self._home(page, each) for page in self._pages.values() for each in page.book}
        for volume in filter(None, homes - self._pages.keys()):
            self._load(volume)

    def _write(self, pages: dict[Volume, _Page], asked: Volume | None = None) -> None:
        """Write what has changed, as far as can be; but what was `asked` for in any case."""
        for volume, page in pages.items():
            before = self._pages.get(volume, _Page())
            try:
                if page.book != before.book:
                    self._write_one(volume, page)
                self._pages[volume] = page
            except MtpError as error:
                if volume is asked:
                    raise
                log.debug("KEPT    references in %s are as before: %s", volume.name, error)
                for moved in before.book.keys() - page.book.keys():
                    before.handles.pop(moved, None)  # another page has it now

    def _write_one(self, volume: Volume, page: _Page) -> None:
        with ExitStack() as held, reporting(gone=ResponseCode.ACCESS_DENIED):
            with self._lock:
                volume.require_writable()
                root_fd = keep(volume.directories.get(), held)
                self._lookup.workplace(volume)
                staged = volume.staging.create()
            reference_file.write(root_fd, staged, page.book)
            page.stamp = reference_file.stamp(root_fd)


def _require_room(page: _Page) -> None:
    """Refuse more than is kept; first what is gone is given up."""
    if count(page.book) > MAX_MARKS:
        page.book = {mark: page.book[mark] for mark in page.book if mark in page.handles}
    if count(page.book) > MAX_MARKS:
        raise MtpError(ResponseCode.STORE_FULL, f"more than {MAX_MARKS} references")
