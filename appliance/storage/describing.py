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

#: Objects that are described in one holding of the lock.
_BATCH = 64


class Describing:
    """Makes records."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._table = lookup.table
        self._lock = lock

    def record(self, handle: int) -> ObjectRecord:
        """Describe one object."""
        with self._lock:
            status = self._lookup.status(handle)
            fd = self._lookup.parent_fd(handle)
            return self._record(self._lookup.entry(handle), status, fd)

    def records(self, handles: Sequence[int]) -> Iterator[ObjectRecord | None]:
        """Describe many, a batch at a time; None for what is gone when it is its turn."""
        for start in range(0, len(handles), _BATCH):
            with self._lock:
                batch = list(self._batch(handles[start : start + _BATCH]))
            yield from batch

    def _batch(self, handles: Sequence[int]) -> Iterator[ObjectRecord | None]:
        for folder, group in groupby(handles, self._folder):
            if folder is None:
                yield from (None for _ in group)
            else:
                yield from self._siblings(folder, group)

    def _folder(self, handle: int) -> int | None:
        return self._table.parent(handle) if self._table.is_alive(handle) else None

    def _siblings(self, folder: int, handles: Iterable[int]) -> Iterator[ObjectRecord | None]:
        """Describe objects that lie in one folder, which is opened once."""
        storage_id = self._lookup.volume_above(folder).storage_id
        parent = 0 if self._table.is_root(folder) else folder
        try:
            fd = self._lookup.fd(folder)
        except (OSError, MtpError):
            yield from (None for _ in handles)
            return
        for each in handles:
            yield self._sibling(each, storage_id, parent, fd)

    def _sibling(self, handle: int, storage_id: int, parent: int, fd: int) -> ObjectRecord | None:
        name, is_folder = self._table.name(handle), self._table.is_folder(handle)
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            self._lookup.check_kind(handle, status)
        except (OSError, MtpError):
            return None
        return self._record(Entry(handle, storage_id, parent, to_pc(name), is_folder), status, fd)

    def _record(self, known: Entry, status: os.stat_result, fd: int) -> ObjectRecord:
        created = min(status.st_mtime, status.st_ctime)
        born = syscalls.birth_time(fd, self._table.name(known.handle))
        return ObjectRecord(
            known.handle,
            known.storage_id,
            known.parent,
            known.name,
            known.is_folder,
            size=0 if known.is_folder else status.st_size,
            modified=status.st_mtime,
            created=created,
            added=created if born is None else born,
            protected=is_protected(status),
        )
