# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes new from the PC: files by way of the workplace, and folders."""

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from typing import TypeVar

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import MadeFolder
from appliance.storage.directories import keep
from appliance.storage.errors import is_gone, reporting
from appliance.storage.flushing import Flusher
from appliance.storage.lookup import Lookup, creating
from appliance.storage.replacing import Replacing, put_in_place
from appliance.storage.room import with_room
from appliance.storage.staging import StagedFile
from appliance.storage.upload import StagedUpload
from appliance.storage.volume import Volume

_Result = TypeVar("_Result")


class Arrivals:
    """Takes in files and folders."""

    def __init__(
        self, lookup: Lookup, lock: AbstractContextManager[object], flusher: Flusher
    ) -> None:
        self._lookup = lookup
        self._flusher = flusher
        self._table = lookup.table
        self._lock = lock
        self._replacing = Replacing(lookup, lock)

    def receive(
        self, storage_id: int, parent: int, name: str, *, size: int, modified: float | None
    ) -> StagedUpload:
        """Begin to receive a file into the workplace."""
        self._settle_if_waiting(storage_id, parent, name)
        with self._lock:
            folder, volume, raw = self._target(storage_id, parent, name)
            if replaces := self._lookup.replaces(folder, raw):
                with creating():
                    raw = self._lookup.listed_as(folder, raw)
        volume.require_space(size, largest=size)
        make_room = volume.trash.expunge_oldest
        staged = with_room(make_room, partial(self._stage, volume, raw))
        with self._lock, ExitStack() as on_error:
            on_error.callback(staged.remove)
            handle = self._table.reserve()
            on_error.callback(self._table.give_up, handle)
            publish = partial(self._follow, partial(self._publish, volume=volume, raw=raw), folder)
            upload = StagedUpload(
                handle,
                staged,
                modified=modified,
                replaces=replaces,
                release=partial(self._release, handle),
                publish=lambda upload: with_room(make_room, partial(publish, upload)),
                defer=partial(self._follow, partial(self._defer, volume=volume, raw=raw), folder),
                make_room=make_room,
                stay=volume.stay(to_change=True),
            )
            volume.add_use(upload)
            on_error.pop_all()
        return upload

    def _stage(self, volume: Volume, name: bytes) -> StagedFile:
        """Make an empty file in the workplace, if the disk can hold the name that it is to have."""
        with self._lock:
            self._lookup.workplace(volume)
            with reporting(gone=ResponseCode.ACCESS_DENIED, bad_name=ResponseCode.INVALID_DATASET):
                volume.staging.try_name(name)
                return volume.staging.create()

    def _release(self, handle: int) -> None:
        with self._lock:
            self._table.give_up(handle)

    def make_folder(
        self, storage_id: int, parent: int, name: str, *, modified: float | None
    ) -> MadeFolder:
        """Make a folder, or find the one that has the name already."""
        self._settle_if_waiting(storage_id, parent, name)
        with self._lock:
            trash = self._lookup.volume(storage_id).trash
        make = partial(self._make_folder, storage_id, parent, name, modified)
        made, fd = with_room(trash.expunge_oldest, make)
        with ExitStack() as held, creating():
            held.callback(os.close, fd)
            self._flusher.sync(fd)
        return made

    def _make_folder(
        self, storage_id: int, parent: int, name: str, modified: float | None
    ) -> tuple[MadeFolder, int]:
        """Make or find a folder; with the descriptor of that in which it lies, to be synced."""
        with ExitStack() as on_error, creating():
            with self._lock:
                folder, _, raw = self._target(storage_id, parent, name)
            self._settle_alike(folder, raw)
            with self._lock:
                if self._table.find(folder, raw) is not None:  # it may just have gone from there
                    self._lookup.watcher.catch_up()
                    folder, _, raw = self._target(storage_id, parent, name)
                fd = keep(self._lookup.fd(folder), on_error)
                made = self._make(folder, fd, raw, modified)
                self._lookup.note_own(made.handle, fd)
            on_error.pop_all()
        return made, fd

    def _target(self, storage_id: int, parent: int, name: str) -> tuple[int, Volume, bytes]:
        """Find where something is to come: row of the folder, storage, name on the disk."""
        folder, volume = self._lookup.writable_folder(storage_id, parent)
        raw = volume.name_to_disk(name, refusal=ResponseCode.INVALID_DATASET)
        return folder, volume, self._lookup.known_as(folder, raw)

    def _settle_if_waiting(self, storage_id: int, parent: int, name: str) -> None:
        """Bring a file to its name that has been given it already, before it is used again."""
        if not self._lookup.waiting:
            return
        with self._lock:
            folder, _, raw = self._target(storage_id, parent, name)
            waits = self._lookup.is_waiting(folder, raw)
        if waits:
            self._flusher.settle()

    def _settle_alike(self, folder: int, raw: bytes) -> None:
        """Do so with a file whose name in other letters is the same for the disk."""
        if not self._lookup.waiting:
            return
        with self._lock:
            knows_case = not self._lookup.volume_above(folder).staging.knows_no_case
            waits = not knows_case and self._lookup.is_alike_waiting(folder, raw)
        if waits:
            self._flusher.settle()

    def _make(self, folder: int, fd: int, raw: bytes, modified: float | None) -> MadeFolder:
        try:
            with self._lookup.own_change(folder, fd):
                os.mkdir(raw, dir_fd=fd)
        except FileExistsError:
            return self._existing(folder, fd, raw)
        if modified is not None:
            with suppress(OSError, OverflowError, ValueError):  # a date that cannot be kept
                os.utime(raw, (modified, modified), dir_fd=fd, follow_symlinks=False)
        return MadeFolder(self._lookup.enter(folder, raw, is_folder=True), is_new=True)

    def _existing(self, folder: int, fd: int, raw: bytes) -> MadeFolder:
        status = os.stat(raw, dir_fd=fd, follow_symlinks=False)
        if not self._lookup.is_folder_of(folder, status):
            raise MtpError(ResponseCode.ACCESS_DENIED, "the name is taken")
        name = self._lookup.listed_as(folder, raw)
        known = self._table.find(folder, name)
        handle = self._lookup.enter(folder, name, is_folder=True)
        return MadeFolder(handle, is_new=handle != known)

    def _follow(self, act: Callable[..., _Result], folder: int, upload: StagedUpload) -> _Result:
        """Do something in an upload's folder, wherever the device has brought that meanwhile."""
        try:
            return act(upload, folder=self._lookup.folder_now(folder))
        except MtpError as error:
            if error.code is not ResponseCode.INVALID_PARENT_OBJECT:
                raise
        with self._lock:
            self._lookup.watcher.catch_up()
        return act(upload, folder=self._lookup.folder_now(folder))

    def _defer(self, upload: StagedUpload, *, volume: Volume, folder: int, raw: bytes) -> bool:
        """Enter a file whose content still has to reach the disk; False where it has to first.

        So it has to where the folder is in another storage by now, which may be another disk.
        """
        self._flusher.make_room(upload.size)
        self._settle_alike(folder, raw)
        with self._lock, creating():
            if not self._flusher.may_wait(upload.size) or self._lookup.is_waiting(folder, raw):
                return False
            if self._lookup.volume_above(folder) is not volume:
                return False
            volume.require_writable()
            raw = self._name_now(upload, folder, raw)
            if upload.replaces:
                _require_over(upload)
            self._flusher.put(upload, self._lookup.fd(folder), raw)
            upload.replaced = self._lookup.forget_twin(folder, raw)
            self._table.enter(upload.handle, folder, raw, is_folder=False)
        self._flusher.told()
        return True

    def _publish(
        self, upload: StagedUpload, *, volume: Volume, folder: int, raw: bytes
    ) -> list[int]:
        """Rename a staged file to its name; descriptors of the folders that are to be synced."""
        if upload.home is None:
            self._settle_alike(folder, raw)
        with self._lock, creating():
            if upload.home is not None:
                raw = upload.home.name
                self._lookup.watcher.catch_up()  # its folder may have been moved
                folder = self._folder_now(upload, folder)
            volume = self._volume_now(upload, volume, folder)
        with ExitStack() as held:
            reserve = partial(self._replacing.reserve, volume, folder, raw, held)
            slot = reserve() if upload.may_replace else None
            with self._lock, creating(), ExitStack() as on_error:
                if slot is not None:
                    on_error.callback(slot.abandon)
                folder = self._folder_now(upload, folder)
                fd = keep(self._lend(upload, volume, folder), on_error)
                if upload.home is None and self._lookup.is_waiting(folder, raw):
                    _require_over(upload)
                allow = partial(self._allow, upload, folder, raw, fd)
                with self._lookup.own_change(folder, fd) if folder else nullcontext():
                    raw = put_in_place(upload.staged, raw, fd, volume.trash, slot, allow=allow)
                if upload.home is None:
                    upload.replaced = self._lookup.forget_twin(folder, raw)
                    self._table.enter(upload.handle, folder, raw, is_folder=False)
                self._lookup.waiting.pop(upload.handle, None)
                self._lookup.note_own(upload.handle, fd)
                on_error.pop_all()
            into_trash = [] if slot is None else [os.dup(slot.place.files)]
        if slot is not None:
            volume.trash.keep_within_policy()
        return [*into_trash, fd]

    def _allow(self, upload: StagedUpload, folder: int, raw: bytes, fd: int) -> bytes:
        """Find by what name that is listed which a file is to replace. Raises OSError, MtpError.

        What has come or was protected since the file was announced is not replaced; but it is where
        the PC has been told OK already, unless by an empty file that was never sent.
        """
        _require_over(upload)
        return self._name_now(upload, folder, raw, fd)

    def _folder_now(self, upload: StagedUpload, folder: int) -> int:
        """Find the row of a file's folder; 0 where it has waited, and the table has lost it."""
        if upload.home is None:
            return folder
        if upload.handle not in self._lookup.waiting:
            raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, "a newer one has come meanwhile")
        alive = self._table.is_alive(upload.handle)
        return self._table.parent(upload.handle) if alive else 0

    def _name_now(self, upload: StagedUpload, folder: int, name: bytes, fd: int = -1) -> bytes:
        """Find the name that a file is to get: that by which what it replaces is listed.

        What has waited replaces what has come meanwhile by the same name in other letters, too;
        then `fd` is the folder, open. Raises OSError, MtpError.
        """
        if upload.home is None:
            upload.replaces = self._lookup.replaces(folder, name)
            return self._lookup.listed_as(folder, name) if upload.replaces else name
        twin = 0 if upload.replaces or not folder else self._lookup.twin(folder, name, fd)
        if not twin or self._table.is_folder(twin):
            return name
        listed = self._table.name(twin)
        self._lookup.oust(folder, listed)
        self._table.rename(upload.handle, listed)
        return listed

    def _volume_now(self, upload: StagedUpload, volume: Volume, folder: int) -> Volume:
        """Find the storage of a file's folder, which may have left that of the announcement.

        Its trash keeps what is replaced. Raises OSError; MtpError where it is on another disk.
        """
        now = self._lookup.volume_above(folder) if folder else volume
        if now is not volume:
            place, staged = os.fstat(self._lookup.fd(folder)), os.fstat(upload.staged.fd)
            if place.st_dev != staged.st_dev:
                detail = "its folder has gone to another disk"
                raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, detail)
        return now

    def _lend(self, upload: StagedUpload, volume: Volume, folder: int) -> int:
        """Lend the descriptor of the folder that a file belongs into. Raises OSError, MtpError.

        What has waited goes where its folder has gone, as far as that is still in the storage.
        """
        if folder:
            self._lookup.volume_above(folder).require_writable()
            try:
                return self._lookup.fd(folder)
            except OSError as error:
                if upload.home is None or not is_gone(error):
                    raise
        volume.require_writable()
        if upload.home is None or not volume.directories.holds(upload.home.folder_fd):
            raise FileNotFoundError(errno.ENOENT, "its folder is gone")
        return upload.home.folder_fd


def _require_over(upload: StagedUpload) -> None:
    """Refuse to replace a file by one that must not."""
    if not upload.may_replace:
        raise MtpError(ResponseCode.ACCESS_DENIED, "another one has come meanwhile")
