# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of objects: read from the disk at the moment when it is asked for."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby

from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Entry, ObjectRecord
from appliance.storage import syscalls
from appliance.storage.lookup import Lookup
from appliance.storage.names import to_pc
from appliance.storage.removal import is_protected
from appliance.storage.volume import Volume

#: Objects that are described in one holding of the lock.
_BATCH = 64
_64_BITS = (1 << 64) - 1
_LARGEST_PRIME_OF_64_BITS = (1 << 64) - 59


class Describing:
    """Makes records."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._table = lookup.table
        self._lock = lock

    def record(self, handle: int, *, in_full: bool) -> ObjectRecord:
        """Describe one object."""
        with self._lock:
            status, place = self._lookup.look(handle)
            known = self._lookup.entry(handle)
            if not in_full:
                return _record(known, status)
            with self._lookup.watching(handle):
                number = _lasting_number(self._lookup.volume_of(handle), *place)
                return _record(known, status, _added(status, *place), number)

    def records(self, handles: Sequence[int], *, in_full: bool) -> Iterator[ObjectRecord | None]:
        """Describe many, a batch at a time; None for what is gone when it is its turn."""
        for start in range(0, len(handles), _BATCH):
            with self._lock:
                batch = list(self._batch(handles[start : start + _BATCH], in_full))
            yield from batch

    def unique_id(self, handle: int) -> int:
        """Derive a number from the file system and the kernel's own lasting name of the file."""
        with self._lock:
            self._table.check(handle)
            volume = self._lookup.volume_of(handle)
            with self._lookup.watching(handle):
                return _lasting_number(volume, *self._lookup.lies_at(handle))

    def _batch(self, handles: Sequence[int], in_full: bool) -> Iterator[ObjectRecord | None]:
        for folder, group in groupby(handles, self._folder):
            if folder is None:
                yield from (None for _ in group)
            else:
                yield from self._siblings(folder, group, in_full)

    def _folder(self, handle: int) -> int | None:
        return self._table.parent(handle) if self._table.is_alive(handle) else None

    def _siblings(
        self, folder: int, handles: Iterable[int], in_full: bool
    ) -> Iterator[ObjectRecord | None]:
        """Describe objects that lie in one folder, which is opened once."""
        parent = 0 if self._table.is_root(folder) else folder
        try:
            volume = self._lookup.volume_above(folder)
            fd = self._lookup.fd(folder)
        except (OSError, MtpError):
            yield from (None for _ in handles)
            return
        for each in handles:
            name, is_folder = self._table.name(each), self._table.is_folder(each)
            known = Entry(each, volume.storage_id, parent, to_pc(name), is_folder)
            staged = self._lookup.waiting.get(each)
            place = (staged.directory_fd, staged.name) if staged else (fd, name)
            try:
                status = os.stat(place[1], dir_fd=place[0], follow_symlinks=False)
                self._lookup.check_kind(each, status)
                number = _lasting_number(volume, *place) if in_full else 0
                added = _added(status, *place) if in_full else 0.0
            except (OSError, MtpError):
                yield None
            else:
                yield _record(known, status, added, number)


def _record(
    known: Entry, status: os.stat_result, added: float = 0.0, unique_id: int = 0
) -> ObjectRecord:
    return ObjectRecord(
        known.handle,
        known.storage_id,
        known.parent,
        known.name,
        known.is_folder,
        size=0 if known.is_folder else status.st_size,
        modified=status.st_mtime,
        created=_created(status),
        added=added,
        protected=is_protected(status),
        unique_id=unique_id,
    )


def _created(status: os.stat_result) -> float:
    """Tell when the content came to be, which a copy takes along."""
    return min(status.st_mtime, status.st_ctime)


def _added(status: os.stat_result, fd: int, name: bytes) -> float:
    """Tell when a file was made where it lies; as its content, where the file system keeps none."""
    born = syscalls.birth_time(fd, name)
    return _created(status) if born is None else born


def _lasting_number(volume: Volume, fd: int, name: bytes) -> int:
    """Put what identifies a file system and a file in it into 128 bits; never 0.

    Most file systems' lasting names have 64 bits and fit as they are; longer ones are folded.
    """
    number = number_within(fd, name)
    if number is None:
        number = os.stat(name, dir_fd=fd, follow_symlinks=False).st_ino & _64_BITS
    return ((volume.system & _64_BITS) << 64 | number) or 1


def number_within(fd: int, name: bytes) -> int | None:
    """Find the number of 64 bits that a file keeps in its file system; None where it has none."""
    lasting = syscalls.file_handle(fd, name)
    if lasting is None:
        return None
    return int.from_bytes(lasting, "little") % _LARGEST_PRIME_OF_64_BITS
