# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes new from the PC: files by way of the workplace, and folders."""

import os
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage.directories import keep, sync
from appliance.storage.errors import reporting
from appliance.storage.lookup import Lookup, creating
from appliance.storage.replacing import Replacing, put_in_place
from appliance.storage.upload import StagedUpload
from appliance.storage.volume import Volume


class Arrivals:
    """Takes in files and folders."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._table = lookup.table
        self._lock = lock
        self._replacing = Replacing(lookup, lock)

    def receive(
        self, storage_id: int, parent: int, name: str, *, size: int, modified: float | None
    ) -> StagedUpload:
        """Begin to receive a file into the workplace."""
        with self._lock:
            folder, volume, raw = self._target(storage_id, parent, name)
            replaces = self._lookup.replaces(folder, raw)
        volume.require_space(size)
        with self._lock:
            handle = self._table.reserve()
            self._lookup.workplace(volume)
            with reporting(gone=ResponseCode.ACCESS_DENIED):
                staged = volume.staging.create()
            stay = volume.stay()
        return StagedUpload(
            handle,
            staged,
            modified=modified,
            replaces=replaces,
            publish=partial(self._publish, volume=volume, folder=folder, raw=raw),
            make_room=volume.trash.expunge_oldest,
            stay=stay,
        )

    def make_folder(
        self, storage_id: int, parent: int, name: str, *, modified: float | None
    ) -> int:
        """Make a folder, or find the one that has the name already."""
        with ExitStack() as held, creating():
            with self._lock:
                folder, _, raw = self._target(storage_id, parent, name)
                fd = keep(self._lookup.fd(folder), held)
                handle = self._make(folder, fd, raw, modified)
                self._lookup.note_own(handle, fd)
            sync(fd)
        return handle

    def _target(self, storage_id: int, parent: int, name: str) -> tuple[int, Volume, bytes]:
        """Find where something is to come: row of the folder, storage, name on the disk."""
        folder, volume = self._lookup.writable_folder(storage_id, parent)
        raw = volume.name_to_disk(name, refusal=ResponseCode.INVALID_DATASET)
        return folder, volume, self._lookup.known_as(folder, raw)

    def _make(self, folder: int, fd: int, raw: bytes, modified: float | None) -> int:
        try:
            with self._lookup.own_change(folder, fd):
                os.mkdir(raw, dir_fd=fd)
        except FileExistsError:
            return self._existing(folder, fd, raw)
        if modified is not None:
            with suppress(OSError, OverflowError, ValueError):  # a date that cannot be kept
                os.utime(raw, (modified, modified), dir_fd=fd, follow_symlinks=False)
        return self._lookup.enter(folder, raw, is_folder=True)

    def _existing(self, folder: int, fd: int, raw: bytes) -> int:
        status = os.stat(raw, dir_fd=fd, follow_symlinks=False)
        if not self._lookup.is_folder_of(folder, status):
            raise MtpError(ResponseCode.ACCESS_DENIED, "the name is taken")
        return self._lookup.enter(folder, raw, is_folder=True)

    def _publish(self, upload: StagedUpload, *, volume: Volume, folder: int, raw: bytes) -> int:
        """Rename a staged file to its name; a descriptor of its folder, for the caller to close."""
        with ExitStack() as held:
            slot = self._replacing.reserve(volume, folder, raw, held)
            with self._lock, creating():
                self._lookup.volume_above(folder).require_writable()
                fd = os.dup(self._lookup.fd(folder))
                try:
                    with self._lookup.own_change(folder, fd):
                        put_in_place(upload.staged, raw, fd, volume.trash, slot)
                except OSError:
                    os.close(fd)
                    raise
                upload.replaced = self._lookup.forget_twin(folder, raw)
                self._table.enter(upload.handle, folder, raw, is_folder=False)
                self._lookup.note_own(upload.handle, fd)
        if slot is not None:
            volume.trash.keep_within_policy()
        return fd
