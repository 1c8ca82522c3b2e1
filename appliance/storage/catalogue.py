# SPDX-License-Identifier: GPL-3.0-or-later
"""All storages and their objects: the `ObjectStore` of the protocol's ports.

A folder is scanned when it is first asked for; asked again, one look at its modification time tells
whether it has to be scanned anew. What is told of an object is read from the disk at that moment.
The lock is held while the table is looked at or changed, not while bytes are moved.
"""

import logging
import os
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Change, Entry, MadeFolder, ObjectRecord, Picture
from appliance.mtp.transaction import Look, unattended
from appliance.storage.arrival import Arrivals
from appliance.storage.browsing import Listed, browse
from appliance.storage.describing import Describing
from appliance.storage.directories import closed_if_refused
from appliance.storage.on_demand import OnDemand
from appliance.storage.source import FileContent
from appliance.storage.storages import Storages
from appliance.storage.trash_days import TrashPolicy
from appliance.storage.upload import StagedUpload
from appliance.storage.volume import Folder
from appliance.storage.watching import Watching
from appliance.storage.write_safety import WriteSafety

if TYPE_CHECKING:
    from appliance.storage.editing import InPlaceEdit
    from appliance.storage.restoring import TrashItem

log = logging.getLogger(__name__)

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Catalogue(Storages):
    """Storages that are served together, and their objects. May be used from several threads.

    `watch`: whether to follow what happens in folders that have been listed, by a thread. `renew`:
    whether what it finds changed or moved gets another handle; the old one is still good. `trash`:
    how long what is deleted is kept; None where it is deleted for good. `allow_format`: whether a
    PC may delete all of a storage at once; `may_format` can be set later, too. `write_safety`: when
    a PC is told that a file is written.
    """

    def __init__(
        self,
        folders: Sequence[Folder],
        *,
        watch: bool = False,
        renew: bool = False,
        trash: TrashPolicy | None = None,
        allow_format: bool = False,
        write_safety: WriteSafety = WriteSafety.SAFE,
    ) -> None:
        super().__init__(folders, trash, write_safety)
        self.may_format = allow_format
        self._table = self._lookup.table
        self._arrivals = Arrivals(self._lookup, self._lock, self._flusher)
        self._describing = Describing(self._lookup, self._lock)
        self._lookup.renews_handles = renew
        self._watching = Watching(self._lookup, self._lock) if watch else None
        if self._watching is not None:
            self._watching.start()
        self._on_demand = OnDemand(self._lookup, self._lock, self.open)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Sync what waits, end the watch, close all directories and leave nothing behind."""
        self._flusher.close()
        self._on_demand.close()
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.stop()
        for volume in self._lookup.volumes:
            volume.end_uses()
        with self._lock:
            for volume in self._lookup.volumes:
                volume.close()
            self._lookup.mounts.close()

    # What there is

    @property
    def unwatched(self) -> str:
        """Why changes in some folders are only seen when they are listed; "" where they are not."""
        return self._lookup.watcher.refusal

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
            listed = self._table.children(folder)[:]
        self._lookup.announcements.deliver()
        return listed

    def tree(self, storage_id: int, *, look: Look = unattended) -> Sequence[int]:
        """List a storage with all folders in it; a folder that cannot be read is as if empty."""
        found = array("I", self.children(storage_id, 0))
        position = 0
        while position < len(found):
            found.extend(self._below(storage_id, found[position], look))
            position += 1
        return found

    def entry(self, handle: int) -> Entry:
        """Say what is known of an object, without a look at the disk."""
        with self._lock:
            return self._lookup.entry(handle)

    def current(self, handle: int) -> int:
        """Find the handle that an object is listed by; what is no former one stays as it is."""
        with self._lock:
            return self._table.current(handle)

    def browse(self, storage_id: int, names: Sequence[str]) -> list[Listed]:
        """List a folder for a person, by the names that lead to it; nothing is entered."""
        with self._flusher.settled():
            return browse(self._lookup, self._lock, storage_id, names)

    def record(self, handle: int, *, in_full: bool = False) -> ObjectRecord:
        """Describe an object as it is now; by one look at the disk, if not in full."""
        return self._describing.record(handle, in_full=in_full)

    def records(
        self, handles: Sequence[int], *, in_full: bool = False
    ) -> Iterator[ObjectRecord | None]:
        """Describe many objects, a batch at a time, as they are when it is their turn."""
        return self._describing.records(handles, in_full=in_full)

    def unique_id(self, handle: int) -> int:
        """Derive a number from the file system and the kernel's own lasting name of the file."""
        return self._describing.unique_id(handle)

    def open(self, handle: int, offset: int = 0, length: int | None = None) -> FileContent:
        """Open a file's content; beyond its end there is none."""
        with self._lock:
            self._table.check(handle)
            if self._table.is_folder(handle):
                raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, f"{handle:X} is a folder")
            with self._lookup.watching(handle):
                directory_fd, name = self._lookup.lies_at(handle)
                fd = os.open(name, _READ, dir_fd=directory_fd)
                with closed_if_refused(fd):
                    status = os.fstat(fd)
                    self._lookup.check_kind(handle, status)
            stay = self._lookup.volume_of(handle).stay()
        return FileContent(fd, status.st_size, offset, length, stay)

    # What can be made and changed

    def receive(
        self, storage_id: int, parent: int, name: str, *, size: int | None, modified: float | None
    ) -> StagedUpload:
        """Begin to receive a file, in the workplace."""
        return self._arrivals.receive(storage_id, parent, name, size=size or 0, modified=modified)

    def make_folder(
        self, storage_id: int, parent: int, name: str, *, modified: float | None
    ) -> MadeFolder:
        """Make a folder, or find the one that has the name already."""
        return self._arrivals.make_folder(storage_id, parent, name, modified=modified)

    def copy(self, handle: int, storage_id: int, parent: int, *, look: Look = unattended) -> int:
        """Copy an object in the workplace, then give it its name."""
        with self._flusher.settled():
            return self._on_demand.relocation.copy(handle, storage_id, parent, look=look)

    def rename(self, handle: int, name: str) -> None:
        """Give an object another name in its folder; never that of another one."""
        with self._flusher.settled():
            self._on_demand.renaming.rename(handle, name)

    def move(self, handle: int, storage_id: int, parent: int, *, look: Look = unattended) -> None:
        """Move an object into another folder; all handles stay."""
        with self._flusher.settled():
            self._on_demand.relocation.move(handle, storage_id, parent, look=look)
            self._on_demand.editing.follow()

    def delete(self, handle: int, *, look: Look = unattended) -> None:
        """Delete an object with all in it, shown or not; what has no write bit stays."""
        with self._flusher.settled():
            self._on_demand.deletion.delete(handle, look=look)

    def edit(self, handle: int) -> "InPlaceEdit":
        """Begin to change a file in place."""
        with self._flusher.settled():
            return self._on_demand.editing.edit(handle)

    def set_modified(self, handle: int, modified: float) -> None:
        """Set the date of the last change."""
        with self._flusher.settled():
            self._on_demand.editing.set_modified(handle, modified)

    def set_protected(self, handle: int, *, protected: bool) -> None:
        """Take an object's write bits away, or give them back."""
        with self._flusher.settled():
            self._on_demand.editing.set_protected(handle, protected=protected)

    def format(self, storage_id: int, *, look: Look = unattended) -> None:
        """Delete everything that is shown in a storage, as far as it can be."""
        with self._lock:
            self._lookup.volume(storage_id)
        if not self.may_format:
            raise MtpError(ResponseCode.ACCESS_DENIED, "formatting is not allowed")
        with self._flusher.settled():
            self._on_demand.format(storage_id, look)

    # References

    def references(self, handle: int) -> Sequence[int]:
        """List what an object refers to, as far as it is there."""
        return self._on_demand.references.get(handle)

    def set_references(self, handle: int, references: Sequence[int]) -> None:
        """Keep what an object refers to."""
        with self._flusher.settled():
            self._on_demand.references.set(handle, references)

    # Pictures

    @property
    def makes_thumbnails(self) -> bool:
        """Whether there is what makes thumbnails."""
        return self._on_demand.makes_thumbnails

    def thumbnail(self, handle: int) -> Picture:
        """Make a small image of a file, in another process; a folder has none."""
        if self.entry(handle).is_folder:
            raise MtpError(ResponseCode.NO_THUMBNAIL_PRESENT)
        return self._on_demand.thumbnails.get(handle)

    def image_size(self, handle: int) -> tuple[int, int]:
        """Tell an image's width and height, found out in another process."""
        return (0, 0) if self.entry(handle).is_folder else self._on_demand.thumbnails.size(handle)

    # The trash

    def trash_list(self) -> "Sequence[TrashItem]":
        """List what has been deleted and can be had back, of all storages, the oldest first."""
        return self._on_demand.restoring.items()

    def trash_restore(self, storage_id: int, name: str) -> Sequence[Change]:
        """Put something back to where it lay, never over something; what to tell of it.

        Raises ApplianceError where nothing of that name is in the trash.
        """
        with self._flusher.settled():
            return self._on_demand.restoring.restore(storage_id, name)

    def trash_empty(self, storage_id: int | None = None, name: str | None = None) -> int:
        """Delete for good all, all of a storage, or one object of it; how many objects went."""
        return self._on_demand.restoring.empty(storage_id, name)

    def trash_purge(self) -> int:
        """Delete for good what has been in the trash for long enough; how many objects went."""
        return self._on_demand.restoring.purge()

    # The pieces

    def _below(self, storage_id: int, handle: int, look: Look) -> Sequence[int]:
        with self._lock:
            if not self._table.is_alive(handle) or not self._table.is_folder(handle):
                return ()
        look()
        try:
            return self.children(storage_id, handle)
        except MtpError as error:
            log.info("SKIP    folder %X: %s", handle, error)
            return ()
