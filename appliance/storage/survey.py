# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at a whole tree before it goes as one: what it weighs, and what of it has to stay.

Deleting has to leave what has no write bit, folders that cannot be emptied, and a disk that is
mounted in the tree. A copy on another disk leaves out what a PC is not shown: links, special files,
a workplace, and such a disk.
"""

import errno
import os
import stat

from appliance.mtp.transaction import Look, unattended
from appliance.storage import syscalls
from appliance.storage.directories import Names, opened
from appliance.storage.names import STAGING
from appliance.storage.removal import is_protected
from appliance.values import dataclass, field

_BLOCK = 512


@dataclass(slots=True)
class Survey:
    """What was seen: how many bytes go, and what stays, with the first reason.

    Names lead from the folder in which the tree lies. `around` are the folders above what stays.
    `largest`: bytes of the largest file that is to be copied. `version` is another number when what
    goes has changed, be it taken apart from what stays. `by_number`: whether a file that came in
    the place of one is told from it by its inode number.
    """

    size: int = 0
    largest: int = 0
    version: int = 0
    by_number: bool = True
    stays: set[Names] = field(default_factory=set)
    around: set[Names] = field(default_factory=set)
    error: OSError | None = None

    def keep(self, path: Names, error: OSError) -> None:
        """Note that something stays."""
        self.error = self.error or error
        self.stays.add(path)
        self.around.update(path[:depth] for depth in range(1, len(path)))

    def weigh(self, status: os.stat_result) -> None:
        """Add what the disk gets back with one name; nothing where the file has another."""
        if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1:
            self.size += status.st_blocks * _BLOCK

    def looks(self, status: os.stat_result) -> tuple[int, int, int, bool]:
        """Say what a file or folder looks like, as long as nobody changes it."""
        number = status.st_ino if self.by_number else 0
        return number, status.st_mtime_ns, status.st_size, is_protected(status)


def look_over(parent_fd: int, name: bytes, look: Look = unattended) -> Survey:
    """Look at what is to be deleted, and count bytes on the disk that nobody else has.

    Before each folder `look` is asked. Raises OSError where it is not there.
    """
    seen = Survey()
    status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    seen.weigh(status)
    pending: list[Names] = [(name,)] if stat.S_ISDIR(status.st_mode) else []
    while pending:
        look()
        path = pending.pop()
        try:
            with opened(parent_fd, path) as fd:
                _require_yielding(fd)
                pending.extend(_look_into(fd, path, seen))
        except FileNotFoundError:
            continue
        except OSError as error:
            seen.keep(path, error)
    return seen


def _require_yielding(fd: int) -> None:
    """Refuse a folder that cannot be emptied."""
    if is_protected(os.fstat(fd)):
        raise PermissionError(errno.EPERM, "the folder is write-protected")
    if not os.access(b".", os.W_OK | os.X_OK, dir_fd=fd, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _look_into(fd: int, path: Names, seen: Survey) -> list[Names]:
    """Look at what is in a folder; the folders in it."""
    folders: list[Names] = []
    with os.scandir(fd) as found:
        for entry in found:
            status = entry.stat(follow_symlinks=False)
            is_folder = stat.S_ISDIR(status.st_mode)
            if is_protected(status) and not is_folder and not stat.S_ISLNK(status.st_mode):
                protected = PermissionError(errno.EPERM, "the file is write-protected")
                seen.keep((*path, os.fsencode(entry.name)), protected)
                continue
            seen.weigh(status)
            if is_folder:
                folders.append((*path, os.fsencode(entry.name)))
    return folders


def look_ahead(parent_fd: int, name: bytes, *, block: int = 1, look: Look = unattended) -> Survey:
    """Look at what is to be copied, and count bytes where a disk gives them out in blocks.

    Before each folder `look` is asked. Raises OSError where it is not there.
    """
    seen = Survey(by_number=syscalls.keeps_inode_numbers(parent_fd))
    pending = _foresee((name,), os.stat(name, dir_fd=parent_fd, follow_symlinks=False), seen, block)
    while pending:
        look()
        path = pending.pop()
        try:
            with opened(parent_fd, path) as fd, os.scandir(fd) as found:
                seen.size += block
                seen.version += hash(path[1:])
                for entry in found:
                    below = (*path, os.fsencode(entry.name))
                    status = entry.stat(follow_symlinks=False)
                    pending.extend(_foresee(below, status, seen, block))
        except OSError as error:
            seen.keep(path, error)
    return seen


def _foresee(path: Names, status: os.stat_result, seen: Survey, block: int) -> list[Names]:
    """Take in one name that is to be copied; itself, where it is a folder to look into."""
    if stat.S_ISDIR(status.st_mode) and path[-1] != STAGING:
        return [path]
    if stat.S_ISREG(status.st_mode):
        seen.size += -(-status.st_size // block) * block
        seen.largest = max(seen.largest, status.st_size)
        seen.version += hash((path[1:], seen.looks(status)))
    else:
        seen.keep(path, OSError(errno.EXDEV, "it is nothing that is copied"))
    return []
