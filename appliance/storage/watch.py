# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's watch over folders (inotify), by pyinotify: the one module that knows it.

Of pyinotify only the system calls and the numbers are used. Its own reader decodes each name
strictly, so that one name that is not UTF-8 would lose all that came with it, and it makes several
objects for each event; here events are read as they lie in memory:

| offset | size | what                                                             |
|--------|------|------------------------------------------------------------------|
| 0      | 4    | number of the watch; -1 for the queue itself                     |
| 4      | 4    | what happened, as bits                                           |
| 8      | 4    | cookie: the same for both halves of a move                       |
| 12     | 4    | length of the name, n                                            |
| 16     | n    | name on the disk, filled up with NUL; n = 0 for the folder itself |

See inotify(7).
"""

import errno
import logging
import os
import struct
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from appliance import c_library
from appliance.enums import Enum, auto
from appliance.values import dataclass

log = logging.getLogger(__name__)

_HEAD = struct.Struct("=iIII")
_READ_SIZE = 1 << 16
_ROOM_TO_GROW = "raise fs.inotify.{} by sysctl"
#: Why a folder cannot be watched, and what to do about it.
_HINTS = {
    errno.ENOSPC: _ROOM_TO_GROW.format("max_user_watches"),
    errno.EMFILE: _ROOM_TO_GROW.format("max_user_instances"),
}


class Kind(Enum):
    """What can happen in a watched folder, or to its watch."""

    CREATED = auto()
    DELETED = auto()
    LEFT = auto()
    CAME = auto()
    WRITTEN = auto()
    CLOSED = auto()
    ALTERED = auto()
    #: The watch is no more: the folder was deleted, or its disk unmounted.
    ENDED = auto()
    #: Events were lost.
    OVERFLOWED = auto()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `name` is empty where it happened to the watched folder itself."""

    watch: int
    kind: Kind
    cookie: int
    name: bytes


class Watch:
    """All watches of this process; for one thread at a time. Nothing is watched before `open`."""

    def __init__(self) -> None:
        self._fd = -1
        self._calls: Any = None
        self._kinds: dict[int, Kind] = {}
        self._is_folder = self._mask = 0
        #: Why some folders are not watched; "" while all are.
        self.refusal = ""

    def open(self) -> None:
        """Begin, which loads pyinotify: a tenth of a start. OSError where it cannot be."""
        try:
            with c_library.at_hand():
                pyinotify = _import()
                self._calls = pyinotify.INotifyWrapper.create()
        except ImportError as error:
            raise OSError(errno.ENOSYS, str(error)) from None
        if self._calls is None:
            raise OSError(errno.ENOSYS, "no inotify here")
        self._fd = self._calls.inotify_init()
        if self._fd < 0:
            raise self._error()
        os.set_inheritable(self._fd, False)
        os.set_blocking(self._fd, False)
        self._kinds = _kinds(pyinotify)
        self._is_folder = pyinotify.IN_ISDIR
        self._mask = pyinotify.IN_ONLYDIR | pyinotify.IN_EXCL_UNLINK
        for bit, kind in self._kinds.items():
            if kind not in (Kind.ENDED, Kind.OVERFLOWED):
                self._mask |= bit

    @property
    def is_open(self) -> bool:
        """Whether something can be watched."""
        return self._fd >= 0

    def fileno(self) -> int:
        """Give what becomes readable when something has happened."""
        return self._fd

    def add(self, fd: int) -> int | None:
        """Watch the open directory `fd`; the number of its watch, or None where that cannot be.

        Watched again, a directory has the same number.
        """
        number: int = self._calls.inotify_add_watch(self._fd, f"/proc/self/fd/{fd}", self._mask)
        if number >= 0:
            return number
        error = self._error()
        if not self.refusal:
            self.refusal = warn_unwatched("some folders are", error)
        return None

    def remove(self, number: int) -> None:
        """Watch a directory no more; harmless where it is gone."""
        self._calls.inotify_rm_watch(self._fd, number)

    def read(self) -> Iterator[Event]:
        """Read what has happened, without waiting; once, so that there may be more."""
        if not self.is_open:
            return
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            number, mask, cookie, size = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            kind = self._kinds.get(mask & ~self._is_folder)
            if kind is not None:
                yield Event(number, kind, cookie, data[at : at + size].rstrip(b"\0"))
            at += size

    def close(self) -> None:
        """End all watches."""
        if self.is_open:
            os.close(self._fd)

    def _error(self) -> OSError:
        number = self._calls.get_errno() or errno.EIO
        return OSError(number, os.strerror(number))


def warn_unwatched(what: str, error: OSError) -> str:
    """Log what is lost where the kernel does not watch; why that is, and what can be done."""
    hint = _HINTS.get(error.errno or 0)
    why = f"{error.strerror}; {hint}" if hint else str(error.strerror)
    log.warning("UNWATCHED %s: changes are seen when the PC lists them again (%s)", what, why)
    return why


def _kinds(pyinotify: ModuleType) -> dict[int, Kind]:
    """Bits of an event, of which it has one."""
    return {
        pyinotify.IN_MODIFY: Kind.WRITTEN,
        pyinotify.IN_CREATE: Kind.CREATED,
        pyinotify.IN_CLOSE_WRITE: Kind.CLOSED,
        pyinotify.IN_ATTRIB: Kind.ALTERED,
        pyinotify.IN_DELETE: Kind.DELETED,
        pyinotify.IN_MOVED_FROM: Kind.LEFT,
        pyinotify.IN_MOVED_TO: Kind.CAME,
        pyinotify.IN_IGNORED: Kind.ENDED,
        pyinotify.IN_Q_OVERFLOW: Kind.OVERFLOWED,
    }


def _import() -> ModuleType:
    """Bring in pyinotify when it is needed: it costs 1.5 MB.

    It is older than Python's farewell to asyncore, which it brings in and we do not use, and older
    than the warnings about its regular expressions.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyinotify  # noqa: PLC0415
    module: ModuleType = pyinotify
    return module
