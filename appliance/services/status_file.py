# SPDX-License-Identifier: GPL-3.0-or-later
"""The status file from its writer's side: whole at every moment, and kept by one process."""

import fcntl
import logging
import os
import sys
import time
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path
from typing import Self

from appliance import __version__, places
from appliance.control import socket_path
from appliance.settings.files import make_way, open_own
from appliance.status import FILE_NAME, LOCK_NAME, Status, encode, is_kept

log = logging.getLogger(__name__)

#: A reader that asks whether the writer lives holds the lock for a moment.
_TRIES, _NAP = 10, 0.02
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def status_path(state_directory: Path | None = None) -> Path:
    """Find where the status of a service is: beside its control socket."""
    return socket_path(state_directory).with_name(FILE_NAME)


def find_status() -> Path:
    """Find the status of the service that runs here: this user's, or else the appliance's."""
    return next(filter(is_kept, (status_path(), places.STATUS)), places.STATUS)


def versions() -> dict[str, str]:
    """Name what writes it, by the versions of all below it."""
    python = ".".join(map(str, sys.version_info[:3]))
    return {"appliance": __version__, "python": python, "kernel": os.uname().release}


class StatusFile:
    """A file that nobody else writes, until `close`; it lies in memory, so nothing is synced."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._new = path.with_name(f"{path.name}.new")

    @classmethod
    def claim(cls, path: Path) -> Self | None:
        """Become the one who writes; None where another one does, or nobody can."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _for_all(open_own(path.with_name(LOCK_NAME), os.O_WRONLY))
        except OSError as error:
            log.debug("STATUS  is not written: %s", error)
            return None
        if not _lock(lock):
            log.debug("STATUS  is written by another process: %s", path)
            os.close(lock)
            return None
        file = cls(path, lock)
        for each in (path, file._new):
            with suppress(OSError):
                make_way(each)
        return file

    def write(self, status: Status) -> None:
        """Replace the content; where that fails, the old one stays."""
        try:
            with os.fdopen(_for_all(os.open(self._new, _WRITE, 0o644)), "wb", buffering=0) as file:
                data = encode(status)
                if file.write(data) < len(data):
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
            self._new.replace(self.path)
        except OSError as error:
            log.warning("STATUS  cannot be written: %s", error)

    def close(self) -> None:
        """Leave no file behind that nobody keeps true."""
        with suppress(OSError):
            self.path.unlink()
        os.close(self._lock)


def _for_all(fd: int) -> int:
    """Let everyone read a file, whatever the umask says."""
    with suppress(OSError):  # somebody else's
        os.fchmod(fd, 0o644)
    return fd


def _lock(fd: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_NAP)
        else:
            return True
    return False
