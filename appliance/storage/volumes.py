# SPDX-License-Identifier: GPL-3.0-or-later
"""The storages that there are: by id, and by the row of their root. Not for several threads."""

import os
from collections.abc import Iterator, Sequence

from appliance.errors import ApplianceError
from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage.names import check_name
from appliance.storage.volume import Folder, Volume

_MAX_NUMBER = 0xFFFE


def check(folders: Sequence[Folder], *, beside: Sequence[Folder] = ()) -> None:
    """Refuse folders that cannot be served, or not together; one line that names the thing.

    `beside`: what is served already, wherever it is now.
    """
    names = {each.name for each in beside}
    places = {place for each in beside if (place := _place(each)) is not None}
    for folder in folders:
        check_name(folder.name, names)
        names.add(folder.name)
        status = _check_path(folder)
        if (status.st_dev, status.st_ino) in places:
            raise ApplianceError(f"{folder.path} is given twice", hint="serve a folder once")
        places.add((status.st_dev, status.st_ino))


def _place(folder: Folder) -> tuple[int, int] | None:
    """Device and inode; None where there is nothing now."""
    try:
        status = folder.path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_path(folder: Folder) -> os.stat_result:
    try:
        status = folder.path.stat()
        with os.scandir(folder.path):
            return status
    except FileNotFoundError:
        raise ApplianceError(f"{folder.path} does not exist", hint="make it: mkdir -p") from None
    except NotADirectoryError:
        raise ApplianceError(f"{folder.path} is not a folder", hint="name a folder") from None
    except OSError as error:
        raise ApplianceError(
            f"{folder.path} cannot be read: {error.strerror}", hint="check its permissions"
        ) from None


class Volumes:
    """Storages in the order in which they came; an id is never given twice.

    Where a storage is asked for that is away for now, that is StoreNotAvailable.
    """

    def __init__(self) -> None:
        self._by_id: dict[int, Volume] = {}
        self._by_root: dict[int, Volume] = {}
        self._last = 0

    def __iter__(self) -> Iterator[Volume]:
        return iter(tuple(self._by_id.values()))

    def new_id(self) -> int:
        """Give an id to a storage that is to come."""
        if self._last >= _MAX_NUMBER:
            raise ApplianceError("all storage ids have been given", hint="start the appliance anew")
        self._last += 1
        return self._last << 16 | 1

    def add(self, volume: Volume) -> None:
        """Take in a storage."""
        self._by_id[volume.storage_id] = volume
        self._by_root[volume.root] = volume

    def remove(self, volume: Volume) -> None:
        """Leave out a storage."""
        del self._by_id[volume.storage_id], self._by_root[volume.root]

    def order(self, storage_ids: Sequence[int]) -> None:
        """Give the storages in this order from now on."""
        self._by_id = {each: self._by_id[each] for each in storage_ids}

    def get(self, storage_id: int) -> Volume | None:
        """Find a storage, be it away or not."""
        return self._by_id.get(storage_id)

    def present(self, storage_id: int) -> Volume:
        """Find a storage by its id."""
        volume = self._by_id.get(storage_id)
        if volume is None:
            raise MtpError(ResponseCode.INVALID_STORAGE_ID, f"no storage {storage_id:X}")
        volume.require_present()
        return volume

    def above(self, root: int) -> Volume:
        """Find a storage by the row of its root."""
        volume = self._by_root.get(root)
        if volume is None:
            raise MtpError(ResponseCode.STORE_NOT_AVAILABLE, "the storage was removed")
        volume.require_present()
        return volume
