# SPDX-License-Identifier: GPL-3.0-or-later
"""From a handle to what lies on the disk, and back. Not for several threads at once."""

import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import ChangeKind, Entry
from appliance.storage.announcing import Announcements
from appliance.storage.errors import forgetting, reporting
from appliance.storage.names import may_be_made_up, to_pc
from appliance.storage.own import OwnChanges
from appliance.storage.removal import is_protected
from appliance.storage.scanning import ScanMark, is_recent, scan
from appliance.storage.served import Served
from appliance.storage.trash_days import TrashPolicy
from appliance.storage.trash_place import Place
from appliance.storage.volume import Folder, Volume

#: For blocks that make something: what is gone then is the folder, and a name may not do.
creating = partial(
    reporting, gone=ResponseCode.INVALID_PARENT_OBJECT, bad_name=ResponseCode.INVALID_DATASET
)


class Lookup(Served):
    """The table of handles together with the storages that it is about."""

    def __init__(
        self,
        folders: Sequence[Folder],
        lock: AbstractContextManager[object],
        policy: TrashPolicy | None,
    ) -> None:
        super().__init__(folders, lock, policy)
        self.own = OwnChanges(current=self.table.current)
        self.announcements = Announcements()
        self.renews_handles = False
        self.table.on_forget = self._unfollow
        self.table.on_renew = self._follow_as

    def _unfollow(self, folder: int) -> None:
        self.watcher.unfollow(folder)

    def _follow_as(self, folder: int, new: int) -> None:
        self.watcher.hand_over(folder, new)

    # Objects

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
        return self.look(handle)[0]

    def look(self, handle: int) -> tuple[os.stat_result, tuple[int, bytes]]:
        """Look at an object as `status` does, and say where it lies (`lies_at`)."""
        self.table.check(handle)
        with self.watching(handle):
            place = fd, name = self.lies_at(handle)
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            self.check_kind(handle, status)
            return status, place

    def watching(self, handle: int) -> forgetting:
        """Forget an object that turns out to be gone, and tell errors in the protocol's words."""
        return forgetting(self._forget, handle)

    def require_unprotected(self, handle: int) -> os.stat_result:
        """Refuse to change what has no write bit; else what it looks like."""
        status = self.status(handle)
        if is_protected(status):
            raise MtpError(ResponseCode.OBJECT_WRITE_PROTECTED)
        return status

    def require_outside(self, handle: int, folder: int) -> None:
        """Refuse to put a folder into itself."""
        if handle in self.table.ancestors(folder):
            raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, "lies in the object itself")

    def _forget(self, handle: int) -> None:
        """Drop a row, unless the watch knows where the object has gone."""
        if not self.table.is_alive(handle):
            return
        place = self.table.place(handle)  # all of it: a folder far above may have moved
        self.watcher.catch_up()
        if self.table.is_alive(handle) and self.table.place(handle) == place:
            row, folder = self.table.current(handle), self.table.parent(handle)
            self.table.drop(row)
            self._tell_unless_leaving(folder, [(ChangeKind.REMOVED, row)])

    # What a folder holds

    def refresh(self, folder: int) -> None:
        """Scan a folder if it is not known, or has changed since."""
        self.look_at_mounts()
        self.watcher.catch_up()
        with self.watching(folder):
            fd = self.fd(folder)
            self.watcher.follow(folder, fd)
            mark = self.table.marks.get(folder)
            if mark is None or not mark.is_current(fd):
                self._scan(folder, fd)

    def scan_anew(self, folder: int) -> None:
        """Scan a folder whatever is known of it. Raises OSError and MtpError."""
        fd = self.fd(folder)
        self.watcher.follow(folder, fd)
        self._scan(folder, fd)

    def _scan(self, folder: int, fd: int) -> None:
        """Scan a folder; if it was known, what is different is told."""
        was_known = folder in self.table.marks
        mark = ScanMark.take(fd)
        found, unseen = scan(fd, hidden_files=self.volume_above(folder).hidden_files)
        for name in unseen:
            if (known := self.table.find(folder, name)) is not None:
                found[name] = self.table.is_folder(known)
        found |= {self.table.name(each): False for each in self.waiting_in(folder)}
        gone, added = self.table.merge(folder, found)
        self.table.marks[folder] = mark.doubted() if unseen else mark
        if was_known:
            removals = ((ChangeKind.REMOVED, each) for each in gone)
            additions = ((ChangeKind.ADDED, each) for each in added)
            self._tell_unless_leaving(folder, (*removals, *additions))

    def _tell_unless_leaving(self, folder: int, told: Iterable[tuple[ChangeKind, int]]) -> None:
        """Tell of changes in a folder, but for what we are deleting ourselves."""
        if not self.own.is_emptied(self.table.ancestors(folder)):
            for kind, handle in told:
                if not self.own.is_leaving(handle):
                    self.announcements.tell(kind, handle)

    def renew(self, handle: int) -> None:
        """Scan all known folders from this one down, which are other directories now."""
        for folder in self.table.scanned_below(handle):
            self.table.marks.pop(folder, None)
            self.watcher.unfollow(folder)
        self.refresh_below(handle)

    def refresh_below(self, handle: int) -> None:
        """Look at all known folders from this one down, after a part of them has gone."""
        for folder in self.table.scanned_below(handle):
            if self.table.is_alive(folder):
                try:
                    self.refresh(folder)
                except MtpError:
                    continue  # it is forgotten if it is gone

    def note_own(self, handle: int, fd: int) -> None:
        """Note what an object, in the open folder `fd`, looks like after a change of our own."""
        with suppress(OSError):  # gone already
            status = os.stat(self.table.name(handle), dir_fd=fd, follow_symlinks=False)
            self.own.note(handle, status)

    @contextmanager
    def own_change(self, folder: int, fd: int) -> Iterator[None]:
        """Keep a folder's scan in force over a change that the block makes, and we enter."""
        before = self.table.marks.get(folder)
        was_current = before is not None and before.is_current(fd)
        started = time.monotonic_ns()
        yield
        if before is not None and was_current and is_recent(started):
            with suppress(OSError):  # then it is scanned anew
                self.table.marks[folder] = before.after_own_change(fd)
        self.watcher.touch(self.volume_above(folder).storage_id)

    def workplace(self, volume: Volume) -> int:
        """Lend the descriptor of our place in a storage's workplace; made if need be."""
        ready = volume.staging.ready()
        if ready >= 0:
            return ready
        root_fd = volume.directories.get()
        with reporting(gone=ResponseCode.ACCESS_DENIED), self.own_change(volume.root, root_fd):
            return volume.staging.lend()

    def trash(self, volume: Volume, held: ExitStack) -> Place:
        """Open a storage's trash; made if need be. Raises OSError."""
        place = volume.trash.open(held)
        if place is None:
            root_fd = volume.directories.get()
            with self.own_change(volume.root, root_fd):
                place = volume.trash.make(held)
        return place

    # Names

    def known_as(self, folder: int, raw: bytes) -> bytes:
        """Find the name on the disk of what a PC calls by a name that was made up for it."""
        name = raw.decode()
        if may_be_made_up(name) and self.table.find(folder, raw) is None:
            for each in self.table.children(folder):
                if to_pc(self.table.name(each)) == name:
                    return self.table.name(each)
        return raw

    def listed_as(self, folder: int, name: bytes) -> bytes:
        """Find the name by which a folder lists what is there by a name. Raises OSError, MtpError.

        It is another one where the file system takes both for the same: `dcim`, `DCIM`. What is
        not listed at all (`MTP-AP~1`, by which FAT knows the workplace) is not to be had by it.
        """
        for look in (self.refresh, self.scan_anew):
            if self.table.find(folder, name) is None:
                look(folder)
            if self.table.find(folder, name) is not None:
                return name
            if twin := self.twin(folder, name, self.fd(folder)):
                return self.table.name(twin)
        raise MtpError(ResponseCode.ACCESS_DENIED, "the name is taken")

    def twin(self, folder: int, name: bytes, fd: int) -> int:
        """Find the row of what is there by a name, if that is another name's; 0 for none."""
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=fd, follow_symlinks=False)
            for each in self.table.children(folder):
                if self.table.name(each) != name and is_same(fd, self.table.name(each), name):
                    return each
        return 0

    def replaces(self, folder: int, name: bytes) -> bool:
        """Whether a file of that name is there; what is no file is not replaced."""
        status = self._status_of_name(folder, name)
        if status is None:
            return False
        if not stat.S_ISREG(status.st_mode):
            raise MtpError(ResponseCode.ACCESS_DENIED, "the name is taken")
        if is_protected(status):
            raise MtpError(ResponseCode.OBJECT_WRITE_PROTECTED)
        return True

    def require_free_name(self, folder: int, name: bytes) -> None:
        """Refuse a taken name before any work; the rename at the end decides."""
        if self._status_of_name(folder, name) is not None:
            raise MtpError(ResponseCode.ACCESS_DENIED, "the name is taken")

    def _status_of_name(self, folder: int, name: bytes) -> os.stat_result | None:
        with creating():
            fd = self.fd(folder)
            try:
                return os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                return None

    def forget_twin(self, folder: int, name: bytes) -> int:
        """Forget the row that a name has already, before another one takes it; 0 for none."""
        twin = self.table.find(folder, name)
        if twin is None:
            return 0
        self.table.drop(twin)
        self.waiting.pop(twin, None)  # what still waits for the name gets it no more
        return twin

    def oust(self, folder: int, name: bytes) -> None:
        """Forget, and tell of it, the row of what had a name until it went from the disk."""
        if gone := self.forget_twin(folder, name):
            self.announcements.tell(ChangeKind.REMOVED, gone)

    def enter(self, folder: int, name: bytes, *, is_folder: bool) -> int:
        """Find or make the row of an object that is on the disk now."""
        known = self.table.find(folder, name)
        if known is not None and self.table.is_folder(known) is is_folder:
            return known
        self.oust(folder, name)
        return self.table.add(folder, name, is_folder=is_folder)


def is_same(fd: int, one: bytes, other: bytes) -> bool:
    """Whether two names in a directory are one and the same, rather than two links to a file.

    Where one of them is gone they are not.
    """
    try:
        seen, also = (os.stat(each, dir_fd=fd, follow_symlinks=False) for each in (one, other))
    except FileNotFoundError:
        return False
    return os.path.samestat(seen, also) and (seen.st_nlink == 1 or stat.S_ISDIR(seen.st_mode))
