# SPDX-License-Identifier: GPL-3.0-or-later
"""All storages and their objects: the `ObjectStore` of the protocol's ports.

A folder is scanned when it is first asked for; asked again, one look at its modification time tells
whether it has to be scanned anew. What is told of an object is read from the disk at that moment.
The lock is held while the table is looked at or changed, not while bytes are moved.
"""

import logging
import os
import stat
import threading
from array import array
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Entry, ObjectRecord, StorageRecord
from appliance.storage import syscalls, trees
from appliance.storage.errors import reporting, translate
from appliance.storage.lookup import Lookup, creating
from appliance.storage.names import to_pc
from appliance.storage.relocation import Relocation, rename_in_place
from appliance.storage.source import FileContent
from appliance.storage.upload import StagedUpload
from appliance.storage.volume import Folder, check

log = logging.getLogger(__name__)

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Catalogue:
    """Storages that are served together. May be used from several threads."""

    def __init__(self, folders: Sequence[Folder]) -> None:
        check(folders)
        self._lock = threading.RLock()
        self._lookup = Lookup(folders)
        self._table = self._lookup.table
        self._relocation = Relocation(self._lookup, self._lock)

    def __enter__(self) -> "Catalogue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all directories and leave nothing behind in the storages."""
        with self._lock:
            for volume in self._lookup.volumes.values():
                volume.close()

    # What there is

    def storage_ids(self) -> Sequence[int]:
        """Ids in the order of the folders."""
        return tuple(self._lookup.volumes)

    def storage(self, storage_id: int) -> StorageRecord:
        """Describe a storage as it is now."""
        with self._lock:
            return self._lookup.volume(storage_id).record()

    def children(self, storage_id: int, parent: int) -> Sequence[int]:
        """List a folder; it is scanned if that was not done or it has changed since."""
        with self._lock:
            folder = self._lookup.folder(storage_id, parent)
            try:
                self._lookup.refresh(folder)
            except MtpError as error:
                if error.code is not ResponseCode.INVALID_OBJECT_HANDLE:
                    raise
                raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, error.detail) from None
            return self._table.children(folder)[:]

    def tree(self, storage_id: int) -> Sequence[int]:
        """List a storage with all folders in it; a folder that cannot be read is as if empty."""
        found = array("I", self.children(storage_id, 0))
        position = 0
        while position < len(found):
            found.extend(self._below(storage_id, found[position]))
            position += 1
        return found

    def entry(self, handle: int) -> Entry:
        """Say what is known of an object, without a look at the disk."""
        with self._lock:
            return self._lookup.entry(handle)

    def record(self, handle: int) -> ObjectRecord:
        """Describe an object as it is now; by one look at the disk."""
        with self._lock:
            status = self._lookup.status(handle)
            known = self._lookup.entry(handle)
        is_file = not known.is_folder
        return ObjectRecord(
            known.handle,
            known.storage_id,
            known.parent,
            known.name,
            known.is_folder,
            size=status.st_size if is_file else 0,
            modified=status.st_mtime,
            created=min(status.st_mtime, status.st_ctime),
            protected=is_file and trees.is_protected(status),
        )

    def unique_id(self, handle: int) -> int:
        """Derive a number from the file system and the kernel's own lasting name of the file."""
        with self._lock:
            inode = self._lookup.status(handle).st_ino
            with self._lookup.watching(handle):
                fd = self._lookup.parent_fd(handle)
                lasting = syscalls.file_handle(fd, self._table.name(handle))
                system = os.fstatvfs(fd).f_fsid
        if lasting is None:
            lasting = inode.to_bytes(8, "little")
        digest = blake2b(b"%d:" % system + lasting, digest_size=16).digest()
        return int.from_bytes(digest, "little") or 1

    def open(self, handle: int, offset: int = 0, length: int | None = None) -> FileContent:
        """Open a file's content; beyond its end there is none."""
        with self._lock:
            self._table.check(handle)
            with self._lookup.watching(handle):
                name = self._table.name(handle)
                fd = os.open(name, _READ, dir_fd=self._lookup.parent_fd(handle))
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, "no file any more")
        return FileContent(fd, status.st_size, offset, length)

    # What can be made

    def receive(
        self, storage_id: int, parent: int, name: str, *, size: int | None, modified: float | None
    ) -> StagedUpload:
        """Begin to receive a file into the staging directory."""
        with self._lock:
            folder, volume = self._lookup.writable_folder(storage_id, parent)
            raw = volume.name_to_disk(name, refusal=ResponseCode.INVALID_DATASET)
            replaces = self._lookup.replaces(folder, raw)
            volume.require_space(size or 0)
            with creating():
                fd, staged = volume.staging.create(volume.directories.get())
            return StagedUpload(
                self._table.reserve(),
                fd=fd,
                name=staged,
                directory_fd=os.dup(volume.staging.fd),
                modified=modified,
                replaces=replaces,
                publish=partial(self._publish, folder=folder, raw=raw),
            )

    def make_folder(
        self, storage_id: int, parent: int, name: str, *, modified: float | None
    ) -> int:
        """Make a folder, or find the one that has the name already."""
        with self._lock:
            folder, volume = self._lookup.writable_folder(storage_id, parent)
            raw = volume.name_to_disk(name, refusal=ResponseCode.INVALID_DATASET)
            with creating():
                fd = self._lookup.fd(folder)
                try:
                    os.mkdir(raw, dir_fd=fd)
                except FileExistsError:
                    return self._lookup.existing_folder(folder, raw)
                if modified is not None:
                    os.utime(raw, (modified, modified), dir_fd=fd, follow_symlinks=False)
                os.fsync(fd)
            return self._lookup.enter(folder, raw, is_folder=True)

    def copy(self, handle: int, storage_id: int, parent: int) -> int:
        """Copy an object into the staging directory, then give it its name."""
        with self._lock:
            self._table.check(handle)
            folder, volume = self._lookup.writable_folder(storage_id, parent)
            self._lookup.require_outside(handle, folder)
            name = self._table.name(handle)
            is_folder = self._table.is_folder(handle)
            status = self._lookup.status(handle)
            volume.require_space(0 if is_folder else status.st_size)
            self._lookup.require_free_name(folder, name)
            origin = self._borrow_parent(handle)
        try:
            self._relocation.copy_in(origin, name, folder, volume)
        finally:
            os.close(origin)
        with self._lock:
            return self._lookup.enter(folder, name, is_folder=is_folder)

    # What can be changed

    def delete(self, handle: int) -> None:
        """Delete an object with all in it, shown or not."""
        with self._lock:
            self._lookup.volume_of(handle).require_writable()
            self._lookup.status(handle)
            name = self._table.name(handle)
            parent = self._borrow_parent(handle)
        try:
            removal = trees.remove(parent, name)
        finally:
            os.close(parent)
        if removal.error is not None:
            raise _refused_removal(removal, removal.error)
        with self._lock:
            if self._table.is_alive(handle):
                self._table.drop(handle)

    def rename(self, handle: int, name: str) -> None:
        """Give an object another name in its folder; never that of another one."""
        refusal = ResponseCode.INVALID_OBJECT_PROP_VALUE
        with self._lock:
            volume = self._lookup.volume_of(handle)
            volume.require_writable()
            raw = volume.name_to_disk(name, refusal=refusal)
            self._lookup.require_unprotected(handle)
            old = self._table.name(handle)
            if name == to_pc(old):
                return
            with reporting(bad_name=refusal):
                fd = self._lookup.parent_fd(handle)
                try:
                    rename_in_place(fd, old, raw)
                except FileExistsError:
                    raise MtpError(refusal, "the name is taken") from None
                os.fsync(fd)
            self._table.rename(handle, raw)

    def move(self, handle: int, storage_id: int, parent: int) -> None:
        """Move an object into another folder; all handles stay."""
        with self._lock:
            self._lookup.volume_of(handle).require_writable()
            folder, volume = self._lookup.writable_folder(storage_id, parent)
            self._lookup.require_outside(handle, folder)
            self._lookup.require_unprotected(handle)
            if self._table.parent(handle) == folder:
                return
            name = self._table.name(handle)
            self._lookup.require_free_name(folder, name)
            origin = self._borrow_parent(handle)
        try:
            with self._lock:
                if self._relocation.rename_into(origin, name, folder):
                    self._settle_move(handle, folder, name)
                    return
            self._relocation.carry_over(origin, name, folder, volume)
        finally:
            os.close(origin)
        with self._lock:
            self._settle_move(handle, folder, name)

    # The pieces

    def _below(self, storage_id: int, handle: int) -> Sequence[int]:
        with self._lock:
            if not self._table.is_alive(handle) or not self._table.is_folder(handle):
                return ()
        try:
            return self.children(storage_id, handle)
        except MtpError as error:
            log.info("SKIP    folder %X: %s", handle, error)
            return ()

    def _borrow_parent(self, handle: int) -> int:
        """Open the folder where an object lies once more, for work without the lock."""
        with reporting():
            return os.dup(self._lookup.parent_fd(handle))

    def _publish(self, upload: StagedUpload, *, folder: int, raw: bytes) -> int:
        """Rename a staged file to its name; a descriptor of its folder, for the caller to close."""
        with self._lock, creating():
            if not self._table.is_root(folder) and not self._table.is_alive(folder):
                raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, "the folder is gone")
            fd = self._lookup.fd(folder)
            os.rename(upload.name, raw, src_dir_fd=upload.directory_fd, dst_dir_fd=fd)
            self._forget_twin(folder, raw)
            self._table.enter(upload.handle, folder, raw, is_folder=False)
            return os.dup(fd)

    def _settle_move(self, handle: int, folder: int, name: bytes) -> None:
        """Enter in the table what was moved on the disk, unless a scan has seen it already."""
        if self._table.is_alive(handle):
            self._forget_twin(folder, name)
            self._table.move(handle, folder)

    def _forget_twin(self, folder: int, name: bytes) -> None:
        """Forget the row that a name has already, before another one takes it."""
        twin = self._table.find(folder, name)
        if twin is not None:
            self._table.drop(twin)


def _refused_removal(removal: trees.Removal, cause: OSError) -> MtpError:
    if removal.removed:
        return MtpError(ResponseCode.PARTIAL_DELETION, str(cause))
    error = translate(cause)
    if error.code is ResponseCode.ACCESS_DENIED:
        return MtpError(ResponseCode.OBJECT_WRITE_PROTECTED, error.detail)
    return error
