# SPDX-License-Identifier: GPL-3.0-or-later
"""Renaming: in one step, over nothing that is there, or not at all."""

import os
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage import syscalls
from appliance.storage.directories import keep, sync_and_close
from appliance.storage.errors import reporting
from appliance.storage.lookup import Lookup, is_same
from appliance.storage.room import with_room


class Renaming:
    """Gives objects other names in their folders."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._table = lookup.table
        self._lock = lock

    def rename(self, handle: int, name: str) -> None:
        """Give an object another name in its folder; never that of another one."""
        with self._lock:
            trash = self._lookup.volume_of(handle).trash
        fd = with_room(trash.expunge_oldest, partial(self._give_name, handle, name))
        if fd >= 0:
            with reporting():
                sync_and_close(fd)

    def _give_name(self, handle: int, name: str) -> int:
        """Rename; descriptor of the folder, to be synced, -1 where the object is called so."""
        refusal = ResponseCode.INVALID_OBJECT_PROP_VALUE
        with self._lock, reporting(bad_name=refusal), ExitStack() as on_error:
            volume = self._lookup.volume_of(handle)
            volume.require_writable()
            raw = volume.name_to_disk(name, refusal=refusal)
            self._lookup.require_unprotected(handle)
            folder, old = self._table.parent(handle), self._table.name(handle)
            raw = self._lookup.known_as(folder, raw)
            if raw == old:
                return -1
            fd = keep(self._lookup.fd(folder), on_error)
            self._rename(handle, fd, raw)
            on_error.pop_all()
            return fd

    def _rename(self, handle: int, fd: int, name: bytes) -> None:
        folder = self._table.parent(handle)
        with self._lookup.own_change(folder, fd):
            try:
                _rename_in_place(fd, self._table.name(handle), name)
            except FileExistsError:
                refusal = ResponseCode.INVALID_OBJECT_PROP_VALUE
                raise MtpError(refusal, "the name is taken") from None
        self._lookup.oust(folder, name)
        self._table.rename(handle, name)
        self._lookup.note_own(handle, fd)


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
