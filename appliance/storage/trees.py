# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole trees: removing and copying them, without links followed and without recursion.

Every directory is opened anew from the top when it is its turn, so that a tree of any depth takes
a few descriptors only.
"""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.storage.directories import opened

log = logging.getLogger(__name__)

_PIECE = 8 << 20
_NO_COPY_RANGE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF}
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE_BITS = 0o222

Path = tuple[bytes, ...]


@dataclass(slots=True)
class Removal:
    """What came of removing a tree: how many names went, and the first error."""

    removed: int = 0
    error: OSError | None = None

    def attempt(self, name: bytes, parent_fd: int, *, is_folder: bool) -> None:
        """Remove one name; one that is gone already is as good as removed."""
        try:
            (os.rmdir if is_folder else os.unlink)(name, dir_fd=parent_fd)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.fail(error)
            return
        self.removed += 1

    def fail(self, error: OSError) -> None:
        """Keep the first error."""
        self.error = self.error or error


def is_folder(name: bytes, parent_fd: int) -> bool:
    """Whether a name is a directory, and not a link to one."""
    return stat.S_ISDIR(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode)


def is_protected(status: os.stat_result) -> bool:
    """Whether a file has no write bit at all."""
    return not status.st_mode & _WRITE_BITS


def remove(parent_fd: int, name: bytes, *, keep_protected: bool = True) -> Removal:
    """Remove a file, or a directory with all in it; as much as can be."""
    result = Removal()
    try:
        if not is_folder(name, parent_fd):
            _remove_file(name, parent_fd, result, keep_protected=keep_protected)
            return result
    except OSError as error:
        result.fail(error)
        return result
    folders: list[Path] = []
    pending: list[Path] = [(name,)]
    while pending:
        path = pending.pop()
        folders.append(path)
        pending.extend(_remove_files(parent_fd, path, result, keep_protected=keep_protected))
    for path in reversed(folders):
        _remove_folder(parent_fd, path, result)
    return result


def _remove_files(base_fd: int, path: Path, result: Removal, *, keep_protected: bool) -> list[Path]:
    """Remove what in a directory is none; the directories in it."""
    below: list[Path] = []
    try:
        with opened(base_fd, path) as fd:
            for name, folder in list(entries(fd)):
                if folder:
                    below.append((*path, name))
                else:
                    _remove_file(name, fd, result, keep_protected=keep_protected)
    except OSError as error:
        result.fail(error)
    return below


def _remove_file(name: bytes, parent_fd: int, result: Removal, *, keep_protected: bool) -> None:
    if keep_protected:
        try:
            status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        except OSError as error:
            result.fail(error)
            return
        if stat.S_ISREG(status.st_mode) and is_protected(status):
            result.fail(PermissionError(errno.EPERM, "the file is write-protected"))
            return
    result.attempt(name, parent_fd, is_folder=False)


def _remove_folder(base_fd: int, path: Path, result: Removal) -> None:
    try:
        with opened(base_fd, path[:-1]) as fd:
            result.attempt(path[-1], fd, is_folder=True)
    except OSError as error:
        result.fail(error)


def entries(fd: int) -> Iterator[tuple[bytes, bool]]:
    """List a directory: names, and whether they are directories."""
    with os.scandir(fd) as found:
        for entry in found:
            yield os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)


def copy(source_fd: int, source: bytes, target_fd: int, target: bytes) -> None:
    """Copy a file, or a directory with all files and directories in it, onto the disk.

    Dates and permissions are kept. Links and special files are left out. Raises OSError.
    """
    if not is_folder(source, source_fd):
        _copy_file(source, source_fd, target, target_fd)
        return
    folders: list[tuple[Path, Path]] = []
    pending: list[tuple[Path, Path]] = [((source,), (target,))]
    while pending:
        pair = pending.pop()
        folders.append(pair)
        pending.extend(_copy_folder(source_fd, pair[0], target_fd, pair[1]))
    for original, made in reversed(folders):
        _finish_folder(source_fd, original, target_fd, made)


def _copy_folder(
    source_fd: int, source: Path, target_fd: int, target: Path
) -> list[tuple[Path, Path]]:
    """Make a directory and copy the files into it; the directories that are to follow."""
    below: list[tuple[Path, Path]] = []
    with opened(target_fd, target[:-1]) as parent:
        os.mkdir(target[-1], 0o700, dir_fd=parent)
    with opened(source_fd, source) as origin, opened(target_fd, target) as made:
        for name, folder in list(entries(origin)):
            if folder:
                below.append(((*source, name), (*target, name)))
            else:
                _copy_file(name, origin, name, made)
    return below


def _finish_folder(source_fd: int, source: Path, target_fd: int, target: Path) -> None:
    with opened(source_fd, source) as origin, opened(target_fd, target) as made:
        _keep_status(os.fstat(origin), made)
        os.fsync(made)


def _copy_file(source: bytes, source_fd: int, target: bytes, target_fd: int) -> None:
    try:
        origin = os.open(source, _READ, dir_fd=source_fd)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENOENT):
            return  # a link, a socket, or gone meanwhile
        raise
    try:
        status = os.fstat(origin)
        if stat.S_ISREG(status.st_mode):
            _copy_content(origin, status, target, target_fd)
    finally:
        os.close(origin)


def _copy_content(origin: int, status: os.stat_result, target: bytes, target_fd: int) -> None:
    made = os.open(target, _CREATE, 0o600, dir_fd=target_fd)
    try:
        while _copy_piece(origin, made):
            pass
        _keep_status(status, made)
        os.fdatasync(made)
    finally:
        os.close(made)


def _copy_piece(origin: int, made: int) -> int:
    try:
        return os.copy_file_range(origin, made, _PIECE)
    except OSError as error:
        if error.errno not in _NO_COPY_RANGE:
            raise
    data = os.read(origin, _PIECE)
    view = memoryview(data)
    while view:
        view = view[os.write(made, view) :]
    return len(data)


def _keep_status(status: os.stat_result, fd: int) -> None:
    os.fchmod(fd, stat.S_IMODE(status.st_mode) & 0o777)
    os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
