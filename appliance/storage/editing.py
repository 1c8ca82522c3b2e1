# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing what is there: content in place, dates, write protection.

An edit in place is of one file, the one that its handle meant when it began. It holds as long as
the handle means that very file, wherever anybody has renamed or moved it. Once the handle means
another file or none, as the file was deleted, replaced by an upload, saved over by an editor on the
device, or moved out, the edit is void: what it writes would go into the trash, or nowhere.

- Nothing is written by a void edit: InvalidObjectHandle. Before each write and cut it is asked
  whether name and descriptor still lead to one file (its links say nothing: it may have others).
- The end of a void edit, after the sync, is InvalidObjectHandle if anything was written by it.
- A move to another file system makes another file. It and an edit keep each other out: who comes
  second is told DeviceBusy, as is who sets a date or protection. So the copy misses nothing.
"""

import logging
import os
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage.directories import closed_if_refused
from appliance.storage.errors import reporting
from appliance.storage.lookup import Lookup
from appliance.storage.removal import is_protected
from appliance.storage.room import with_room
from appliance.storage.volume import Volume

log = logging.getLogger(__name__)

_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: Bytes; what a file can be at most, anywhere.
_MAX_SIZE = (1 << 63) - 1
_WRITE_BITS = 0o222
_VOID = "deleted, replaced or moved out while it was edited"


class InPlaceEdit:
    """The `Edit` of the ports; for one thread, but for `let_go`. Owns the descriptor.

    `file` is what it looked like, `volume` the storage where it lies. `holds` says whether the edit
    is not void; `ended` is told of it and its descriptor when all is written.
    """

    def __init__(
        self,
        handle: int,
        fd: int,
        file: os.stat_result,
        volume: Volume,
        *,
        holds: "Callable[[InPlaceEdit], bool]",
        ended: "Callable[[InPlaceEdit, int], None]",
    ) -> None:
        self.handle = handle
        self._fd = fd
        self._file = file
        self._volume = volume
        self._stay = volume.stay(to_change=True)
        self._holds = holds
        self._ended = ended
        self._is_used = False
        self._loss: MtpError | None = None
        self._at_work = threading.Lock()
        volume.add_use(self)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self._fd >= 0

    def is_of(self, status: os.stat_result) -> bool:
        """Whether it is this file that is changed; for any thread."""
        return os.path.samestat(self._file, status)

    def holds(self) -> bool:
        """Whether more can be written: it has not ended, and is not void."""
        return self.is_open and self._holds(self)

    def write(self, offset: int, data: memoryview) -> None:
        """Put `data` at `offset`."""
        with self._at_work, reporting():
            fd = self._require(offset + len(data))
            while data:
                count = self._write(fd, data, offset)
                offset, data = offset + count, data[count:]

    def truncate(self, size: int) -> None:
        """Make the file `size` bytes long."""
        with self._at_work, reporting():
            os.ftruncate(self._require(size), size)

    def commit(self) -> None:
        """Bring the content to the disk and close the file; refuse where that was in vain."""
        with self._at_work:
            if self.is_open and not self._end(self._holds) and self._is_used:
                raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, _VOID)
            loss, self._loss = self._loss, None
            if loss is not None:
                raise loss

    def follow(self, volume: Volume) -> None:
        """Note that the file is in another storage by now, and in use there."""
        if volume is self._volume:
            return
        with self._at_work:
            if self._fd >= 0 and volume.directories.holds(self._fd):
                self._volume.end_use(self)
                self._volume, self._stay = volume, volume.stay(to_change=True)
                volume.add_use(self)

    def let_go(self) -> None:
        """End because the storage goes away, where nothing can be looked at; `commit` says how."""
        with self._at_work:
            try:
                if self.is_open:
                    self._end(lambda _: True)
            except MtpError as error:
                log.warning("LOST    the end of an edit of object %X: %s", self.handle, error)
                self._loss = error

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def _end(self, holds: "Callable[[InPlaceEdit], bool]") -> bool:
        """Sync and close; whether the file is still the object's."""
        fd, self._fd = self._fd, -1
        try:
            with reporting():
                os.fsync(fd)
                does_hold = holds(self)
                self._ended(self, fd if does_hold else -1)
            return does_hold
        finally:
            os.close(fd)

    def _write(self, fd: int, data: memoryview, offset: int) -> int:
        """Write what fits; a full disk is given room first, as long as there is some to give."""
        return with_room(self._volume.trash.expunge_oldest, partial(os.pwrite, fd, data, offset))

    def _require(self, end: int) -> int:
        """Refuse to write by a void edit, or up to where the storage has no room; the descriptor.

        Holes take room too. Once that is made, which may last, the file can be another one's.
        """
        self._stay()
        if not self.is_open:
            raise MtpError(ResponseCode.GENERAL_ERROR, "the edit has ended already")
        if end > _MAX_SIZE:
            raise MtpError(ResponseCode.OBJECT_TOO_LARGE, f"{end} bytes")
        growth = end - os.fstat(self._fd).st_size
        space = os.fstatvfs(self._fd)
        if growth > space.f_bavail * space.f_frsize:
            self._volume.require_space(growth)
        if not self._holds(self):
            raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, _VOID)
        self._is_used = True
        return self._fd


class Editing:
    """Opens files for change, and changes what is known of them beside their content."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._lock = lock
        self._under_way: weakref.WeakSet[InPlaceEdit] = weakref.WeakSet()
        self._moving: list[int] = []

    def edit(self, handle: int) -> InPlaceEdit:
        """Open a file for change in place; DeviceBusy where it is on its way to another disk."""
        with self._lock:
            self._lookup.table.check(handle)
            if self._lookup.table.is_folder(handle):
                raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, f"{handle:X} is a folder")
            volume = self._writable(handle)
            self._lookup.require_unprotected(handle)
            fd, file = self._open(handle, _WRITE)
            edit = InPlaceEdit(handle, fd, file, volume, holds=self._holds, ended=self._ended)
            self._lookup.own.begin_edit(edit)
            self._under_way.add(edit)
            return edit

    @contextmanager
    def kept_out(self, handle: int) -> Iterator[None]:
        """Have nothing changed in an object for the length of a block; DeviceBusy if it is now."""
        with self._lock:
            for edit in list(self._under_way):
                if self._is_in(edit.handle, handle) and edit.holds():
                    raise MtpError(ResponseCode.DEVICE_BUSY, f"{edit.handle:X} is being edited")
            self._moving.append(handle)
        try:
            yield
        finally:
            with self._lock:
                self._moving.remove(handle)

    def follow(self) -> None:
        """Have the edits of files that were moved count where the files lie now."""
        moved = []
        with self._lock:
            for each in self._under_way:
                with suppress(MtpError):  # it is gone
                    moved.append((each, self._lookup.volume_of(each.handle)))
        for edit, volume in moved:
            edit.follow(volume)

    def set_modified(self, handle: int, modified: float) -> None:
        """Set the date of the last change."""
        with self._lock:
            self._writable(handle)
            self._lookup.require_unprotected(handle)
            self._change(handle, partial(_set_modified, modified=modified))

    def set_protected(self, handle: int, *, protected: bool) -> None:
        """Take all write bits away; or give the owner's back, and the group's where it reads."""
        with self._lock:
            self._writable(handle)
            self._change(handle, partial(_set_protected, protected=protected))

    def _is_in(self, handle: int, place: int) -> bool:
        """Whether an object is another one, or lies in it; also by handles that both had before."""
        table = self._lookup.table
        if not table.is_alive(handle):
            return False
        return table.current(place) in (table.current(handle), *table.ancestors(handle))

    def _holds(self, edit: InPlaceEdit) -> bool:
        """Whether an edit's handle still means its file. Raises MtpError where none can be seen."""
        with self._lock:
            if self._means_its_file(edit):
                return True
            self._lookup.watcher.catch_up()  # it may have been moved a moment ago
            return self._means_its_file(edit)

    def _means_its_file(self, edit: InPlaceEdit) -> bool:
        try:
            return edit.is_of(self._lookup.status(edit.handle))
        except MtpError as error:
            if error.code is ResponseCode.INVALID_OBJECT_HANDLE:
                return False
            raise

    def _ended(self, edit: InPlaceEdit, fd: int) -> None:
        """Note what came of an edit; -1: nothing, for it was void."""
        with self._lock:
            self._lookup.own.end_edit(edit, os.fstat(fd) if fd >= 0 else None)

    def _writable(self, handle: int) -> Volume:
        volume = self._lookup.volume_of(handle)
        volume.require_writable()
        if any(self._is_in(handle, each) for each in self._moving):
            raise MtpError(ResponseCode.DEVICE_BUSY, "on its way to another disk")
        return volume

    def _open(self, handle: int, flags: int) -> tuple[int, os.stat_result]:
        with self._lookup.watching(handle):
            fd = os.open(
                self._lookup.table.name(handle), flags, dir_fd=self._lookup.parent_fd(handle)
            )
            with closed_if_refused(fd):
                status = os.fstat(fd)
                self._lookup.check_kind(handle, status)
            return fd, status

    def _change(self, handle: int, change: Callable[[int], None]) -> None:
        fd, _ = self._open(handle, _READ)
        try:
            with reporting():
                change(fd)
                os.fsync(fd)
                self._lookup.own.note(handle, os.fstat(fd))
        finally:
            os.close(fd)


def _set_modified(fd: int, *, modified: float) -> None:
    try:
        os.utime(fd, (modified, modified))
    except (OverflowError, ValueError):
        raise MtpError(ResponseCode.INVALID_OBJECT_PROP_VALUE, f"date {modified}") from None


def _set_protected(fd: int, *, protected: bool) -> None:
    status = os.fstat(fd)
    if is_protected(status) is protected:
        return
    mode = stat.S_IMODE(status.st_mode)
    if protected:
        os.fchmod(fd, mode & ~_WRITE_BITS)
    else:
        os.fchmod(fd, mode | stat.S_IWUSR | (stat.S_IWGRP if mode & stat.S_IRGRP else 0))
