# SPDX-License-Identifier: GPL-3.0-or-later
"""One storage: a folder of this machine, whether it can be changed, and how much space there is."""

import os
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from appliance.errors import ApplianceError
from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import StorageRecord
from appliance.storage import staging, trash_place
from appliance.storage.directories import Directories
from appliance.storage.errors import reporting
from appliance.storage.names import BadNameError, as_logged, is_hidden, to_disk
from appliance.storage.removal import AT_ONCE, Allowance
from appliance.storage.room import with_room
from appliance.storage.trash import Trash
from appliance.storage.trash_days import TrashPolicy
from appliance.values import dataclass, replace

if TYPE_CHECKING:
    from appliance.storage.sweeping import Sweep


@dataclass(frozen=True, slots=True)
class Folder:
    """What is to be a storage; `hidden_files`: whether names that begin with a dot are shown."""

    path: Path
    name: str
    read_only: bool = False
    hidden_files: bool = True


class Use(Protocol):
    """What keeps a file of a storage open over several transactions, be its PC idle or not."""

    def let_go(self) -> None:
        """Close the file now; for any thread, and not under the lock."""
        ...


class Volume:
    """A storage while it is served; not for several threads at once.

    `root` is its row in the table, `system` the number of its file system. Raises ApplianceError
    where it cannot be served.
    """

    def __init__(
        self,
        storage_id: int,
        folder: Folder,
        root: int,
        *,
        lock: AbstractContextManager[object],
        policy: TrashPolicy | None,
    ) -> None:
        self.storage_id = storage_id
        self.root = root
        self.folder = folder
        self.name = folder.name
        self.hidden_files = folder.hidden_files
        self.wants_read_only = folder.read_only
        self.is_ejected = False
        self.is_locked = False
        self._is_removed = False
        self._absences = 0
        self._uses: weakref.WeakSet[Use] = weakref.WeakSet()
        self._sweep: Sweep | None = None
        self._lock = lock
        try:
            self.directories = Directories(folder.path)
        except OSError as error:
            raise ApplianceError(f"{folder.path} cannot be served: {error}") from None
        self.staging = staging.Staging(self.directories)
        self.trash = Trash(self.directories, lock, policy, sweep=self.sweep)
        self.system = 0
        self.open()

    def open(self) -> None:
        """Look whether the storage is there, and remove what an earlier run has left in it."""
        try:
            with self._reachable():
                self.system = os.fstatvfs(self.directories.get()).f_fsid
                if not self.read_only:
                    self._clean(self.directories.get())
        except (OSError, MtpError) as error:
            raise ApplianceError(f"{self.folder.path} cannot be served: {error}") from None

    def _clean(self, root_fd: int) -> None:
        """Remove what was left, so much of it at once; a start does not wait for whole trees."""
        left = staging.left(root_fd, self.staging.name)
        for_trash, for_workplace = Allowance(AT_ONCE), Allowance(AT_ONCE)
        trash_place.clean(root_fd, for_trash)
        staging.clean(root_fd, left, for_workplace)
        if for_trash.remains or for_workplace.remains:
            self.sweep(left)

    def sweep(self, left: Sequence[bytes] = ()) -> None:
        """Have a thread remove what is on its way out, and what processes have `left`."""
        from appliance.storage.sweeping import sweep  # noqa: PLC0415 - seldom

        with self._lock:
            self._sweep = sweep(self._sweep, self.directories.get(), left)
            self._uses.add(self._sweep)

    def close(self) -> None:
        """Leave nothing behind, and nothing open; harmless when repeated."""
        with self._reachable():
            self.staging.close()
            self.directories.close()

    def look_at_mounts(self, places: Collection[bytes]) -> bool:
        """Serve what lies there now; whether it is another than before, or a part of it is.

        Where there is another disk, or none, what is under way on the one before ends, as if the
        storage had been away. Where it is away that is only noted.
        """
        is_another = self.directories.is_another()
        if not self.is_present:
            return False
        if is_another:
            self._absences += 1
            self.staging.close()
        concerns_us = self.directories.reach_anew(places) or is_another
        if is_another:
            with suppress(ApplianceError):  # it is not there
                self.open()
        return concerns_us

    def rename(self, name: str) -> None:
        """Call the storage something else."""
        self.folder = replace(self.folder, name=name)
        self.name = name

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        """Reach the directories, even of a storage that is away, for the length of a block."""
        with self._lock:
            self.directories.is_shut = False
            try:
                yield
            finally:
                self.directories.is_shut = not self.is_present
                if self.directories.is_shut:
                    self.directories.close()

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed: by wish, by the file system, or by permission."""
        if self.wants_read_only:
            return True
        root = self.directories.get()
        with reporting(gone=ResponseCode.STORE_NOT_AVAILABLE):
            return bool(os.fstatvfs(root).f_flag & os.ST_RDONLY) or not os.access(
                b".", os.W_OK, dir_fd=root, effective_ids=True
            )

    # Being there

    @property
    def is_present(self) -> bool:
        """Whether initiators may see the storage."""
        return not (self.is_ejected or self.is_locked or self._is_removed)

    def set_away(
        self,
        *,
        ejected: bool | None = None,
        locked: bool | None = None,
        removed: bool | None = None,
    ) -> None:
        """Say why initiators may not see the storage, or why no more; None: as before."""
        self.is_ejected = self.is_ejected if ejected is None else ejected
        self.is_locked = self.is_locked if locked is None else locked
        self._is_removed = self._is_removed if removed is None else removed
        self.directories.is_shut = not self.is_present
        if not self.is_present:
            self._absences += 1

    def require_present(self) -> None:
        """Refuse what needs a storage that is away; for any thread."""
        if not self.is_present:
            raise MtpError(ResponseCode.STORE_NOT_AVAILABLE, f"{self.folder.name} is away")

    def stay(self, *, to_change: bool = False) -> Callable[[], None]:
        """Give a check, for any thread, that the storage was never away since now.

        `to_change`: nor made read-only by a person.
        """
        return partial(self._require_stay, self._absences, to_change=to_change)

    def add_use(self, use: Use) -> None:
        """Have something let go when the storage goes away."""
        with self._lock:
            self._uses.add(use)

    def end_use(self, use: Use) -> None:
        """Have something stay that is in use elsewhere."""
        with self._lock:
            self._uses.discard(use)

    def end_uses(self) -> None:
        """Have all let go, so that the disk can be taken out. Not to be called under the lock."""
        with self._lock:
            uses = list(self._uses)
            self._uses.clear()
        for each in uses:
            each.let_go()

    def _require_stay(self, absences: int, *, to_change: bool) -> None:
        if absences != self._absences:
            raise MtpError(ResponseCode.STORE_NOT_AVAILABLE, f"{self.folder.name} went away")
        if to_change and self.wants_read_only:
            raise MtpError(ResponseCode.STORE_READ_ONLY)

    def tidy(self) -> None:
        """Remove what work that was under way may have made after the storage went away."""
        if not self.is_present:
            self.close()

    # What may be done

    def require_writable(self) -> None:
        """Refuse changes where there can be none."""
        if self.read_only:
            raise MtpError(ResponseCode.STORE_READ_ONLY)

    def record(self) -> StorageRecord:
        """Describe the storage as it is now; what root alone may still use is not free.

        What lies in the trash is free: it goes when the space is needed.
        """
        with self._lock:
            space, read_only = self._space(), self.read_only
            used = (space.f_blocks - space.f_bfree) * space.f_frsize
            given_back = 0 if read_only else min(self.trash.size, used)
        return StorageRecord(
            self.storage_id,
            self.name,
            capacity=space.f_blocks * space.f_frsize,
            free=space.f_bavail * space.f_frsize + given_back,
            read_only=read_only,
        )

    def require_space(self, size: int, *, largest: int = 0) -> None:
        """Refuse more bytes than there is space for, and make it where the trash has it.

        `largest`: bytes of the largest file of which they are. Not to be called under the lock:
        that may take a while.
        """
        free = self.record().free
        if size > free and self.trash.clear():
            free = self.record().free
        if size <= free and largest > staging.HELD_EVERYWHERE:
            with_room(self.trash.expunge_oldest, partial(self._require_fit, largest))
        while size > free or size > self._really_free():
            if size > free or not self.trash.expunge_oldest():
                raise MtpError(ResponseCode.STORE_FULL, f"{size} bytes, {free} are free")

    def _require_fit(self, largest: int) -> None:
        with self._lock, reporting():
            self.staging.require_fit(largest)

    def _space(self) -> os.statvfs_result:
        with reporting(gone=ResponseCode.STORE_NOT_AVAILABLE):
            return os.fstatvfs(self.directories.get())

    @property
    def block(self) -> int:
        """Bytes in which the file system gives out space."""
        with self._lock:
            return self._space().f_frsize

    def _really_free(self) -> int:
        with self._lock:
            space = self._space()
        return space.f_bavail * space.f_frsize

    def name_to_disk(self, name: str, *, refusal: ResponseCode) -> bytes:
        """Check a name that a PC sent; `refusal` is for names that no file here can have."""
        try:
            raw = to_disk(name)
        except BadNameError as error:
            raise MtpError(refusal, f"name {as_logged(name)!a}: {error}") from None
        self.require_shown(raw)
        return raw

    def require_shown(self, name: bytes) -> None:
        """Refuse to make what would not be seen afterwards."""
        if is_hidden(name) and not self.hidden_files:
            raise MtpError(ResponseCode.ACCESS_DENIED, "hidden names are not shown here")
