# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at a whole tree before it goes as one: what it weighs, and what of it has to stay.

What stays is what deleting would leave: what has no write bit, folders that cannot be emptied, a
disk that is mounted in the tree.
"""

import errno
import os
import stat

from appliance.storage.directories import Names, opened
from appliance.storage.removal import is_protected
from appliance.values import dataclass, field

_BLOCK = 512


@dataclass(slots=True)
class Survey:
    """What was seen: bytes on the disk that nobody else has, and what stays, with the first reason.

    Names lead from the folder in which the tree lies. `around` are the folders above what stays.
    """

    size: int = 0
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


def look_over(parent_fd: int, name: bytes) -> Survey:
    """Look at a file or a whole tree. Raises OSError where it is not there."""
    seen = Survey()
    status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    seen.weigh(status)
    pending: list[Names] = [(name,)] if stat.S_ISDIR(status.st_mode) else []
    while pending:
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
