# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying files and whole trees, without links followed and without recursion.

Every directory is opened anew from the top when it is its turn, so that a tree of any depth takes
a few descriptors only. Left out is what a PC is not shown either: links, special files, and what is
on a disk that is mounted in the tree.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from appliance.mtp.transaction import Look, unattended
from appliance.storage import syscalls
from appliance.storage.directories import Names, descend, entries, open_directory, opened, sync
from appliance.storage.names import STAGING
from appliance.storage.removal import is_folder
from appliance.storage.room import with_room
from appliance.values import dataclass

#: A name in an open directory.
Place = tuple[int, bytes]

_PIECE = 8 << 20
_READ_PIECE = 1 << 20
_NO_COPY_RANGE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF}
#: Gone meanwhile, or a link, a socket, a device.
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV}
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy(
    source: Place, target: Place, make_room: Callable[[], bool], look: Look = unattended
) -> None:
    """Copy a file, or a directory with all files and directories in it, onto the disk.

    Dates and permissions are kept; folders stay writable for their owner. Where the disk gets full,
    `make_room` is asked to make some, and says whether there was any. After each piece `look` is
    asked; what that raises leaves a part behind. Raises OSError.
    """
    (source_fd, name), (target_fd, made) = source, target
    if is_folder(name, source_fd):
        manner = _Manner(make_room, _nothing, look)
        done = _TreeCopy(source_fd, target_fd, manner).run((name,), (made,))
        sync_all(target_fd)
    else:
        manner = _Manner(make_room, os.fsync, look)
        done = _copy_file(name, source_fd, made, target_fd, manner)
    if not done:
        raise FileNotFoundError(errno.ENOENT, "gone meanwhile")


def sync_all(fd: int) -> None:
    """Bring a whole file system to the disk, and empty the disk's own cache. Raises OSError.

    For a tree that is one wait instead of one for each file.
    """
    syscalls.sync_file_system(fd)
    sync(fd)  # with some file systems, only this empties the disk's cache


@dataclass(frozen=True, slots=True)
class _Manner:
    """How files are copied: where room comes from, what is done to each at its end, who looks."""

    make_room: Callable[[], bool]
    finish: Callable[[int], None]
    look: Look


class _TreeCopy:
    """The work on one tree: from below one directory's descriptor to below another's."""

    def __init__(self, source_fd: int, target_fd: int, manner: _Manner) -> None:
        self._source_fd = source_fd
        self._target_fd = target_fd
        self._manner = manner

    def run(self, source: Names, target: Names) -> bool:
        """Copy; False where there was nothing."""
        copied: list[tuple[Names, os.stat_result]] = []
        pending = [(source, target)]
        while pending:
            self._manner.look()
            original, made = pending.pop()
            origin = self._open(original)
            if origin is None:
                continue
            try:
                copied.append((made, os.fstat(origin)))
                below = self._copy_folder(origin, made)
            finally:
                os.close(origin)
            pending.extend(((*original, name), (*made, name)) for name in below)
        for made, status in reversed(copied):
            self._finish(made, status)
        return bool(copied)

    def _open(self, source: Names) -> int | None:
        """Open a directory of the source; None where it is not there any more, or not ours."""
        try:
            return descend(self._source_fd, source)
        except OSError as error:
            if error.errno in _GONE or error.errno == errno.EBUSY:  # another disk's
                return None
            raise

    def _copy_folder(self, origin: int, target: Names) -> list[bytes]:
        """Make a directory and copy the files into it; the directories that are to follow."""
        with opened(self._target_fd, target[:-1]) as parent:
            make = partial(os.mkdir, target[-1], 0o700, dir_fd=parent)
            with_room(self._manner.make_room, make)
            made = open_directory(target[-1], parent)
        folders: list[bytes] = []
        try:
            for name, folder in entries(origin):
                if folder and name != STAGING:
                    folders.append(name)
                elif not folder:
                    _copy_file(name, origin, name, made, self._manner)
        finally:
            os.close(made)
        return folders

    def _finish(self, target: Names, status: os.stat_result) -> None:
        with opened(self._target_fd, target) as made:
            _keep_status(status, made)


def _nothing(fd: int) -> None:
    """Leave a file to be synced with all the others."""


def _copy_file(
    source: bytes, source_fd: int, target: bytes, target_fd: int, manner: _Manner
) -> bool:
    """Copy a regular file; False where there is none."""
    try:
        origin = os.open(source, _READ, dir_fd=source_fd)
    except OSError as error:
        if error.errno in _GONE:
            return False
        raise
    try:
        status = os.fstat(origin)
        if not stat.S_ISREG(status.st_mode):
            return False
        _copy_content(origin, status, target, target_fd, manner)
        return True
    finally:
        os.close(origin)


def _copy_content(
    origin: int, status: os.stat_result, target: bytes, target_fd: int, manner: _Manner
) -> None:
    make = partial(os.open, target, _CREATE, 0o600, dir_fd=target_fd)
    made = with_room(manner.make_room, make)
    try:
        while _copy_piece(origin, made, manner.make_room):
            manner.look()
        _keep_status(status, made)
        manner.finish(made)
    finally:
        os.close(made)


def _copy_piece(origin: int, made: int, make_room: Callable[[], bool]) -> int:
    try:
        count = with_room(make_room, partial(os.copy_file_range, origin, made, _PIECE))
    except OSError as error:
        if error.errno not in _NO_COPY_RANGE:
            raise
        count = 0
    if count:
        return count
    # Some file systems end a copy where the file does not; reading tells.
    data = os.read(origin, _READ_PIECE)
    view = memoryview(data)
    while view:
        view = view[with_room(make_room, partial(os.write, made, view)) :]
    return len(data)


def _keep_status(status: os.stat_result, fd: int) -> None:
    """Keep permissions and dates, as far as the file system can hold them."""
    mode = stat.S_IMODE(status.st_mode) & 0o777
    with suppress(OSError):
        os.fchmod(fd, mode | 0o700 if stat.S_ISDIR(status.st_mode) else mode)
    with suppress(OSError):
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
