# SPDX-License-Identifier: GPL-3.0-or-later
"""Renaming, moving and copying on the disk: in one step, over nothing, or not at all."""

import errno
import os
from contextlib import AbstractContextManager

from appliance.mtp.codes import ResponseCode
from appliance.storage import syscalls, trees
from appliance.storage.errors import reporting, translate
from appliance.storage.lookup import Lookup
from appliance.storage.volume import Volume


class Relocation:
    """Brings files and trees into folders. `origin` is the descriptor of the folder they are in."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._lock = lock

    def copy_in(self, origin: int, name: bytes, folder: int, volume: Volume) -> None:
        """Copy into the staging directory, then rename into the folder; or leave nothing."""
        with self._lock, reporting():
            workplace = os.dup(volume.staging.require(volume.directories.get()))
            staged = volume.staging.new_name()
        try:
            with reporting():
                trees.copy(origin, name, workplace, staged)
            with self._lock, reporting(gone=ResponseCode.INVALID_PARENT_OBJECT):
                fd = self._lookup.fd(folder)
                syscalls.rename_new(workplace, staged, fd, name)
                os.fsync(fd)
        finally:
            trees.remove(workplace, staged, keep_protected=False)
            os.close(workplace)

    def rename_into(self, origin: int, name: bytes, folder: int) -> bool:
        """Move on the disk by a rename; False where that is another file system."""
        with reporting():
            target = self._lookup.fd(folder)
            try:
                syscalls.rename_new(origin, name, target, name)
            except OSError as error:
                if error.errno == errno.EXDEV:
                    return False
                raise
            os.fsync(target)
            os.fsync(origin)
        return True

    def carry_over(self, origin: int, name: bytes, folder: int, volume: Volume) -> None:
        """Move on the disk to another file system: copy, then remove."""
        self.copy_in(origin, name, folder, volume)
        removal = trees.remove(origin, name, keep_protected=False)
        if removal.error is not None:
            raise translate(removal.error)


def rename_in_place(fd: int, old: bytes, new: bytes) -> None:
    """Rename in a folder; also to a name that for the file system is the same one."""
    try:
        syscalls.rename_new(fd, old, fd, new)
    except FileExistsError:
        before, after = (os.stat(each, dir_fd=fd, follow_symlinks=False) for each in (old, new))
        if before.st_ino != after.st_ino or before.st_nlink != 1:
            raise
        os.rename(old, new, src_dir_fd=fd, dst_dir_fd=fd)
