# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing whole trees, without links followed and without recursion.

Every directory is opened anew from the top when it is its turn, so that a tree of any depth takes
a few descriptors only. A disk that is mounted in the tree is not touched.
"""

import errno
import os
import stat
from contextlib import suppress

from appliance.mtp.transaction import Look, unattended
from appliance.storage.directories import Names, entries, opened
from appliance.values import dataclass

_WRITE_BITS = 0o222
#: Names that are removed while somebody waits; what else there is goes later.
AT_ONCE = 200
#: Names between two looks.
_FEW = 64


class Allowance:
    """How many names may be removed, None for all.

    `remains`: whether something is left that there was no allowance for. For one thread, but for
    `is_over`: any may set it, and nothing more is removed. `look` is asked every few names.
    """

    def __init__(self, names: int | None = None, look: Look = unattended) -> None:
        self.left = names
        self.is_over = False
        self.remains = False
        self._look = look
        self._asked = 0

    def goes_on(self) -> bool:
        """Whether there is any left; to be asked where there is more to remove."""
        self._asked += 1
        if self._asked % _FEW == 0:
            self._look()
        is_any = self.left != 0 and not self.is_over
        self.remains = self.remains or not is_any
        return is_any

    def take(self) -> bool:
        """Whether one more may go."""
        if not self.goes_on():
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def list(self, fd: int) -> list[tuple[bytes, bool]]:
        """List a directory, or so much of it as may go (`directories.entries`). Raises OSError."""
        if self.left is None:
            return entries(fd)
        found = entries(fd, self.left + 1)
        self.remains = self.remains or len(found) > self.left
        return found


@dataclass(slots=True)
class Removal:
    """What came of removing: how many names went, and the first error."""

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
    """Whether a name is a directory, and not a link to one. Raises OSError."""
    return stat.S_ISDIR(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode)


def is_protected(status: os.stat_result) -> bool:
    """Whether a file or folder has no write bit at all."""
    return not status.st_mode & _WRITE_BITS


def empty(parent_fd: int, name: bytes, look: Look = unattended) -> Removal:
    """Remove what is in a directory, as much as can be; the directory itself stays.

    What has no write bit stays too. Every few names `look` is asked; what that raises leaves the
    rest.
    """
    return _Emptying(parent_fd, by_force=False, allowance=Allowance(look=look)).run((name,))


def clear_away(parent_fd: int, name: bytes, allowance: Allowance | None = None) -> int:
    """Remove a file or tree that is nobody's any more; how many names went.

    All of it, or as much as there is an allowance for.
    """
    allowance = allowance or Allowance()
    try:
        folder = is_folder(name, parent_fd)
    except OSError:
        return 0
    emptying = _Emptying(parent_fd, by_force=True, allowance=allowance)
    result = emptying.run((name,)) if folder else Removal()
    if allowance.take():
        result.attempt(name, parent_fd, is_folder=folder)
    return result.removed


class _Emptying:
    """The work on one tree below a directory's descriptor."""

    def __init__(self, base_fd: int, *, by_force: bool, allowance: Allowance) -> None:
        self._base_fd = base_fd
        self._allowance = allowance
        self._by_force = by_force
        self._result = Removal()

    def run(self, top: Names) -> Removal:
        emptied: list[Names] = []
        pending = [top]
        while pending and self._allowance.goes_on():
            path = pending.pop()
            try:
                with opened(self._base_fd, path) as fd:
                    self._prepare(fd)
                    pending.extend((*path, name) for name in self._remove_files(fd))
                emptied.append(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._result.fail(error)
        for path in reversed(emptied[1:]):
            if not self._allowance.take():
                break
            self._remove_folder(path)
        return self._result

    def _prepare(self, fd: int) -> None:
        if self._by_force:
            with suppress(OSError):
                os.fchmod(fd, 0o700)
        elif is_protected(os.fstat(fd)):
            raise PermissionError(errno.EPERM, "the folder is write-protected")

    def _remove_files(self, fd: int) -> list[bytes]:
        """Remove what in a directory is none; the directories in it."""
        folders: list[bytes] = []
        for name, folder in self._allowance.list(fd):
            if folder:
                folders.append(name)
            elif not self._allowance.take():
                break
            elif self._by_force or self._may_go(name, fd):
                self._result.attempt(name, fd, is_folder=False)
        return folders

    def _may_go(self, name: bytes, fd: int) -> bool:
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode) and is_protected(status):
                raise PermissionError(errno.EPERM, "the file is write-protected")
        except OSError as error:
            self._result.fail(error)
            return False
        return True

    def _remove_folder(self, path: Names) -> None:
        try:
            with opened(self._base_fd, path[:-1]) as fd:
                self._result.attempt(path[-1], fd, is_folder=True)
        except OSError as error:
            self._result.fail(error)
