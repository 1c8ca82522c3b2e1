# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages that come, go and change while initiators use them.

| state   | listed | its id and its objects    | how it came to this                          |
|---------|--------|---------------------------|----------------------------------------------|
| IN      | yes    | valid                     | at the start, or added                       |
| MISSING | yes    | StoreNotAvailable         | its folder is gone; back, it serves again    |
| EJECTED | no     | StoreNotAvailable         | a person ejected it, and can load it again   |
| LOCKED  | no     | StoreNotAvailable         | the device was locked, with all its storages |
| removed | no     | invalid, now and for ever | a person removed it                          |

What comes back has the handles that it had. When a storage goes, what is under way in it ends with
StoreNotAvailable, and nothing of it stays behind, neither in its workplace nor open.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from appliance.enums import Enum
from appliance.errors import ApplianceError
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import ChangeKind, ChangeListener, StorageRecord
from appliance.storage.flushing import Flusher
from appliance.storage.lookup import Lookup
from appliance.storage.names import check_name
from appliance.storage.trash_days import TrashPolicy
from appliance.storage.volume import Folder, Volume
from appliance.storage.volumes import check
from appliance.storage.write_safety import Unsafe, WriteSafety
from appliance.values import dataclass

log = logging.getLogger(__name__)


class State(Enum):
    """Whether a storage serves; the values are for a person."""

    IN = "in"
    MISSING = "missing"
    EJECTED = "ejected"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class StorageState:
    """A storage as a person at the device sees it."""

    storage_id: int
    name: str
    path: Path
    read_only: bool
    state: State
    hidden_files: bool = True


class Storages:
    """The storages of a store; for any thread. What a person asked for wrongly: ApplianceError."""

    def __init__(
        self, folders: Sequence[Folder], trash: TrashPolicy | None, safety: WriteSafety
    ) -> None:
        check(folders)
        self._lock = threading.RLock()
        self._lookup = Lookup(folders, self._lock, trash)
        self._flusher = Flusher(self._lookup, self._lock, safety)
        self._is_locked = False
        self._at_work = threading.Lock()

    def listen(self, listener: ChangeListener) -> None:
        """Tell `listener` of all changes that no method for initiators was called for."""
        self._lookup.announcements.listen(listener)

    def storage_ids(self) -> Sequence[int]:
        """Ids of the storages that are not away, in the order in which they came."""
        with self._lock:
            return tuple(each.storage_id for each in self._lookup.volumes if each.is_present)

    def storage(self, storage_id: int) -> StorageRecord:
        """Describe a storage as it is now."""
        with self._lock:
            return self._lookup.volume(storage_id).record()

    # For a person at the device

    def storages(self) -> list[StorageState]:
        """Describe all storages, also those that are away."""
        with self._lock:
            return [_describe(each) for each in self._lookup.volumes]

    def add_storage(self, folder: Folder) -> int:
        """Serve one more folder; its id, which no other storage has had or will have."""
        with self._at_work:
            check([folder], beside=[each.folder for each in self._lookup.volumes])
            volume = self._lookup.new_volume(folder)
            with self._lock:
                volume.set_away(locked=self._is_locked)
                self._lookup.volumes.add(volume)
                self._lookup.watcher.touch(volume.storage_id)
                self._tell(ChangeKind.STORAGE_ADDED, volume, if_not=self._is_locked)
        self._lookup.announcements.deliver()
        return volume.storage_id

    def remove_storage(self, storage_id: int) -> None:
        """Serve a folder no more."""
        with self._at_work, self._flusher.settled(), self._lock:
            volume = self._find(storage_id)
            self._take_away(volume, removed=True)
            self._lookup.volumes.remove(volume)
            self._lookup.table.drop(volume.root)
        self._went_away(volume)

    def eject(self, storage_id: int) -> None:
        """Take a storage away, so that its disk can be taken out; harmless when repeated."""
        with self._at_work, self._flusher.settled(), self._lock:
            volume = self._find(storage_id)
            self._take_away(volume, ejected=True)
        self._went_away(volume)

    def load(self, storage_id: int) -> None:
        """Bring one storage back, ejected or locked; harmless where it is not away."""
        with self._at_work, self._lock:
            volume = self._find(storage_id)
            if not volume.is_present:
                self._lookup.look_at_mounts()  # what came meanwhile is no news afterwards
                volume.open()
                self._is_locked = False  # what is added now is to be seen too
                self._bring_back(volume, ejected=False, locked=False)
        self._lookup.announcements.deliver()

    def lock(self) -> None:
        """Take all storages away, until `unlock`."""
        with self._at_work, self._flusher.settled(), self._lock:
            self._is_locked = True
            for volume in self._lookup.volumes:
                self._take_away(volume, locked=True)
        self._went_away(*self._lookup.volumes)

    def unlock(self) -> None:
        """Bring the storages back that `lock` took away."""
        with self._at_work, self._lock:
            self._is_locked = False
            self._lookup.look_at_mounts()
            for volume in self._lookup.volumes:
                self._bring_back(volume, locked=False)
        self._lookup.announcements.deliver()

    def rename_storage(self, storage_id: int, name: str) -> None:
        """Call a storage something else; to a PC it goes and comes back, for then it looks anew."""
        with self._at_work, self._lock:
            volume = self._find(storage_id)
            if volume.folder.name == name:
                return
            check_name(name, {each.folder.name for each in self._lookup.volumes})
            self._tell(ChangeKind.STORAGE_REMOVED, volume, if_not=not volume.is_present)
            volume.rename(name)
            self._tell(ChangeKind.STORAGE_ADDED, volume, if_not=not volume.is_present)
        self._lookup.announcements.deliver()

    def order_storages(self, storage_ids: Sequence[int]) -> None:
        """List the storages in this order from now on; each of them has to be named once."""
        with self._at_work, self._lock:
            known = sorted(each.storage_id for each in self._lookup.volumes)
            if sorted(storage_ids) != known:
                raise ApplianceError("an order names each storage once", hint="list the storages")
            self._lookup.volumes.order(storage_ids)

    def set_read_only(self, storage_id: int, *, read_only: bool) -> None:
        """Refuse changes in a storage from now on, or allow them if its disk does."""
        with self._at_work, self._flusher.settled(), self._lock:
            volume = self._find(storage_id)
            if volume.wants_read_only is not read_only:
                volume.wants_read_only = read_only
                self._clean(volume)
                self._tell(ChangeKind.STORAGE_INFO, volume, if_not=not volume.is_present)
        if read_only:
            volume.end_uses()
        self._lookup.announcements.deliver()

    def set_trash(self, policy: TrashPolicy | None) -> None:
        """Keep what is deleted by other rules from now on; None: no more, what is kept stays."""
        with self._at_work, self._lock:
            self._lookup.set_trash(policy)

    # How safe it is to pull the plug

    def set_write_safety(self, safety: WriteSafety) -> None:
        """Tell a PC that a file is written when it is on the disk, or before; in force at once."""
        with self._at_work:
            self._flusher.set_safety(safety)

    def unsafe(self) -> Unsafe:
        """Say what a PC was told is written and is not on the disk yet, and until when."""
        return self._flusher.unsafe()

    def watch_unsafe(self, observer: Callable[[], None]) -> None:
        """Call `observer`, from any thread, whenever `unsafe` may say something else."""
        self._flusher.observe(observer)

    def settle(self) -> None:
        """Bring all that was written to the disk, now."""
        self._flusher.settle()

    def _went_away(self, *volumes: Volume) -> None:
        """Close what idle PCs hold open there, and tell all; without the lock."""
        for volume in volumes:
            volume.end_uses()
        self._lookup.announcements.deliver()

    # The pieces, with the lock held

    def _find(self, storage_id: int) -> Volume:
        volume = self._lookup.volumes.get(storage_id)
        if volume is None:
            raise ApplianceError(f"there is no storage {storage_id:X}", hint="list the storages")
        return volume

    def _take_away(self, volume: Volume, **why: bool) -> None:
        """Close a storage, with all its watches; no change where it was away already."""
        was_present = volume.is_present
        volume.set_away(**why)
        if was_present:
            for folder in self._lookup.table.scanned_below(volume.root):
                self._lookup.watcher.unfollow(folder)
                self._lookup.doubt(folder)  # its disk may be changed elsewhere, or be another one
            volume.close()
            self._tell(ChangeKind.STORAGE_REMOVED, volume)

    def _bring_back(self, volume: Volume, **why: bool) -> None:
        was_present = volume.is_present
        volume.set_away(**why)
        self._tell(ChangeKind.STORAGE_ADDED, volume, if_not=was_present or not volume.is_present)

    def _clean(self, volume: Volume) -> None:
        """Remove what was left while nothing could be changed, if it can be by now."""
        if volume.is_present:
            with suppress(ApplianceError):  # its folder is gone
                volume.open()

    def _tell(self, kind: ChangeKind, volume: Volume, *, if_not: bool = False) -> None:
        if not if_not:
            log.info("%s %X %s", kind.name, volume.storage_id, volume.folder.name)
            self._lookup.announcements.tell(kind, volume.storage_id)


def _describe(volume: Volume) -> StorageState:
    read_only, state = volume.wants_read_only, State.IN
    if volume.is_ejected:
        state = State.EJECTED
    elif volume.is_locked:
        state = State.LOCKED
    else:
        try:
            read_only = volume.read_only
        except MtpError:
            state = State.MISSING
    folder = volume.folder
    return StorageState(
        volume.storage_id, folder.name, folder.path, read_only, state, folder.hidden_files
    )
