# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories below a storage's root, by descriptors and never by paths.

A directory is opened component by component, following no link. A few stay open; one of them is
used again only while the kernel says that it still lies where it is looked for, so that what was
moved out of the storage meanwhile, or replaced, is not reached through an old descriptor.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage import mounts, syscalls
from appliance.storage.errors import reporting
from appliance.storage.names import STAGING

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT_OPEN = 24
#: What file systems say that cannot bring a directory to the disk by itself.
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}

Names = tuple[bytes, ...]

#: Devices of storages on FAT. There, where a file begins and how long it is stands beside its name,
#: which a rename writes without; it comes with the file's inode, some seconds later (vfat_rename).
_fat_devices: set[int] = set()


def open_directory(name: bytes, parent_fd: int | None = None) -> int:
    """Open one directory, not through a link; the caller closes it."""
    return os.open(name, _FLAGS, dir_fd=parent_fd)


@contextmanager
def closed_if_refused(fd: int) -> Iterator[int]:
    """Close a descriptor where the block fails; else it goes on being the caller's."""
    try:
        yield fd
    except BaseException:
        os.close(fd)
        raise


def descend(base_fd: int, names: Sequence[bytes]) -> int:
    """Open a directory some levels below another; the caller closes it.

    Raises OSError with EBUSY where another disk is mounted there.
    """
    device = os.fstat(base_fd).st_dev
    fd = os.dup(base_fd)
    for name in names:
        try:
            below = open_directory(name, fd)
        finally:
            os.close(fd)
        fd = below
    with closed_if_refused(fd):
        if os.fstat(fd).st_dev != device:
            raise OSError(errno.EBUSY, "a disk is mounted there")
    return fd


@contextmanager
def opened(base_fd: int, names: Sequence[bytes] = ()) -> Iterator[int]:
    """Open a directory some levels below another, for the length of a block."""
    fd = descend(base_fd, names)
    try:
        yield fd
    finally:
        os.close(fd)


def keep(lent_fd: int, held: ExitStack) -> int:
    """Duplicate a descriptor that is only lent; `held` closes it."""
    fd = os.dup(lent_fd)
    held.callback(os.close, fd)
    return fd


def entries(fd: int, most: int | None = None) -> list[tuple[bytes, bool]]:
    """List what is in a directory: names, and whether they are directories. Raises OSError.

    `most`: how many of them, if not all.
    """
    with os.scandir(fd) as found:
        some = islice(found, most)
        return [(os.fsencode(each.name), each.is_dir(follow_symlinks=False)) for each in some]


def sync(fd: int) -> None:
    """Bring a directory's names to the disk, where the file system can. Raises OSError.

    On FAT with where their files lie, of which the directory's own sync knows nothing.
    """
    if _fat_devices and os.fstat(fd).st_dev in _fat_devices:
        syscalls.sync_file_system(fd)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_and_close(*fds: int) -> None:
    """Do so with directories, in turn, and close them all, whatever goes wrong. Raises OSError."""
    try:
        for fd in fds:
            sync(fd)
    finally:
        for fd in fds:
            os.close(fd)


class Directories:
    """The directories of one storage; not for several threads at once. Raises OSError if new.

    Shut, it opens nothing, so that nothing stays open of a storage that was taken away.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.fsencode(root.resolve(strict=True))
        self._mount = mounts.mount_point(self._root)
        self._open: OrderedDict[Names, int] = OrderedDict()
        self._device = 0
        self._seen = self._look_at_root()
        self._mounts_below: set[bytes] = set()
        self.is_shut = False

    def get(self, names: Names = ()) -> int:
        """Lend the descriptor of a directory below the root, until the next call.

        Raises StoreNotAvailable where the root is not there or all is shut, OSError for the rest.
        """
        if self.is_shut:
            raise MtpError(ResponseCode.STORE_NOT_AVAILABLE, "the storage is away")
        fd = self._open.pop(names, None)
        if fd is not None and not self.is_at(fd, names):
            os.close(fd)
            fd = None
        if fd is None:
            fd = self._find(names) if names else self._find_root()
        self._open[names] = fd
        while len(self._open) > _KEPT_OPEN:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def is_another(self) -> bool:
        """Whether another disk lies at the root than when this was asked last, or none.

        A disk that comes after one has gone often has its numbers, and may be opened before.
        """
        before, self._seen = self._seen, self._look_at_root()
        return self._seen != before

    def _look_at_root(self) -> tuple[int, int]:
        """Say which directory lies at the root: device and inode, zeros where none does."""
        with suppress(OSError):
            status = os.stat(self._root)  # noqa: PTH116 - bytes
            return status.st_dev, status.st_ino
        return 0, 0

    def reach_anew(self, places: Collection[bytes]) -> bool:
        """Close all, for what is mounted where has changed; whether any of that concerns us.

        `places`: all of them, as `Mounts` says them.
        """
        start = mounts.as_kernel_writes(self._root.rstrip(b"/") + b"/")
        below = {place for place in places if place.startswith(start)}
        before, self._mounts_below = self._mounts_below, below
        self.close()
        return below != before

    def is_here(self, status: os.stat_result) -> bool:
        """Whether a directory below the root belongs to it, and not to a disk mounted there."""
        return status.st_dev == self._device

    def is_workplace(self, status: os.stat_result) -> bool:
        """Whether a directory in the root is the workplace, by whatever name it was reached."""
        root_fd = self._open.get((), -1)
        with suppress(OSError):
            workplace = os.stat(STAGING, dir_fd=root_fd, follow_symlinks=False)
            return os.path.samestat(workplace, status)
        return False

    def is_at(self, fd: int, names: Names) -> bool:
        """Ask the kernel whether a descriptor's directory lies at a path below the root."""
        expected = b"/".join((self._root.rstrip(b"/"), *names)) or b"/"
        with suppress(OSError):
            return _place(fd) == expected
        return False

    def holds(self, fd: int) -> bool:
        """Ask the kernel whether an open file lies below the root, or did when it was deleted.

        Of what lies deeper than a path can say it does not tell; then it counts as there.
        """
        try:
            place = _place(fd)
        except OSError as error:
            return error.errno == errno.ENAMETOOLONG
        return place.startswith(self._root.rstrip(b"/") + b"/")

    def close(self) -> None:
        """Close all; harmless when repeated."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _find(self, names: Names) -> int:
        parent = self._open.get(names[:-1]) if len(names) > 1 else None
        try:
            if parent is not None and self.is_at(parent, names[:-1]):
                return descend(parent, names[-1:])
            return self._descend(names)
        except OSError as error:
            if error.errno == errno.EBUSY:  # what is below the disk can be reached by nobody
                raise FileNotFoundError(errno.ENOENT, error.strerror) from None
            raise

    def _descend(self, names: Names) -> int:
        """Open a directory from the root down; the workplace by its own name only."""
        with opened(self.get(), names[:1]) as top:
            if names[0] != STAGING and self.is_workplace(os.fstat(top)):
                raise FileNotFoundError(errno.ENOENT, "a second name of the workplace")
            return descend(top, names[1:])

    def _find_root(self) -> int:
        with reporting(gone=ResponseCode.STORE_NOT_AVAILABLE):
            above = self._device_above()
            fd = open_directory(self._root)
        with closed_if_refused(fd):
            with reporting(gone=ResponseCode.STORE_NOT_AVAILABLE):
                device = os.fstat(fd).st_dev
            if device == above or not self.is_at(fd, ()):
                detail = "moved away, or its disk is not mounted"
                raise MtpError(ResponseCode.STORE_NOT_AVAILABLE, detail)
        if device != self._device:
            self._mount = max(self._mount, mounts.mount_point(self._root), key=len)
        self._device = device
        (_fat_devices.add if syscalls.is_fat(fd) else _fat_devices.discard)(device)
        return fd

    def _device_above(self) -> int:
        """Where the root is on when its disk is not mounted; -1 if it never was on another one.

        Once a disk has been mounted there, the storage is that one: what is beneath is not served.
        The disk may go or come at any moment: what counts is the device of what has been opened.
        """
        if self._mount == b"/":
            return -1
        return os.stat(os.path.dirname(self._mount)).st_dev  # noqa: PTH116, PTH120 - bytes


def _place(fd: int) -> bytes:
    """Where the kernel says that a descriptor's file lies. Raises OSError."""
    return os.readlink(b"/proc/self/fd/%d" % fd)  # noqa: PTH115 - bytes
