# SPDX-License-Identifier: GPL-3.0-or-later
"""The workplace in a storage, where files and trees lie until they are whole.

It is a hidden directory in the storage's root, with one directory for each process that serves the
storage, which the process holds by a lock. What lies in one whose lock is free was left behind by a
process that is gone - the power was cut - and is removed at the next start.
"""

import fcntl
import itertools
import logging
import os
from contextlib import suppress

from appliance.storage import trees
from appliance.storage.directories import open_directory
from appliance.storage.names import STAGING

log = logging.getLogger(__name__)

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Staging:
    """One process's place in the workplace of one storage; made when it is first needed."""

    def __init__(self) -> None:
        self._fd = -1
        self._name = b""
        self._numbers = itertools.count(1)

    @property
    def fd(self) -> int:
        """The descriptor of this process's directory, once there is one."""
        return self._fd

    def require(self, root_fd: int) -> int:
        """Give the descriptor of this process's directory; made if need be."""
        if self._fd >= 0 and os.fstat(self._fd).st_nlink == 0:
            self._release()
        if self._fd < 0:
            self._make(root_fd)
        return self._fd

    def new_name(self) -> bytes:
        """Find a name that nobody has and nobody can foresee."""
        return b"%d-%s" % (next(self._numbers), os.urandom(6).hex().encode())

    def create(self, root_fd: int) -> tuple[int, bytes]:
        """Make a file; its descriptor for writing, and its name in this process's directory."""
        directory, name = self.require(root_fd), self.new_name()
        return os.open(name, _CREATE, 0o666, dir_fd=directory), name

    def close(self, root_fd: int | None) -> None:
        """Leave nothing behind; `root_fd` None where the root is not there any more."""
        if self._fd < 0:
            return
        self._release()
        if root_fd is None:
            return
        with suppress(OSError):
            workplace = open_directory(STAGING, root_fd)
            try:
                trees.remove(workplace, self._name, keep_protected=False)
            finally:
                os.close(workplace)
            os.rmdir(STAGING, dir_fd=root_fd)

    def _release(self) -> None:
        os.close(self._fd)
        self._fd = -1

    def _make(self, root_fd: int) -> None:
        with suppress(FileExistsError):
            os.mkdir(STAGING, 0o700, dir_fd=root_fd)
        workplace = open_directory(STAGING, root_fd)
        try:
            self._name = b"%d-%s" % (os.getpid(), os.urandom(6).hex().encode())
            os.mkdir(self._name, 0o700, dir_fd=workplace)
            self._fd = open_directory(self._name, workplace)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(workplace)


def clean(root_fd: int) -> None:
    """Remove what processes that are gone have left in the workplace."""
    try:
        workplace = open_directory(STAGING, root_fd)
    except OSError:
        return
    try:
        for name, _ in list(trees.entries(workplace)):
            if not _is_held(workplace, name):
                removal = trees.remove(workplace, name, keep_protected=False)
                log.info("CLEAN   %d leftovers of an earlier run", removal.removed)
    finally:
        os.close(workplace)
    with suppress(OSError):
        os.rmdir(STAGING, dir_fd=root_fd)


def _is_held(workplace: int, name: bytes) -> bool:
    try:
        fd = open_directory(name, workplace)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
