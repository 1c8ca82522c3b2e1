# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does with the trash: look, put something back, empty it."""

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from typing import TypeVar

from appliance.errors import ApplianceError
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Change, ChangeKind
from appliance.storage import trash_info, trash_place
from appliance.storage.directories import Names, keep, open_directory, sync
from appliance.storage.errors import is_gone, reporting
from appliance.storage.lookup import Lookup, creating
from appliance.storage.names import MAX_BYTES, cut_bytes, is_component, to_pc
from appliance.storage.removal import is_folder
from appliance.storage.scanning import is_shown
from appliance.storage.trash_place import Place, describe
from appliance.storage.volume import Volume
from appliance.values import dataclass, field

log = logging.getLogger(__name__)

_ATTEMPTS = 1000
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class TrashItem:
    """Something in the trash: its name there, and where in the storage it lay.

    Size in bytes on the disk, time in Unix seconds.
    """

    storage_id: int
    name: str
    path: str
    deleted: float
    size: int
    is_folder: bool


@dataclass(slots=True)
class _Way:
    """Where somebody who walks down a storage has come: an open folder, and its row if it is shown.

    `made`: rows of what was made.
    """

    volume: Volume
    row: int | None
    fd: int
    held: ExitStack
    made: list[int] = field(default_factory=list)


class Restoring:
    """Shows what is in the trash of all storages and gives it back."""

    def __init__(self, lookup: Lookup, lock: AbstractContextManager[object]) -> None:
        self._lookup = lookup
        self._table = lookup.table
        self._lock = lock

    def items(self) -> list[TrashItem]:
        """List what is in the trash, storage by storage, the oldest first."""
        return [item for items in self._of_each(_items) for item in items]

    def restore(self, storage_id: int, name: str) -> Sequence[Change]:
        """Put an object back to where it lay; what is to be told of it.

        Folders above it are made anew. It never comes over something that is there: `a (2).txt`.
        Where its folder cannot be, it comes as near to it as can be. Raises MtpError, and
        ApplianceError where nothing of that name is in the trash.
        """
        raw = os.fsencode(name)
        with ExitStack() as held, self._lock, creating():
            volume = self._lookup.volume(storage_id)
            volume.require_writable()
            place = trash_place.find(volume.directories, held)
            path = _path(place, raw) if place else ()
            if place is None or not path:
                raise ApplianceError(
                    f"{name} is not in the trash", hint="see what is: mtp-appliance trash list"
                )
            way = _Way(volume, volume.root, keep(volume.directories.get(), held), held)
            for each in path[:-1]:
                if not self._descend(way, each):
                    break
            self._put_back(way, place, raw, path[-1])
            sync(way.fd)
            trash_info.remove(place.info, raw)
        return tuple(Change(ChangeKind.ADDED, handle) for handle in way.made)

    def empty(self, storage_id: int | None = None, name: str | None = None) -> int:
        """Remove for good all, all of a storage, or one object of it; how many objects went."""
        if storage_id is None:
            return sum(self._of_each(partial(_empty, name=name)))
        return _empty(self._writable(storage_id), name)

    def purge(self) -> int:
        """Remove for good what the policy does not keep any longer; how many objects went."""
        return sum(self._of_each(lambda volume: volume.trash.purge()))

    def _of_each(self, do: Callable[[Volume], _Answer]) -> Iterator[_Answer]:
        """Do something with the trash of each storage.

        One whose trash cannot be looked through is logged, and keeps none of the others'.
        """
        for volume in self._volumes():
            try:
                with reporting():
                    answer = do(volume)
            except MtpError as error:
                log.warning("TRASH   of %s could not be looked through: %s", volume.name, error)
            else:
                yield answer

    def _volumes(self) -> list[Volume]:
        with self._lock:
            return list(filter(_is_writable, self._lookup.volumes))

    def _writable(self, storage_id: int) -> Volume:
        with self._lock:
            volume = self._lookup.volume(storage_id)
            volume.require_writable()
            return volume

    def _descend(self, way: _Way, name: bytes) -> bool:
        """Go one folder down, made where there is none; False where something else is there."""
        try:
            with self._own_change(way):
                os.mkdir(name, dir_fd=way.fd)
            sync(way.fd)
            is_new = True
        except FileExistsError:
            is_new = False
        try:
            name = name if is_new else self._listed(way, name)
            fd = open_directory(name, way.fd)
        except (OSError, MtpError) as error:
            log.info("RESTORE not into %a: %s", name, error)
            return False
        way.held.callback(os.close, fd)
        directories, status = way.volume.directories, os.fstat(fd)
        if not directories.is_here(status) or directories.is_workplace(status):
            return False
        self._enter(way, name, is_folder=True, is_new=is_new)
        way.fd = fd
        return True

    def _listed(self, way: _Way, name: bytes) -> bytes:
        """Find the name by which a folder that is shown is listed. Raises OSError, MtpError."""
        if way.row is None or not is_shown(name, hidden_files=way.volume.hidden_files):
            return name
        return self._lookup.listed_as(way.row, name)

    def _put_back(self, way: _Way, place: Place, name: bytes, wanted: bytes) -> None:
        """Move an object out of the trash, to a name that is free."""
        folder = is_folder(name, place.files)
        for free in _possible_names(wanted, is_folder=folder):
            with suppress(FileExistsError), self._own_change(way):
                way.volume.trash.take_out(place, name, way.fd, free)
                log.info("RESTORE %a from the trash as %a", name, free)
                break
        else:
            raise FileExistsError(errno.EEXIST, "too many of that name are there")
        self._enter(way, free, is_folder=folder, is_new=True)
        if way.row is not None:
            self._lookup.note_own(way.row, way.fd)

    def _enter(self, way: _Way, name: bytes, *, is_folder: bool, is_new: bool) -> None:
        """Know what has been reached, if it is shown."""
        if way.row is None or not is_shown(name, hidden_files=way.volume.hidden_files):
            way.row = None
            return
        way.row = self._lookup.enter(way.row, name, is_folder=is_folder)
        if is_new:
            way.made.append(way.row)

    def _own_change(self, way: _Way) -> AbstractContextManager[None]:
        return nullcontext() if way.row is None else self._lookup.own_change(way.row, way.fd)


def _is_writable(volume: Volume) -> bool:
    """Whether a storage can be changed; one whose folder is gone cannot, and hides no other."""
    with suppress(MtpError):
        return volume.is_present and not volume.read_only
    return False


def _items(volume: Volume) -> list[TrashItem]:
    found = []
    with ExitStack() as held:
        place = volume.trash.open(held)
        if place is None:
            return []
        for name in volume.trash.names():
            try:
                found.append(_item(volume.storage_id, place, name))
            except OSError as error:  # gone meanwhile
                log.debug("TRASH   %a is not listed: %s", name, error.strerror)
    return found


def _empty(volume: Volume, name: str | None) -> int:
    """Remove for good all of a storage's, or one object; how many went."""
    names = volume.trash.names() if name is None else [os.fsencode(name)]
    return sum(map(volume.trash.expunge, names))


def _path(place: Place, name: bytes) -> Names:
    """Find where an object lay; nothing where it is not there, or is neither file nor folder.

    Raises OSError where that cannot be found out.
    """
    if not is_component(name):
        return ()
    try:
        mode = os.stat(name, dir_fd=place.files, follow_symlinks=False).st_mode
    except OSError as error:
        if is_gone(error):
            return ()
        raise
    return describe(place, name).path if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else ()


def _item(storage_id: int, place: Place, name: bytes) -> TrashItem:
    info = describe(place, name)
    return TrashItem(
        storage_id,
        os.fsdecode(name),
        "/".join(map(to_pc, info.path)),
        info.deleted or 0,
        info.size or 0,
        is_folder(name, place.files),
    )


def _possible_names(name: bytes, *, is_folder: bool) -> Iterator[bytes]:
    """Find names to come back under: `a.txt`, `a (2).txt`, `a (3).txt` ..."""
    yield name
    stem, dot, extension = name.rpartition(b".")
    if is_folder or not stem:
        stem, dot, extension = name, b"", b""
    for number in range(2, _ATTEMPTS):
        tail = b" (%d)%s%s" % (number, dot, extension)
        yield cut_bytes(stem, MAX_BYTES - len(tail)) + tail
