# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving and copying: in one step, over nothing that is there, or not at all."""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.transaction import Look, unattended
from appliance.storage import removal, survey, syscalls, trees
from appliance.storage.directories import keep, sync
from appliance.storage.editing import Editing
from appliance.storage.errors import reporting
from appliance.storage.lookup import Lookup, creating
from appliance.storage.parting import move_parts
from appliance.storage.room import with_room
from appliance.storage.survey import Survey
from appliance.storage.volume import Volume
from appliance.values import dataclass

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Journey:
    """An object on its way: what it is, the open folder where it lies, and where it is to go.

    `origin` and `target` are rows, of which the device's renaming may give the folders others.
    """

    handle: int
    name: bytes
    status: os.stat_result
    origin: int
    origin_fd: int
    target: int
    volume: Volume
    held: ExitStack
    look: Look


class Relocation:
    """Brings objects to other places."""

    def __init__(
        self, lookup: Lookup, lock: AbstractContextManager[object], editing: Editing
    ) -> None:
        self._lookup = lookup
        self._table = lookup.table
        self._lock = lock
        self._editing = editing

    def copy(self, handle: int, storage_id: int, parent: int, *, look: Look = unattended) -> int:
        """Copy an object; the copy's handle. Nothing remains where `look` ends it."""
        with ExitStack() as held:
            with self._lock:
                journey = self._begin(handle, storage_id, parent, held, look)
                is_folder = self._table.is_folder(handle)
            seen = _look_ahead(journey)
            with self._staged(journey, seen) as (workplace, staged), ExitStack() as locked:
                fd = self._arrive(journey, workplace, staged, locked)
                copied = self._lookup.enter(journey.target, journey.name, is_folder=is_folder)
                self._lookup.note_own(copied, fd)
            with reporting():
                sync(fd)
            return copied

    def move(self, handle: int, storage_id: int, parent: int, *, look: Look = unattended) -> None:
        """Move an object into another folder; all handles stay. Or nothing, if `look` ends it."""
        with self._lock:
            volume = self._lookup.volume(storage_id)
        with ExitStack() as held:
            begin = partial(self._begin_move, handle, storage_id, parent, held, look)
            begun = with_room(volume.trash.expunge_oldest, begin)
            if begun is None:
                return
            journey, synced = begun
            if not synced:
                with self._editing.kept_out(handle):
                    self._move_by_copy(journey)
            with reporting():
                for fd in synced or (journey.origin_fd,):
                    sync(fd)

    def _begin_move(
        self, handle: int, storage_id: int, parent: int, held: ExitStack, look: Look
    ) -> tuple[_Journey, tuple[int, ...]] | None:
        """Move in one step, if that can be; None where the object is there already."""
        with self._lock:
            self._lookup.volume_of(handle).require_writable()
            self._lookup.require_unprotected(handle)
            folder, _ = self._lookup.writable_folder(storage_id, parent)
            if folder == self._table.parent(handle):
                return None
            journey = self._begin(handle, storage_id, parent, held, look)
            return journey, self._move_by_rename(journey)

    def _begin(
        self, handle: int, storage_id: int, parent: int, held: ExitStack, look: Look
    ) -> _Journey:
        """Refuse what cannot be, before any work; the rename at the end decides."""
        status = self._lookup.status(handle)
        name = self._table.name(handle)
        target, volume = self._lookup.writable_folder(storage_id, parent)
        self._lookup.require_outside(handle, target)
        volume.require_shown(name)
        self._lookup.require_free_name(target, name)
        with reporting():
            origin_fd = keep(self._lookup.parent_fd(handle), held)
        origin = self._table.parent(handle)
        return _Journey(handle, name, status, origin, origin_fd, target, volume, held, look)

    def _move_by_rename(self, journey: _Journey) -> tuple[int, ...]:
        """Move in one step; the descriptors that are to be synced, none on another file system."""
        origin_fd, name = journey.origin_fd, journey.name
        with creating():
            target_fd = keep(self._lookup.fd(journey.target), journey.held)
        own_change = self._lookup.own_change
        with reporting():
            try:
                with own_change(journey.origin, origin_fd), own_change(journey.target, target_fd):
                    syscalls.rename_new(origin_fd, name, target_fd, name)
            except OSError as error:
                if error.errno == errno.EXDEV:
                    return ()
                raise
        self._settle(journey, target_fd)
        return target_fd, origin_fd

    def _move_by_copy(self, journey: _Journey) -> None:
        """Copy, and only when the copy is there let the object vanish; each in one step.

        Of a folder in which something is not copied there stays what lies above that.
        """
        before = _look_ahead(journey)
        self._workplace(self._origin(journey), journey.held)  # it is needed on a full disk, too
        with self._staged(journey, before) as (workplace, staged), ExitStack() as locked:
            target_fd = self._arrive(journey, workplace, staged, locked)
            try:
                with reporting():
                    sync(target_fd)
                leaving, leftover = self._depart(journey, before)
            except MtpError:
                self._table.marks.pop(journey.target, None)
                with reporting():
                    syscalls.rename_new(target_fd, journey.name, workplace, staged)
                raise
            self._settle(journey, target_fd)
            self._lookup.renew(journey.handle)
            if before.stays:
                log.warning("KEPT    %a too: not all in it can be copied", journey.name)
                self._look_again(journey)
        with reporting():
            if before.stays:
                trees.sync_all(leaving)
            after = survey.look_ahead(leaving, leftover)
        if after.version == before.version and not after.stays:
            removal.clear_away(leaving, leftover)
        else:
            self._give_back(journey, leaving, leftover)

    def _give_back(self, journey: _Journey, leaving: int, leftover: bytes) -> None:
        """Leave beside the copy a folder in which something was made or changed meanwhile."""
        with suppress(OSError):
            os.rmdir(leftover, dir_fd=leaving)
            return  # all of it has stayed
        log.warning("KEPT    %a too: it changed while it was moved", journey.name)
        with self._lock, reporting():
            try:
                syscalls.rename_new(leaving, leftover, journey.origin_fd, journey.name)
            except FileExistsError:
                other = b"%s~%s" % (journey.name[:200], os.urandom(4).hex().encode())
                syscalls.rename_new(leaving, leftover, journey.origin_fd, other)
            self._look_again(journey)

    def _look_again(self, journey: _Journey) -> None:
        """Find what has stayed in the folder from which an object was moved."""
        with reporting():
            if journey.origin in self._table.marks:
                self._lookup.scan_anew(journey.origin)

    @contextmanager
    def _staged(self, journey: _Journey, seen: Survey) -> Iterator[tuple[int, bytes]]:
        """Copy into the workplace, without the lock; what is still there at the end is removed.

        What was `seen` there, where it cannot be had nothing is copied, and no trash is lost.
        """
        journey.volume.require_space(seen.size, largest=seen.largest)
        workplace = self._workplace(journey.volume, journey.held, journey.name)
        with self._lock:
            staged = journey.volume.staging.new_name()
            stay = journey.volume.stay(to_change=True)
        try:
            with reporting():
                make_room = journey.volume.trash.expunge_oldest
                origin, copied = (journey.origin_fd, journey.name), (workplace, staged)
                trees.copy(origin, copied, make_room, journey.look)
            journey.look()  # syncing may have taken a while, and nobody has seen anything yet
            yield workplace, staged
        except MtpError:
            stay()  # where the storage has gone away, that is why
            raise
        finally:
            removal.clear_away(workplace, staged)
            with self._lock:
                journey.volume.tidy()

    def _workplace(self, volume: Volume, held: ExitStack, name: bytes = b"") -> int:
        """Open our place in a workplace, with room made for it; refuse a bad `name` already."""
        make = partial(self._make_workplace, volume, held, name)
        return with_room(volume.trash.expunge_oldest, make)

    def _make_workplace(self, volume: Volume, held: ExitStack, name: bytes) -> int:
        with self._lock, creating():
            self._lookup.workplace(volume)
            if name:
                volume.staging.try_name(name)
            return keep(self._lookup.workplace(volume), held)

    def _arrive(self, journey: _Journey, workplace: int, staged: bytes, locked: ExitStack) -> int:
        """Rename a copy to its place; the descriptor of its folder, wherever that is by now.

        From then on the lock is held, until `locked` ends.
        """
        make_room = journey.volume.trash.expunge_oldest
        return with_room(make_room, partial(self._give_place, journey, workplace, staged, locked))

    def _give_place(
        self, journey: _Journey, workplace: int, staged: bytes, locked: ExitStack
    ) -> int:
        with ExitStack() as taken:
            taken.enter_context(self._lock)
            journey.volume.require_writable()
            self._lookup.watcher.catch_up()
            journey.origin = self._lookup.folder_now(journey.origin)
            journey.target = self._lookup.folder_now(journey.target)
            with creating():
                fd = keep(self._lookup.fd(journey.target), journey.held)
                with self._lookup.own_change(journey.target, fd):
                    syscalls.rename_new(workplace, staged, fd, journey.name)
            locked.push(taken.pop_all())
        return fd

    def _depart(self, journey: _Journey, seen: Survey) -> tuple[int, bytes]:
        """Rename what has been copied into its own storage's workplace, to be removed there.

        What was not copied never comes there, where a power cut would be its end.
        """
        origin_fd, name = journey.origin_fd, journey.name
        volume = self._lookup.volume_above(journey.origin)
        volume.require_writable()
        workplace = keep(self._lookup.workplace(volume), journey.held)
        leftover = volume.staging.new_name()
        with reporting(), self._lookup.own_change(journey.origin, origin_fd):
            status = os.stat(name, dir_fd=origin_fd, follow_symlinks=False)
            if seen.looks(status) != seen.looks(journey.status):
                raise MtpError(ResponseCode.DEVICE_BUSY, "changed while it was copied")
            if seen.stays:
                _part(journey, seen, workplace, leftover)
            else:
                syscalls.rename_new(origin_fd, name, workplace, leftover)
        return workplace, leftover

    def _origin(self, journey: _Journey) -> Volume:
        with self._lock:
            return self._lookup.volume_above(journey.origin)

    def _settle(self, journey: _Journey, target_fd: int) -> None:
        """Enter in the table what was moved on the disk."""
        self._lookup.oust(journey.target, journey.name)
        handle = journey.handle
        if self._table.is_alive(handle):
            self._table.move(handle, journey.target)
        else:  # a scan meanwhile has missed it
            is_folder = stat.S_ISDIR(journey.status.st_mode)
            handle = self._lookup.enter(journey.target, journey.name, is_folder=is_folder)
        self._lookup.note_own(handle, target_fd)


def _look_ahead(journey: _Journey) -> Survey:
    """Look at what is to be copied; for a tree that takes a while, and no lock."""
    with reporting():
        place, block = (journey.origin_fd, journey.name), journey.volume.block
        return survey.look_ahead(*place, block=block, look=journey.look)


def _part(journey: _Journey, seen: Survey, workplace: int, leftover: bytes) -> None:
    """Take what was copied out of a folder whose rest stays. Raises OSError where nothing goes."""
    os.mkdir(leftover, 0o700, dir_fd=workplace)
    moved = move_parts(journey.origin_fd, seen, workplace, leftover)
    if moved.error is not None and not moved.removed:
        removal.clear_away(workplace, leftover)
        raise moved.error
