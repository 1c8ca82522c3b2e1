# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing what is there: content in place, dates, write protection."""

import logging
import os
import stat
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
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


class InPlaceEdit:
    """The `Edit` of the ports; for one thread, but for `let_go`. Owns the descriptor.

    `volume` is the storage where the file lies. `ended` is told of the edit and its descriptor when
    all is written.
    """

    def __init__(
        self,
        handle: int,
        fd: int,
        volume: Volume,
        ended: "Callable[[InPlaceEdit, int], None]",
    ) -> None:
        self.handle = handle
        self._fd = fd
        self._volume = volume
        self._stay = volume.stay(to_change=True)
        self._ended = ended
        self._at_work = threading.Lock()
        volume.add_use(self)

    def write(self, offset: int, data: memoryview) -> None:
        """Put `data` at `offset`."""
        with self._at_work, reporting():
            fd = self._require_room(offset + len(data))
            while data:
                count = self._write(fd, data, offset)
                offset, data = offset + count, data[count:]

    def truncate(self, size: int) -> None:
        """Make the file `size` bytes long."""
        with self._at_work, reporting():
            os.ftruncate(self._require_room(size), size)

    def commit(self) -> None:
        """Bring the content to the disk and close the file."""
        with self._at_work:
            fd, self._fd = self._fd, -1
            if fd < 0:
                return
            try:
                with reporting():
                    os.fsync(fd)
                    self._ended(self, fd)
            finally:
                os.close(fd)

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
        """End as `commit` does, because the storage goes away."""
        try:
            self.commit()
        except MtpError as error:
            log.warning("LOST    the end of an edit of object %X: %s", self.handle, error)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def _write(self, fd: int, data: memoryview, offset: int) -> int:
        """Write what fits; a full disk is given room first, as long as there is some to give."""
        return with_room(self._volume.trash.expunge_oldest, partial(os.pwrite, fd, data, offset))

    def _require_room(self, end: int) -> int:
        """Refuse what the storage cannot hold, holes included; the descriptor."""
        self._stay()
        if self._fd < 0:
            raise MtpError(ResponseCode.GENERAL_ERROR, "the edit has ended already")
        if end > _MAX_SIZE:
            raise MtpError(ResponseCode.OBJECT_TOO_LARGE, f"{end} bytes")
        if not self._volume.directories.holds(self._fd):
            detail = "moved out of the storage while it was edited"
            raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, detail)
        with reporting():
            growth = end - os.fstat(self._fd).st_size
            space = os.fstatvfs(self._fd)
        if growth > space.f_bavail * space.f_frsize:
            self._volume.require_space(growth)
        return self._fd


class Editing:
    """Opens files for change, and changes what is known of them beside their content."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._lock = lock
        self._under_way: weakref.WeakSet[InPlaceEdit] = weakref.WeakSet()

    def edit(self, handle: int) -> InPlaceEdit:
        """Open a file for change in place."""
        with self._lock:
            self._lookup.table.check(handle)
            if self._lookup.table.is_folder(handle):
                raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, f"{handle:X} is a folder")
            volume = self._writable(handle)
            self._lookup.require_unprotected(handle)
            edit = InPlaceEdit(handle, self._open(handle, _WRITE), volume, self._ended)
            self._lookup.own.begin_edit(edit)
            self._under_way.add(edit)
            return edit

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

    def _ended(self, edit: InPlaceEdit, fd: int) -> None:
        with self._lock:
            self._lookup.own.end_edit(edit, os.fstat(fd))

    def _writable(self, handle: int) -> Volume:
        volume = self._lookup.volume_of(handle)
        volume.require_writable()
        return volume

    def _open(self, handle: int, flags: int) -> int:
        with self._lookup.watching(handle):
            fd = os.open(
                self._lookup.table.name(handle), flags, dir_fd=self._lookup.parent_fd(handle)
            )
            with closed_if_refused(fd):
                self._lookup.check_kind(handle, os.fstat(fd))
            return fd

    def _change(self, handle: int, change: Callable[[int], None]) -> None:
        fd = self._open(handle, _READ)
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
