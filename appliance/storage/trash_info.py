# SPDX-License-Identifier: GPL-3.0-or-later
"""The note beside each object in the trash, in the form of freedesktop.org's trash specification.

    [Trash Info]
    Path=holidays/caf%C3%A9.jpg
    DeletionDate=2025-01-31T12:00:00
    X-MTP-Appliance-Size=1048576
    X-MTP-Appliance-Deletion=0123456789abcdef

The path is relative to the storage's root, its bytes percent-encoded; the date is local time. The
last two lines are ours: the bytes that the storage gets back, so that nothing has to be counted
again, and a number that no other deletion has, for a name in the trash is given to one object after
another, and dates are whatever the clock says.
What a note says is not believed further than it can do harm: a path is a row of plain components.
"""

import errno
import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import islice

from appliance.storage import syscalls
from appliance.storage.directories import Names
from appliance.storage.names import is_component
from appliance.values import dataclass, replace

log = logging.getLogger(__name__)

SUFFIX = b".trashinfo"
_HEAD = b"[Trash Info]"
_SIZE, _DELETION = b"X-MTP-Appliance-Size", b"X-MTP-Appliance-Deletion"
#: Bytes of a note; one that would be longer is not written, and none is read further.
_MAX_SIZE = 1 << 16
#: Notes that are written anew before the disk is waited for; each takes a block of it meanwhile.
_SLICE = 64
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
_ESCAPE = rb"%([0-9A-Fa-f]{2})"
_NUMBER = rb"[0-9]{1,18}"
_NUMBER_OF_DELETION = rb"[0-9a-f]{16}"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class TrashInfo:
    """Where an object lay (names from the root down; none: not known), when it went, its bytes.

    `deletion`: 16 digits that are this deletion's alone; empty where the note is not one of ours.
    """

    path: Names = ()
    deleted: float | None = None
    size: int | None = None
    deletion: bytes = b""


def encode(info: TrashInfo) -> bytes:
    """Say it as a note. Raises ValueError where the path is too long for one."""
    raw = b"/".join(info.path)
    path = b"".join(b"%c" % each if each in _PLAIN else b"%%%02X" % each for each in raw)
    date = datetime.fromtimestamp(info.deleted or 0).replace(microsecond=0).isoformat()
    lines = (
        _HEAD,
        b"Path=" + path,
        b"DeletionDate=" + date.encode(),
        b"%s=%d" % (_SIZE, info.size or 0),
        *((b"%s=%s" % (_DELETION, info.deletion),) if info.deletion else ()),
    )
    note = b"\n".join(lines) + b"\n"
    if len(note) > _MAX_SIZE:
        raise ValueError(f"a path of {len(raw)} bytes")
    return note


def decode(note: bytes) -> TrashInfo:
    """Understand as much of a note as can be understood."""
    values: dict[bytes, bytes] = {}
    for line in note.split(b"\n"):
        key, _, value = line.strip().partition(b"=")
        values.setdefault(key, value)
    return TrashInfo(
        _path(values.get(b"Path", b"")),
        _date(values.get(b"DeletionDate", b"")),
        _size(values.get(_SIZE, b"")),
        _deletion(values.get(_DELETION, b"")),
    )


def write(info_fd: int, name: bytes, info: TrashInfo, *, is_synced: bool = True) -> None:
    """Put a new note on the disk. Raises OSError, ValueError where it is too long.

    `is_synced`: whether it has to be there at once.
    """
    note = encode(info)
    fd = os.open(name + SUFFIX, _CREATE, 0o600, dir_fd=info_fd)
    try:
        if os.write(fd, note) < len(note):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if is_synced:
            os.fsync(fd)
    except OSError:
        remove(info_fd, name)
        raise
    finally:
        os.close(fd)


def drafts(info_fd: int, dates: Mapping[bytes, float]) -> Iterator[tuple[bytes, bytes]]:
    """Write notes anew with other dates and bring them to the disk, some at a time.

    Gives each one's name and its draft's: none is there where the date has to stay wrong.
    """
    left = iter(dates.items())
    while some := dict(islice(left, _SLICE)):
        drafted = {name: os.urandom(8).hex().encode() for name in some}
        try:
            for name, date in some.items():
                _draft(info_fd, name, drafted[name], date)
            syscalls.sync_file_system(info_fd)
        except (OSError, ValueError) as error:
            log.info("TRASH   the dates of %d stay wrong: %s", len(some), error)
            for draft in drafted.values():
                remove(info_fd, draft)
        yield from drafted.items()


def _draft(info_fd: int, name: bytes, draft: bytes, deleted: float) -> None:
    info = read(info_fd, name)
    if info.path:
        write(info_fd, draft, replace(info, deleted=deleted), is_synced=False)


def put_in_place(info_fd: int, draft: bytes, name: bytes) -> None:
    """Let a draft be the note, in one step; harmless where there is none."""
    with suppress(OSError):
        os.rename(draft + SUFFIX, name + SUFFIX, src_dir_fd=info_fd, dst_dir_fd=info_fd)


def remove(info_fd: int, name: bytes) -> None:
    """Remove a note; harmless where there is none."""
    with suppress(OSError):
        os.unlink(name + SUFFIX, dir_fd=info_fd)


def read(info_fd: int, name: bytes) -> TrashInfo:
    """Read a note; what there is none of, or no file, says nothing."""
    try:
        fd = os.open(name + SUFFIX, _READ, dir_fd=info_fd)
    except OSError:
        return TrashInfo()
    try:
        regular = stat.S_ISREG(os.fstat(fd).st_mode)
        return decode(os.read(fd, _MAX_SIZE)) if regular else TrashInfo()
    except OSError:
        return TrashInfo()
    finally:
        os.close(fd)


def _path(value: bytes) -> Names:
    raw = re.sub(_ESCAPE, lambda found: bytes((int(found[1], 16),)), value)
    names = tuple(raw.split(b"/"))
    return names if all(map(is_component, names)) else ()


def _date(value: bytes) -> float | None:
    try:
        return datetime.fromisoformat(value.decode("ascii")).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _size(value: bytes) -> int | None:
    return int(value) if re.fullmatch(_NUMBER, value) else None


def _deletion(value: bytes) -> bytes:
    return value if re.fullmatch(_NUMBER_OF_DELETION, value) else b""
