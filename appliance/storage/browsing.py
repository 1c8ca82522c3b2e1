# SPDX-License-Identifier: GPL-3.0-or-later
"""A look into a folder of a storage for a person, who sees names and reads nothing.

It goes the way that everything goes: by descriptors, following no link, and shows what a PC is
shown. No object is entered, so looking costs the table nothing.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage.directories import Names, keep
from appliance.storage.errors import reporting
from appliance.storage.lookup import Lookup
from appliance.storage.names import as_logged, may_be_made_up, to_pc
from appliance.storage.scanning import scan
from appliance.storage.volume import Volume
from appliance.values import dataclass

#: More names than a thousand tell a person nothing; one more says that there are more.
MOST = 1001


@dataclass(frozen=True, slots=True)
class Listed:
    """What a person sees of an object; the size of a folder is 0."""

    name: str
    is_folder: bool
    size: int
    modified: float


def browse(
    lookup: Lookup,
    lock: AbstractContextManager[object],
    storage_id: int,
    names: Sequence[str],
) -> list[Listed]:
    """List a folder by the names that lead to it: folders first, at most `MOST`."""
    with ExitStack() as held, reporting(gone=ResponseCode.INVALID_PARENT_OBJECT):
        with lock:
            volume = lookup.volumes.present(storage_id)
            below: Names = ()
            for name in names:
                below = (*below, _to_disk(volume, below, name))
            fd = keep(volume.directories.get(below), held)
        found, _ = scan(fd, hidden_files=volume.hidden_files)
        shown = sorted(found, key=lambda raw: (not found[raw], to_pc(raw).casefold(), raw))
        return list(_looked_at(fd, shown[:MOST]))


def _to_disk(volume: Volume, below: Names, name: str) -> bytes:
    """Find the name on the disk of what a person sees under a name."""
    if not may_be_made_up(name):
        return volume.name_to_disk(name, refusal=ResponseCode.INVALID_PARENT_OBJECT)
    for raw in scan(volume.directories.get(below), hidden_files=volume.hidden_files)[0]:
        if to_pc(raw) == name:
            return raw
    raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, f"no {as_logged(name)!a}")


def _looked_at(fd: int, names: Sequence[bytes]) -> Iterator[Listed]:
    for raw in names:
        try:
            status = os.stat(raw, dir_fd=fd, follow_symlinks=False)
        except OSError:
            continue  # it has just gone
        is_folder = stat.S_ISDIR(status.st_mode)
        size = 0 if is_folder else status.st_size
        yield Listed(to_pc(raw), is_folder, size, status.st_mtime)
