# SPDX-License-Identifier: GPL-3.0-or-later
"""The workplace in a storage, where files and trees lie until they are whole.

It is a hidden directory in the storage's root, with one directory for each process that serves the
storage, which the process holds by a lock. What lies in one whose lock is free was left behind by a
process that is gone - the power was cut - and is removed at the next start. Beside these lie the
trash (`appliance.storage.trash`) and the references, which stay.
"""

import errno
import fcntl
import itertools
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from appliance.mtp.errors import MtpError
from appliance.storage import removal, syscalls
from appliance.storage.directories import Directories, Names, entries, open_directory, opened
from appliance.storage.names import STAGING, STATE, TRASH, is_plain
from appliance.storage.removal import Allowance
from appliance.values import dataclass

log = logging.getLogger(__name__)

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: Bytes of a file that there is room for on any file system, as far as its own limits go.
HELD_EVERYWHERE = (2 << 30) - 1
#: Another process that starts or ends may remove a directory that we have just made.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file in the workplace: open for writing, and the directory that it lies in."""

    fd: int
    name: bytes
    directory_fd: int

    def close(self) -> None:
        """Close both."""
        os.close(self.fd)
        os.close(self.directory_fd)

    def rename(self, name: bytes, folder_fd: int) -> None:
        """Put the file into a folder, in the place of one that is there. Raises OSError."""
        os.rename(self.name, name, src_dir_fd=self.directory_fd, dst_dir_fd=folder_fd)

    def rename_new(self, name: bytes, folder_fd: int) -> None:
        """Put the file into a folder, if nothing there has the name. Raises OSError."""
        syscalls.rename_new(self.directory_fd, self.name, folder_fd, name)

    def remove(self) -> None:
        """Remove the file and close both."""
        with suppress(OSError):
            os.unlink(self.name, dir_fd=self.directory_fd)
        self.close()


class Staging:
    """One process's place in the workplace of one storage; made when it is first needed."""

    def __init__(self, directories: Directories) -> None:
        self._directories = directories
        self._fd = -1
        #: What its directory is called; empty where none has been made.
        self.name = b""
        self._numbers = itertools.count(1)
        #: Whether the file system takes names in other letters for the same.
        self.knows_no_case = False

    @property
    def is_ready(self) -> bool:
        """Whether the directory is there, and where it belongs."""
        if self._fd < 0:
            return False
        return self._directories.is_at(self._fd, self._path) or self._is_led_to()

    @property
    def _path(self) -> Names:
        return STAGING, self.name

    def _is_led_to(self) -> bool:
        """Whether it is what the way there leads to, whatever the kernel calls that.

        It calls a directory by the second name that FAT has for it, if it was asked for that first.
        """
        with suppress(OSError, MtpError), opened(self._directories.get(), self._path) as there:
            return os.path.samestat(os.fstat(there), os.fstat(self._fd))
        return False

    def ready(self) -> int:
        """Lend the descriptor as it is; -1 where the directory is not there, or elsewhere."""
        return self._fd if self.is_ready else -1

    def lend(self) -> int:
        """Lend the descriptor of this process's directory; made if need be. Raises OSError."""
        if not self.is_ready:
            self._release()
            self._make()
        return self._fd

    def new_name(self) -> bytes:
        """Find a name that nobody has and nobody can foresee."""
        return b"%d-%s" % (next(self._numbers), os.urandom(6).hex().encode())

    def create(self) -> StagedFile:
        """Make a file. Raises OSError."""
        directory_fd = os.dup(self.lend())
        try:
            name = self.new_name()
            return StagedFile(
                os.open(name, _CREATE, 0o666, dir_fd=directory_fd), name, directory_fd
            )
        except OSError:
            os.close(directory_fd)
            raise

    def try_name(self, name: bytes) -> None:
        """Have the file system refuse a name that it cannot hold. Raises OSError."""
        if not is_plain(name):
            with suppress(FileExistsError):
                os.close(os.open(name, _CREATE, 0o600, dir_fd=self.lend()))
                os.unlink(name, dir_fd=self._fd)

    def require_fit(self, size: int) -> None:
        """Refuse what is larger (bytes) than any file can be here; nothing is written. OSError.

        The kernel says so as soon as a file is to be written there: FAT's end after 4 GiB - 1.
        """
        probe = self.create()
        try:
            os.lseek(probe.fd, size, os.SEEK_SET)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise OSError(errno.EFBIG, f"{size} bytes are too many for one file here") from None
        finally:
            probe.remove()

    def close(self) -> None:
        """Leave nothing behind, if the storage is still there; may be repeated."""
        if self.name:
            with suppress(OSError, MtpError):
                root_fd = self._directories.get()
                with opened(root_fd, (STAGING,)) as workplace:
                    removal.clear_away(workplace, self.name)
                os.rmdir(STAGING, dir_fd=root_fd)
        self._release()

    def _release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _make(self) -> None:
        for _ in range(_ATTEMPTS):
            with suppress(FileNotFoundError):
                if self._try_to_make():
                    return
        raise OSError(errno.EBUSY, "the workplace is being removed again and again")

    def _try_to_make(self) -> bool:
        root_fd = self._directories.get()
        with suppress(FileExistsError):
            os.mkdir(STAGING, 0o700, dir_fd=root_fd)
        name = b"%d-%s" % (os.getpid(), os.urandom(6).hex().encode())
        with opened(root_fd, (STAGING,)) as workplace:
            os.mkdir(name, 0o700, dir_fd=workplace)
            self._fd, self.name = open_directory(name, workplace), name
        if lock(self._fd) and self.is_ready:
            self.knows_no_case = _is_there(STAGING.upper(), root_fd)
            return True
        self._release()
        return False


def _is_there(name: bytes, folder_fd: int) -> bool:
    with suppress(OSError):
        os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        return True
    return False


def left(root_fd: int, own: bytes = b"") -> list[bytes]:
    """List what processes have made in the workplace: those that are gone, and those that work.

    `own`: what this one has made, which is none of it.
    """
    with suppress(OSError), opened(root_fd, (STAGING,)) as workplace:
        return [name for name, _ in entries(workplace) if name not in (STATE, TRASH, own)]
    return []


def clean(root_fd: int, names: Iterable[bytes], allowance: Allowance) -> None:
    """Remove what processes that are gone have left in the workplace; `names`: what was there then.

    Where a file system has no locks, what has come later is not taken for left.
    """
    try:
        with opened(root_fd, (STAGING,)) as workplace:
            for name in names:
                _clean_one(workplace, name, allowance)
        os.rmdir(STAGING, dir_fd=root_fd)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.debug("CLEAN   workplace stays: %s", error.strerror)


def _clean_one(workplace: int, name: bytes, allowance: Allowance) -> None:
    with _held(workplace, name) as held:
        if held:
            removed = removal.clear_away(workplace, name, allowance)
            log.info("CLEAN   %d leftovers of an earlier run", removed)


@contextmanager
def _held(workplace: int, name: bytes) -> Iterator[bool]:
    """Hold what lies in the workplace for the length of a block; False where another does."""
    try:
        fd = open_directory(name, workplace)
    except OSError:
        yield True  # no directory: not of our making
        return
    try:
        yield lock(fd)
    finally:
        os.close(fd)


def lock(fd: int) -> bool:
    """Take the lock; False where another process has it.

    Where the file system has no locks, there is no telling: it is taken for free.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        log.debug("LOCK    none: %s", error.strerror)
    return True
