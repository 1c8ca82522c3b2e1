# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleting: into the trash where one is kept, else for good.

What has no write bit stays, and with it the folders above it; what else is in those goes. Into the
trash goes what lies on the storage's own file system and takes no more than the trash may hold.
Whenever the trash does not work, the object is deleted for good.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.transaction import Look, unattended
from appliance.storage import trees
from appliance.storage.directories import Names, keep, sync
from appliance.storage.errors import reporting, translate
from appliance.storage.lookup import Lookup
from appliance.storage.parting import move_parts
from appliance.storage.removal import Removal, empty
from appliance.storage.survey import Survey, look_over
from appliance.storage.trash import Trash
from appliance.storage.trash_place import Place, Slot
from appliance.storage.volume import Volume
from appliance.values import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Victim:
    """An object that is to go: where it is known, and the open folder where it lies."""

    handle: int
    volume: Volume
    folder: int
    folder_fd: int
    path: Names
    is_folder: bool

    @property
    def name(self) -> bytes:
        """Name on the disk."""
        return self.path[-1]


class Deletion:
    """Deletes objects."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._table = lookup.table
        self._lock = lock

    def delete(self, handle: int, *, for_good: bool = False, look: Look = unattended) -> None:
        """Delete an object with all in it, shown or not; a part of it where `look` ends it."""
        with ExitStack() as held:
            with self._lock, reporting():
                victim = self._find(handle, held)
                leaving = held.enter_context(ExitStack())
                leaving.enter_context(self._lookup.own.leaving(handle))
            with self._true_at_its_end(victim, leaving):
                removal = None if for_good else self._throw_away(victim, look, held, leaving)
                if removal is None:
                    self._begin_to_empty(victim, leaving)
                    removal = self._remove(victim, look)
                with reporting():
                    sync(victim.folder_fd)
            with self._lock:
                leaving.close()
                self._lookup.watcher.look_again(victim.folder, victim.name)
                self._settle(victim, removal)
        victim.volume.trash.keep_within_policy()

    def _find(self, handle: int, held: ExitStack) -> Victim:
        volume = self._lookup.volume_of(handle)
        volume.require_writable()
        self._lookup.require_unprotected(handle)
        folder = self._table.parent(handle)
        fd = keep(self._lookup.fd(folder), held)
        path = (*self._table.place(folder)[1], self._table.name(handle))
        return Victim(handle, volume, folder, fd, path, self._table.is_folder(handle))

    def _begin_to_empty(self, victim: Victim, leaving: ExitStack) -> None:
        """Have nothing told any more of what goes in a folder; what went until then still is."""
        if victim.is_folder:
            with self._lock:
                self._lookup.watcher.catch_up()
                leaving.enter_context(self._lookup.own.emptying(victim.handle))

    @contextmanager
    def _true_at_its_end(self, victim: Victim, leaving: ExitStack) -> Iterator[None]:
        """Tell what has gone where the block is ended in the middle."""
        try:
            yield
        except BaseException:
            with self._lock:
                leaving.close()
                self._lookup.watcher.look_again(victim.folder, victim.name)
                with suppress(MtpError):  # it has gone, or nobody can tell
                    self._lookup.status(victim.handle)
                if self._table.is_alive(victim.handle):
                    self._lookup.refresh_below(victim.handle)
            raise

    # For good

    def _remove(self, victim: Victim, look: Look) -> Removal:
        with reporting():
            removal = Removal()
            if victim.is_folder:
                removal = empty(victim.folder_fd, victim.name, look)
        if removal.error is None:
            with self._lock, self._lookup.own_change(victim.folder, victim.folder_fd):
                removal.attempt(victim.name, victim.folder_fd, is_folder=victim.is_folder)
        return removal

    # Into the trash

    def _throw_away(
        self, victim: Victim, look: Look, held: ExitStack, leaving: ExitStack
    ) -> Removal | None:
        """Put an object, or what of it can go, into the trash; None where that cannot be."""
        trash = victim.volume.trash
        if trash.policy is None:
            return None
        try:
            seen = look_over(victim.folder_fd, victim.name, look)
            if (victim.name,) in seen.stays:
                return Removal(error=seen.error)
            if seen.size > trash.limit:
                log.warning("TRASH   too small for %a, which is gone for good", victim.name)
                return None
            place = self._open_trash(victim.volume, held)
            self._begin_to_empty(victim, leaving)
            return self._move_in(victim, seen, place)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            trash.complain(error)
            return None

    def _move_in(self, victim: Victim, seen: Survey, place: Place) -> Removal:
        trash = victim.volume.trash
        slot = trash.reserve(victim.path, seen.size, place)
        try:
            if seen.stays:
                _put_empty_folder(trash, slot)
            else:
                with self._lock, self._lookup.own_change(victim.folder, victim.folder_fd):
                    trash.put(slot, victim.folder_fd, victim.name)
        except OSError:
            slot.abandon()
            raise
        if not seen.stays:
            with suppress(OSError):  # it is there; the last step tells
                sync(place.files)
            return Removal(removed=1)
        removal = _move_parts(victim, seen, slot)
        with suppress(OSError):  # as above
            trees.sync_all(place.files)
        return removal

    def _open_trash(self, volume: Volume, held: ExitStack) -> Place:
        with self._lock:
            return self._lookup.trash(volume, held)

    def _settle(self, victim: Victim, removal: Removal) -> None:
        """Make the table true, and tell what has not gone."""
        if not self._table.is_alive(victim.handle):
            return
        if removal.error is None:
            self._table.drop(victim.handle)
            return
        self._lookup.refresh_below(victim.handle)
        if removal.removed:
            raise MtpError(ResponseCode.PARTIAL_DELETION, str(removal.error))
        if isinstance(removal.error, PermissionError):
            raise MtpError(ResponseCode.OBJECT_WRITE_PROTECTED, str(removal.error))
        raise translate(removal.error)


def _put_empty_folder(trash: Trash, slot: Slot) -> None:
    """Let an empty folder take the slot, to be filled with parts."""
    name = os.urandom(8).hex().encode()
    os.mkdir(name, 0o700, dir_fd=slot.place.expunged)
    trash.put(slot, slot.place.expunged, name)


def _move_parts(victim: Victim, seen: Survey, slot: Slot) -> Removal:
    """Move all but what stays into the folder in the trash."""
    removal = move_parts(victim.folder_fd, seen, slot.place.files, slot.name)
    removal.error = seen.error or removal.error
    if not removal.removed:
        victim.volume.trash.expunge(slot.name)
    return removal
