# SPDX-License-Identifier: GPL-3.0-or-later
"""One storage: a folder of this machine, what of it is shown, and how much space there is."""

import logging
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import StorageRecord
from appliance.storage import staging
from appliance.storage.directories import Directories
from appliance.storage.errors import reporting
from appliance.storage.handles import ScanMark
from appliance.storage.names import STAGING, BadNameError, is_hidden, to_disk

log = logging.getLogger(__name__)

#: A folder that was changed so shortly before it was scanned (ns) may have been changed once more
#: since without its time showing it: file systems count time in ticks of up to 10 ms.
_TICK = 20_000_000


@dataclass(frozen=True, slots=True)
class Folder:
    """What is to be a storage; `hidden_files`: whether names that begin with a dot are shown."""

    path: Path
    name: str
    read_only: bool = False
    hidden_files: bool = True


def check(folders: Sequence[Folder]) -> None:
    """Refuse folders that cannot be served, or not together; one line that names the thing."""
    names: set[str] = set()
    places: set[tuple[int, int]] = set()
    for folder in folders:
        _check_name(folder, names)
        names.add(folder.name)
        status = _check_path(folder)
        if (status.st_dev, status.st_ino) in places:
            raise ApplianceError(f"{folder.path} is given twice", hint="serve a folder once")
        places.add((status.st_dev, status.st_ino))


def _check_name(folder: Folder, taken: set[str]) -> None:
    if not folder.name.strip() or "/" in folder.name or len(folder.name) > 100:
        raise ApplianceError(
            f"{folder.name!r} cannot be a storage's name", hint="1 to 100 characters without /"
        )
    if folder.name in taken:
        raise ApplianceError(
            f"two storages are named {folder.name}", hint="give one another name: NAME=FOLDER"
        )


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


class Volume:
    """A storage while it is served; not for several threads at once."""

    def __init__(self, storage_id: int, folder: Folder, root: int) -> None:
        self.storage_id = storage_id
        self.name = folder.name
        self.root = root
        self.staging = staging.Staging()
        self._read_only = folder.read_only
        self._hidden_files = folder.hidden_files
        self.directories = Directories(os.fsencode(folder.path))
        if not self.read_only:
            staging.clean(self.directories.get())

    def close(self) -> None:
        """Leave nothing behind."""
        try:
            root_fd = self.directories.get()
        except MtpError:
            root_fd = None
        self.staging.close(root_fd)
        self.directories.close()

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed: by wish, by the file system, or by permission."""
        if self._read_only:
            return True
        root = self.directories.get()
        with reporting(gone=ResponseCode.STORE_NOT_AVAILABLE):
            return bool(os.fstatvfs(root).f_flag & os.ST_RDONLY) or not os.access(
                b".", os.W_OK, dir_fd=root, effective_ids=True
            )

    def require_writable(self) -> None:
        """Refuse changes where there can be none."""
        if self.read_only:
            raise MtpError(ResponseCode.STORE_READ_ONLY)

    def record(self) -> StorageRecord:
        """Describe the storage as it is now; what root alone may still use is not free."""
        with reporting(gone=ResponseCode.STORE_NOT_AVAILABLE):
            space = os.fstatvfs(self.directories.get())
        unit = space.f_frsize
        return StorageRecord(
            self.storage_id,
            self.name,
            capacity=space.f_blocks * unit,
            free=space.f_bavail * unit,
            read_only=self.read_only,
        )

    def require_space(self, size: int) -> None:
        """Refuse more bytes than there is space for."""
        free = self.record().free
        if size > free:
            raise MtpError(ResponseCode.STORE_FULL, f"{size} bytes, {free} are free")

    def name_to_disk(self, name: str, *, refusal: ResponseCode) -> bytes:
        """Check a name that a PC sent; `refusal` is for names that no file here can have."""
        try:
            raw = to_disk(name)
        except BadNameError as error:
            raise MtpError(refusal, f"name {name!a}: {error}") from None
        if is_hidden(raw) and not self._hidden_files:
            raise MtpError(ResponseCode.ACCESS_DENIED, "hidden names are not shown here")
        return raw

    def mark(self, fd: int) -> ScanMark:
        """Note what a folder looks like before it is scanned."""
        status = os.fstat(fd)
        return ScanMark(status.st_ino, status.st_mtime_ns, time.time_ns())

    @staticmethod
    def is_current(mark: ScanMark | None, fd: int) -> bool:
        """Whether a folder is still as it was when it was scanned."""
        if mark is None or mark.taken - mark.modified < _TICK:
            return False
        status = os.fstat(fd)
        return (status.st_ino, status.st_mtime_ns) == (mark.inode, mark.modified)

    def scan(self, fd: int, *, is_root: bool) -> list[tuple[bytes, bool]]:
        """List what of a folder is shown: names, and whether they are folders."""
        device = os.fstat(fd).st_dev
        found: list[tuple[bytes, bool]] = []
        with os.scandir(fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if self._is_kept_back(name, is_root=is_root):
                    continue
                kind = _kind(entry, device)
                if kind is not None:
                    found.append((name, kind))
        return found

    def _is_kept_back(self, name: bytes, *, is_root: bool) -> bool:
        if not is_hidden(name):
            return False
        return not self._hidden_files or (is_root and name == STAGING)


def _kind(entry: os.DirEntry[str], device: int) -> bool | None:
    """Whether an entry is a folder; None where it is neither file nor folder of this storage."""
    try:
        if entry.is_file(follow_symlinks=False):
            return False
        if not entry.is_dir(follow_symlinks=False):
            return None
        return True if entry.stat(follow_symlinks=False).st_dev == device else None
    except OSError as error:
        log.debug("SKIP    %a: %s", entry.name, error.strerror)
        return None


def check_kind(status: os.stat_result, *, is_folder: bool) -> None:
    """Refuse an object that has become something else on the disk."""
    expected = stat.S_IFDIR if is_folder else stat.S_IFREG
    if stat.S_IFMT(status.st_mode) != expected:
        raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, "became something else")
