# SPDX-License-Identifier: GPL-3.0-or-later
"""From a handle to what lies on the disk, and back. Not for several threads at once."""

import logging
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Entry
from appliance.storage import trees
from appliance.storage.errors import is_gone, reporting, translate
from appliance.storage.handles import HandleTable
from appliance.storage.names import to_pc
from appliance.storage.volume import Folder, Volume, check_kind

log = logging.getLogger(__name__)

#: For blocks that make something: what is gone then is the folder, and a name may not do.
creating = partial(
    reporting, gone=ResponseCode.INVALID_PARENT_OBJECT, bad_name=ResponseCode.INVALID_DATASET
)


class Lookup:
    """The table of handles together with the storages that it is about."""

    def __init__(self, folders: Sequence[Folder]) -> None:
        self.table = HandleTable()
        self.volumes: dict[int, Volume] = {}
        for number, folder in enumerate(folders, start=1):
            volume = Volume(number << 16 | 1, folder, self.table.add_root())
            self.volumes[volume.storage_id] = volume
        self._by_root = {volume.root: volume for volume in self.volumes.values()}

    def volume(self, storage_id: int) -> Volume:
        """Find a storage."""
        try:
            return self.volumes[storage_id]
        except KeyError:
            raise MtpError(ResponseCode.INVALID_STORAGE_ID, f"no storage {storage_id:X}") from None

    def volume_of(self, handle: int) -> Volume:
        """Find the storage where an object lies."""
        self.table.check(handle)
        return self._by_root[self._root(handle)]

    def folder(self, storage_id: int, parent: int) -> int:
        """Find the row of a folder; 0 is the storage's root."""
        volume = self.volume(storage_id)
        if parent == 0:
            return volume.root
        if not self.table.is_alive(parent) or not self.table.is_folder(parent):
            raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, f"no folder {parent:X}")
        if self.volume_of(parent) is not volume:
            raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, "lies in another storage")
        return parent

    def writable_folder(self, storage_id: int, parent: int) -> tuple[int, Volume]:
        """Find the row of a folder where something is to be put."""
        folder = self.folder(storage_id, parent)
        volume = self.volume(storage_id)
        volume.require_writable()
        return folder, volume

    def fd(self, folder: int) -> int:
        """Lend a folder's descriptor, until the next call."""
        return self._by_root[self._root(folder)].directories.get(self.table.path(folder))

    def parent_fd(self, handle: int) -> int:
        """Lend the descriptor of the folder where an object lies, until the next call."""
        return self.fd(self.table.parent(handle))

    def entry(self, handle: int) -> Entry:
        """Say what is known of an object, without a look at the disk."""
        volume, parent = self.volume_of(handle), self.table.parent(handle)
        return Entry(
            handle,
            volume.storage_id,
            0 if self.table.is_root(parent) else parent,
            to_pc(self.table.name(handle)),
            self.table.is_folder(handle),
        )

    def status(self, handle: int) -> os.stat_result:
        """Look at an object on the disk; what is gone or became something else is forgotten."""
        self.table.check(handle)
        with self.watching(handle):
            fd = self.parent_fd(handle)
            status = os.stat(self.table.name(handle), dir_fd=fd, follow_symlinks=False)
            check_kind(status, is_folder=self.table.is_folder(handle))
            return status

    @contextmanager
    def watching(self, handle: int) -> Iterator[None]:
        """Forget an object that turns out to be gone, and tell errors in the protocol's words."""
        try:
            yield
        except OSError as error:
            if is_gone(error):
                self._forget(handle)
            raise translate(error) from error
        except MtpError as error:
            if error.code is ResponseCode.INVALID_OBJECT_HANDLE:
                self._forget(handle)
            raise

    def refresh(self, folder: int) -> None:
        """Scan a folder if it is not known, or has changed since."""
        root = self._root(folder)
        volume = self._by_root[root]
        with self.watching(folder):
            fd = self.fd(folder)
            if volume.is_current(self.table.marks.get(folder), fd):
                return
            mark = volume.mark(fd)
            self.table.merge(folder, volume.scan(fd, is_root=folder == root))
            self.table.marks[folder] = mark

    def enter(self, folder: int, name: bytes, *, is_folder: bool) -> int:
        """Find or make the row of an object that is on the disk now."""
        known = self.table.find(folder, name)
        if known is not None and self.table.is_folder(known) is is_folder:
            return known
        if known is not None:
            self.table.drop(known)
        return self.table.add(folder, name, is_folder=is_folder)

    def existing_folder(self, folder: int, name: bytes) -> int:
        """Find the row of a folder that is there, under a name that was to be made."""
        if not trees.is_folder(name, self.fd(folder)):
            raise MtpError(ResponseCode.ACCESS_DENIED, "a file has that name")
        return self.enter(folder, name, is_folder=True)

    def replaces(self, folder: int, name: bytes) -> bool:
        """Whether a file of that name is there; what is no file is not replaced."""
        with creating():
            try:
                status = os.stat(name, dir_fd=self.fd(folder), follow_symlinks=False)
            except FileNotFoundError:
                return False
        if not stat.S_ISREG(status.st_mode):
            raise MtpError(ResponseCode.ACCESS_DENIED, "the name is taken")
        if trees.is_protected(status):
            raise MtpError(ResponseCode.OBJECT_WRITE_PROTECTED)
        return True

    def require_unprotected(self, handle: int) -> None:
        """Refuse to change a file that has no write bit."""
        status = self.status(handle)
        if stat.S_ISREG(status.st_mode) and trees.is_protected(status):
            raise MtpError(ResponseCode.OBJECT_WRITE_PROTECTED)

    def require_outside(self, handle: int, folder: int) -> None:
        """Refuse to put a folder into itself."""
        if handle in self.table.ancestors(folder):
            raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, "lies in the object itself")

    def require_free_name(self, folder: int, name: bytes) -> None:
        """Refuse a taken name before any work; the rename at the end decides."""
        with creating():
            try:
                os.stat(name, dir_fd=self.fd(folder), follow_symlinks=False)
            except FileNotFoundError:
                return
        raise MtpError(ResponseCode.ACCESS_DENIED, "the name is taken")

    def _root(self, handle: int) -> int:
        *_, root = self.table.ancestors(handle)
        return root

    def _forget(self, handle: int) -> None:
        if self.table.is_alive(handle):
            self.table.drop(handle)
