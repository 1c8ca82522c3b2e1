# SPDX-License-Identifier: GPL-3.0-or-later
"""What is served: the table, the storages, and the way from a row to an open folder.

Not for several threads at once.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage.handles import HandleTable
from appliance.storage.mounts import Mounts
from appliance.storage.names import are_alike
from appliance.storage.staging import StagedFile
from appliance.storage.trash_days import TrashPolicy
from appliance.storage.volume import Folder, Volume
from appliance.storage.volumes import Volumes
from appliance.storage.watcher import Unwatched, Watcher

#: Rows of folders that have others by now, for who began with them; the oldest end first.
_MOST_HEIRS = 1024


class Served:
    """The table of handles and the storages that its rows lie in."""

    def __init__(
        self,
        folders: Sequence[Folder],
        lock: AbstractContextManager[object],
        policy: TrashPolicy | None,
    ) -> None:
        self.table = HandleTable()
        self.volumes = Volumes()
        self.mounts = Mounts()
        self.watcher: Watcher = Unwatched()
        #: Whole files, by row, that still lie in the workplace (`appliance.storage.flushing`).
        self.waiting: dict[int, StagedFile] = {}
        self._heirs: dict[int, int] = {}
        self._lock = lock
        self._policy = policy
        for folder in folders:
            self.volumes.add(self.new_volume(folder))

    def new_volume(self, folder: Folder) -> Volume:
        """Open a folder that is to be a storage; for any thread."""
        with self._lock:
            number, root = self.volumes.new_id(), self.table.add_root()
        volume = Volume(number, folder, root, lock=self._lock, policy=self._policy)
        volume.directories.reach_anew(self.mounts.places())
        return volume

    def set_trash(self, policy: TrashPolicy | None) -> None:
        """Keep what is deleted by other rules, in storages to come too."""
        self._policy = policy
        for volume in self.volumes:
            volume.trash.policy = policy

    def look_at_mounts(self) -> None:
        """See disks that were mounted or unmounted where storages are, since this was done last."""
        if self.mounts.have_changed():
            places = self.mounts.places()
            for volume in self.volumes:
                if volume.look_at_mounts(places):
                    self._doubt_all(volume)

    def doubt(self, folder: int) -> None:
        """Have a folder scanned when it is asked for next, whatever it looks like."""
        mark = self.table.marks.get(folder)
        if mark is not None:
            self.table.marks[folder] = mark.doubted()

    def _doubt_all(self, volume: Volume) -> None:
        """Have all folders of a storage scanned anew, which may be other directories now."""
        for folder in self.table.scanned_below(volume.root):
            self.doubt(folder)
            self.watcher.look_over(folder)
        self.watcher.touch(volume.storage_id)

    def volume(self, storage_id: int) -> Volume:
        """Find a storage; StoreNotAvailable where it is away."""
        return self.volumes.present(storage_id)

    def volume_of(self, handle: int) -> Volume:
        """Find the storage where an object lies."""
        self.table.check(handle)
        return self.volume_above(handle)

    def volume_above(self, folder: int) -> Volume:
        """Find the storage of a row, be it alive or a root's; StoreNotAvailable as `volume`."""
        return self.volumes.above(self.table.place(folder)[0])

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

    def give_another_handle(self, row: int) -> int:
        """Let an object have another handle; that of a folder is good for nobody any more."""
        new = self.table.renew(row)
        if self.table.is_folder(new):
            self._heirs[row] = new
            if len(self._heirs) > _MOST_HEIRS:
                del self._heirs[next(iter(self._heirs))]
        return new

    def folder_now(self, folder: int) -> int:
        """Find the row of a folder by one that it had when something for it began to come."""
        while (heir := self._heirs.get(folder)) is not None:
            folder = heir
        return folder

    def writable_folder(self, storage_id: int, parent: int) -> tuple[int, Volume]:
        """Find the row of a folder where something is to be put."""
        self.look_at_mounts()
        folder = self.folder(storage_id, parent)
        volume = self.volume(storage_id)
        volume.require_writable()
        return folder, volume

    def fd(self, folder: int) -> int:
        """Lend a folder's descriptor, until the next call. Raises OSError where it is gone."""
        root, names = self.table.place(folder)
        if root != folder and not self.table.is_alive(folder):
            raise FileNotFoundError(errno.ENOENT, "the folder is gone")
        return self.volumes.above(root).directories.get(names)

    def parent_fd(self, handle: int) -> int:
        """Lend the descriptor of the folder where an object lies, until the next call."""
        return self.fd(self.table.parent(handle))

    def lies_at(self, handle: int) -> tuple[int, bytes]:
        """Say where on the disk an object lies now: an open directory, lent as above, and a name.

        It is not where the table says for a file that has not been given its name yet.
        """
        staged = self.waiting.get(handle)
        if staged is not None:
            return staged.directory_fd, staged.name
        return self.parent_fd(handle), self.table.name(handle)

    def check_kind(self, handle: int, status: os.stat_result) -> None:
        """Refuse an object that has become something else on the disk."""
        if self.table.is_folder(handle):
            is_same = self.is_folder_of(self.table.parent(handle), status)
        else:
            is_same = stat.S_ISREG(status.st_mode)
        if not is_same:
            raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, "became something else")

    def is_folder_of(self, folder: int, status: os.stat_result) -> bool:
        """Whether what lies in a folder is a folder of the same storage too, not its workplace."""
        directories = self.volume_above(folder).directories
        if not stat.S_ISDIR(status.st_mode) or not directories.is_here(status):
            return False
        return not (self.table.is_root(folder) and directories.is_workplace(status))

    # What still waits for its name

    def waiting_in(self, folder: int) -> Iterator[int]:
        """Find the rows of files that are still to be given their names in a folder."""
        for handle in self.waiting:
            if self.table.is_alive(handle) and self.table.parent(handle) == folder:
                yield handle

    def is_waiting(self, folder: int, name: bytes) -> bool:
        """Whether a file of that name is still to be given it."""
        return bool(self.waiting) and self.table.find(folder, name) in self.waiting

    def is_alike_waiting(self, folder: int, name: bytes) -> bool:
        """Whether a file is still to be given a name that may be the same for the file system."""
        return any(are_alike(self.table.name(each), name) for each in self.waiting_in(folder))
