# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a whole upload in the place of an older file, which goes into the trash.

The two change places in one step, then the old one leaves the workplace for the trash. So there is
a whole file under the name at every moment; and where the file system cannot exchange names, or a
power cut comes between the two steps, the old file is gone as it would be without a trash.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress

from appliance.mtp.errors import MtpError
from appliance.storage import syscalls
from appliance.storage.directories import Names, keep
from appliance.storage.lookup import Lookup
from appliance.storage.staging import StagedFile
from appliance.storage.survey import look_over
from appliance.storage.trash import Trash
from appliance.storage.trash_place import Slot
from appliance.storage.volume import Volume


class Replacing:
    """Keeps what uploads replace."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._lock = lock

    def reserve(self, volume: Volume, folder: int, name: bytes, held: ExitStack) -> Slot | None:
        """Prepare the trash for a file that is about to be replaced; None where it is not kept."""
        policy = volume.trash.policy
        if policy is None or not policy.replaced:
            return None
        try:
            with self._lock:
                fd = keep(self._lookup.fd(folder), held)
                path = (*self._lookup.table.place(folder)[1], name)
            return self._reserve(volume, fd, path, held) if _is_worth_it(fd, name) else None
        except (FileNotFoundError, MtpError):
            return None
        except (OSError, ValueError) as error:
            volume.trash.complain(error)
            return None

    def _reserve(self, volume: Volume, fd: int, path: Names, held: ExitStack) -> Slot | None:
        size = look_over(fd, path[-1]).size
        if size > volume.trash.limit:
            return None
        with self._lock:
            place = self._lookup.trash(volume, held)
        return volume.trash.reserve(path, size, place)


def put_in_place(
    staged: StagedFile,
    name: bytes,
    folder_fd: int,
    trash: Trash,
    slot: Slot | None,
    *,
    allow: Callable[[], bytes],
) -> bytes:
    """Give a staged file its name, and the file that had it the slot; that name. Raises OSError.

    `allow` is asked where there is such a file, and says by what name it is listed; it raises
    MtpError where that is to stay.
    """
    if slot is None:
        try:
            staged.rename_new(name, folder_fd)
        except FileExistsError:
            name = allow()
            staged.rename(name, folder_fd)
        return name
    try:
        name = allow()
    except (MtpError, OSError):
        slot.abandon()
        raise
    if _exchange(staged, name, folder_fd):
        _keep_old(staged, name, folder_fd, trash, slot)
    else:
        slot.abandon()
        staged.rename(name, folder_fd)
    return name


def _is_worth_it(folder_fd: int, name: bytes) -> bool:
    """Whether there is something to have back: an empty file is nothing."""
    status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def _exchange(staged: StagedFile, name: bytes, folder_fd: int) -> bool:
    with suppress(FileNotFoundError):  # the old file has gone meanwhile
        return syscalls.exchange(staged.directory_fd, staged.name, folder_fd, name)
    return False


def _keep_old(staged: StagedFile, name: bytes, folder_fd: int, trash: Trash, slot: Slot) -> None:
    """Put into the trash what lies under the staged file's name now."""
    status = os.stat(staged.name, dir_fd=staged.directory_fd, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):  # made there meanwhile; a file does not replace a folder
        slot.abandon()
        syscalls.exchange(staged.directory_fd, staged.name, folder_fd, name)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    try:
        trash.put(slot, staged.directory_fd, staged.name)
    except OSError as error:
        trash.complain(error)
        slot.abandon()
        with suppress(OSError):
            os.unlink(staged.name, dir_fd=staged.directory_fd)
