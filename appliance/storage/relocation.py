# SPDX-License-Identifier: GPL-3.0-or-later
"""Renaming, moving and copying: in one step, over nothing that is there, or not at all."""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import ChangeKind
from appliance.storage import removal, survey, syscalls, trees
from appliance.storage.directories import is_same, keep, sync
from appliance.storage.errors import reporting
from appliance.storage.lookup import Lookup, creating
from appliance.storage.parting import move_parts
from appliance.storage.survey import Survey
from appliance.storage.volume import Volume
from appliance.values import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Journey:
    """An object on its way: what it is, the open folder where it lies, and where it is to go."""

    handle: int
    name: bytes
    status: os.stat_result
    origin: int
    origin_fd: int
    target: int
    volume: Volume
    held: ExitStack


class Relocation:
    """Brings objects to other names and places."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._table = lookup.table
        self._lock = lock

    def rename(self, handle: int, name: str) -> None:
        """Give an object another name in its folder; never that of another one."""
        refusal = ResponseCode.INVALID_OBJECT_PROP_VALUE
        with ExitStack() as held, reporting(bad_name=refusal):
            with self._lock:
                volume = self._lookup.volume_of(handle)
                volume.require_writable()
                raw = volume.name_to_disk(name, refusal=refusal)
                self._lookup.require_unprotected(handle)
                folder, old = self._table.parent(handle), self._table.name(handle)
                raw = self._lookup.known_as(folder, raw)
                if raw == old:
                    return
                fd = keep(self._lookup.fd(folder), held)
                self._rename(handle, fd, raw)
            sync(fd)

    def _rename(self, handle: int, fd: int, name: bytes) -> None:
        folder = self._table.parent(handle)
        with self._lookup.own_change(folder, fd):
            try:
                _rename_in_place(fd, self._table.name(handle), name)
            except FileExistsError:
                refusal = ResponseCode.INVALID_OBJECT_PROP_VALUE
                raise MtpError(refusal, "the name is taken") from None
        if gone := self._lookup.forget_twin(folder, name):
            self._lookup.announcements.tell(ChangeKind.REMOVED, gone)
        self._table.rename(handle, name)
        self._lookup.note_own(handle, fd)

    def copy(self, handle: int, storage_id: int, parent: int) -> int:
        """Copy an object; the copy's handle."""
        with ExitStack() as held:
            with self._lock:
                journey = self._begin(handle, storage_id, parent, held)
                is_folder = self._table.is_folder(handle)
            seen = _look_ahead(journey)
            with self._staged(journey, seen.size) as (workplace, staged), self._lock:
                fd = self._arrive(journey, workplace, staged)
                copied = self._lookup.enter(journey.target, journey.name, is_folder=is_folder)
                self._lookup.note_own(copied, fd)
            with reporting():
                sync(fd)
            return copied

    def move(self, handle: int, storage_id: int, parent: int) -> None:
        """Move an object into another folder; all handles stay."""
        with ExitStack() as held:
            with self._lock:
                self._lookup.volume_of(handle).require_writable()
                self._lookup.require_unprotected(handle)
                folder, _ = self._lookup.writable_folder(storage_id, parent)
                if folder == self._table.parent(handle):
                    return
                journey = self._begin(handle, storage_id, parent, held)
                synced = self._move_by_rename(journey)
            if not synced:
                self._move_by_copy(journey)
            with reporting():
                for fd in synced or (journey.origin_fd,):
                    sync(fd)

    def _begin(self, handle: int, storage_id: int, parent: int, held: ExitStack) -> _Journey:
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
        return _Journey(handle, name, status, origin, origin_fd, target, volume, held)

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
        with self._staged(journey, before.size) as (workplace, staged), self._lock:
            target_fd = self._arrive(journey, workplace, staged)
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
    def _staged(self, journey: _Journey, size: int) -> Iterator[tuple[int, bytes]]:
        """Copy into the workplace, without the lock; what is still there at the end is removed.

        `size`: bytes that it takes; where they cannot be had nothing is copied, and no trash lost.
        """
        journey.volume.require_space(size)
        with self._lock:
            workplace = keep(self._lookup.workplace(journey.volume), journey.held)
            staged = journey.volume.staging.new_name()
            stay = journey.volume.stay()
        try:
            with reporting():
                make_room = journey.volume.trash.expunge_oldest
                trees.copy(journey.origin_fd, journey.name, workplace, staged, make_room)
            yield workplace, staged
        except MtpError:
            stay()  # where the storage has gone away, that is why
            raise
        finally:
            removal.clear_away(workplace, staged)
            with self._lock:
                journey.volume.tidy()

    def _arrive(self, journey: _Journey, workplace: int, staged: bytes) -> int:
        """Rename a copy to its place; the descriptor of its folder."""
        with creating():
            fd = keep(self._lookup.fd(journey.target), journey.held)
            with self._lookup.own_change(journey.target, fd):
                syscalls.rename_new(workplace, staged, fd, journey.name)
        return fd

    def _depart(self, journey: _Journey, seen: Survey) -> tuple[int, bytes]:
        """Rename what has been copied into its own storage's workplace, to be removed there.

        What was not copied never comes there, where a power cut would be its end.
        """
        origin_fd, name = journey.origin_fd, journey.name
        volume = self._lookup.volume_above(journey.origin)
        workplace = keep(self._lookup.workplace(volume), journey.held)
        leftover = volume.staging.new_name()
        with reporting(), self._lookup.own_change(journey.origin, origin_fd):
            status = os.stat(name, dir_fd=origin_fd, follow_symlinks=False)
            if _version(status) != _version(journey.status):
                raise MtpError(ResponseCode.DEVICE_BUSY, "changed while it was copied")
            if seen.stays:
                _part(journey, seen, workplace, leftover)
            else:
                syscalls.rename_new(origin_fd, name, workplace, leftover)
        return workplace, leftover

    def _settle(self, journey: _Journey, target_fd: int) -> None:
        """Enter in the table what was moved on the disk."""
        self._lookup.forget_twin(journey.target, journey.name)
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
        return survey.look_ahead(journey.origin_fd, journey.name, block=journey.volume.block)


def _part(journey: _Journey, seen: Survey, workplace: int, leftover: bytes) -> None:
    """Take what was copied out of a folder whose rest stays. Raises OSError where nothing goes."""
    os.mkdir(leftover, 0o700, dir_fd=workplace)
    moved = move_parts(journey.origin_fd, seen, workplace, leftover)
    if moved.error is not None and not moved.removed:
        removal.clear_away(workplace, leftover)
        raise moved.error


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _rename_in_place(fd: int, old: bytes, new: bytes) -> None:
    """Rename in a folder; also to a name that for the file system is the same one (`a`, `A`)."""
    try:
        syscalls.rename_new(fd, old, fd, new)
    except FileExistsError:
        if not is_same(fd, old, new):
            raise
        between = b"%s~%s" % (new[:200], os.urandom(4).hex().encode())
        syscalls.rename_new(fd, old, fd, between)
        try:
            syscalls.rename_new(fd, between, fd, new)
        except OSError:
            syscalls.rename_new(fd, between, fd, old)
            raise
