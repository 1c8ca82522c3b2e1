# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a whole upload in the place of an older file, which goes into the trash.

The two change places in one step, then the old one leaves the workplace for the trash. So there is
a whole file under the name at every moment; and where a power cut comes between the two steps, the
old file is gone as it would be without a trash. Where the file system cannot exchange names, the
old one gets another one in the workplace by a link. Where it has no links either, as exFAT, the old
one goes into the trash first, and is nowhere else until the new one has its name.
"""

import errno
import logging
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress

from appliance.mtp.errors import MtpError
from appliance.storage import syscalls
from appliance.storage.directories import Names, keep, sync
from appliance.storage.lookup import Lookup
from appliance.storage.staging import StagedFile
from appliance.storage.survey import look_over
from appliance.storage.trash import Trash
from appliance.storage.trash_place import Slot
from appliance.storage.volume import Volume
from appliance.values import replace

log = logging.getLogger(__name__)


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
            log.warning("TRASH   too small for the older %a, which is gone for good", path[-1])
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
    if old := _change_places(staged, name, folder_fd, slot):
        _keep_old(old, name, folder_fd, trash, slot)
    elif _put_aside(name, folder_fd, trash, slot):
        _come_after(staged, name, folder_fd, trash, slot)
    else:
        staged.rename(name, folder_fd)
    return name


def _is_worth_it(folder_fd: int, name: bytes) -> bool:
    """Whether there is something to have back: an empty file is nothing."""
    status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def _change_places(
    staged: StagedFile, name: bytes, folder_fd: int, slot: Slot
) -> StagedFile | None:
    """Let the staged file and the old one change places; the old one, as it lies then, or none."""
    try:
        if syscalls.exchange(staged.directory_fd, staged.name, folder_fd, name):
            return staged
        return _exchange_by_link(staged, name, folder_fd)
    except FileNotFoundError:  # the old file has gone meanwhile
        return None
    except OSError:
        slot.abandon()
        raise


def _exchange_by_link(staged: StagedFile, name: bytes, folder_fd: int) -> StagedFile | None:
    other, here = b"%s~" % staged.name, staged.directory_fd
    try:
        os.link(name, other, src_dir_fd=folder_fd, dst_dir_fd=here, follow_symlinks=False)
    except OSError:  # there are no links, or none to a folder
        return None
    try:
        staged.rename(name, folder_fd)
    except OSError:
        os.unlink(other, dir_fd=here)
        raise
    return replace(staged, name=other)


def _put_aside(name: bytes, folder_fd: int, trash: Trash, slot: Slot) -> bool:
    """Put the old file into the trash before the new one has its name; whether it is there."""
    try:
        trash.put(slot, folder_fd, name)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            trash.complain(error)
        slot.abandon()
        return False
    return True


def _come_after(staged: StagedFile, name: bytes, folder_fd: int, trash: Trash, slot: Slot) -> None:
    """Give the staged file its name; where that fails, the old one comes back."""
    try:
        sync(slot.place.files)  # nowhere else is the old one
        _require_no_folder(slot.name, slot.place.files)
        staged.rename(name, folder_fd)
    except OSError:
        with suppress(OSError):
            trash.take_out(slot.place, slot.name, folder_fd, name)
            slot.abandon()
        raise


def _require_no_folder(name: bytes, folder_fd: int) -> None:
    """Refuse a folder that was made in the place of the old file: a file replaces none."""
    status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def _keep_old(old: StagedFile, name: bytes, folder_fd: int, trash: Trash, slot: Slot) -> None:
    """Put into the trash what lies in the workplace by now."""
    try:
        _require_no_folder(old.name, old.directory_fd)
    except OSError:
        slot.abandon()
        syscalls.exchange(old.directory_fd, old.name, folder_fd, name)
        raise
    try:
        trash.put(slot, old.directory_fd, old.name)
    except OSError as error:
        trash.complain(error)
        slot.abandon()
        with suppress(OSError):
            os.unlink(old.name, dir_fd=old.directory_fd)
