# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the trash of a storage lies, and what it looks like there.

It lies in the storage's hidden workplace, so that no name from a PC reaches it, laid out as
freedesktop.org's trash specification says:

    .mtp-appliance/trash/files/NAME             the object, as it was
    .mtp-appliance/trash/info/NAME.trashinfo    where it lay and when it went
    .mtp-appliance/trash/expunged/              what is on its way out for good
    .mtp-appliance/trash/days.json              how long each object has been there

What other programs put there is taken for what it is: no link is followed.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress

from appliance.storage import trash_info
from appliance.storage.directories import (
    Directories,
    Names,
    entries,
    keep,
    open_directory,
    opened,
    sync,
)
from appliance.storage.errors import is_gone
from appliance.storage.names import STAGING, TRASH, cut_bytes, to_pc
from appliance.storage.removal import Allowance, clear_away
from appliance.storage.staging import lock
from appliance.storage.survey import look_over
from appliance.storage.trash_info import TrashInfo
from appliance.values import dataclass

TOP = (STAGING, TRASH)
FILES, INFO, _EXPUNGED = ((*TOP, name) for name in (b"files", b"info", b"expunged"))
#: Bytes of a name in the trash; room is left for digits and for the note's extension.
_MAX_NAME = 200
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Place:
    """The trash's directories, open."""

    files: int
    info: int
    expunged: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A name in the trash that has its note already, for an object that is to come."""

    place: Place
    name: bytes
    info: TrashInfo

    def abandon(self) -> None:
        """Give the name up, unless an object has it; harmless when repeated."""
        with suppress(OSError):
            if not _is_taken(self.place, self.name):
                trash_info.remove(self.place.info, self.name)


def make(root_fd: int) -> bool:
    """Make the directories that are missing; whether that for objects was. Raises OSError."""
    for path in ((STAGING,), TOP, INFO, _EXPUNGED):
        _make(root_fd, path)
    is_new = _make(root_fd, FILES)
    if is_new:  # the workplace was there, but need not be on the disk
        sync(root_fd)
    return is_new


def open_all(directories: Directories, held: ExitStack) -> Place:
    """Open the directories; until `held` ends, `clean` leaves them alone. Raises OSError."""
    files, expunged = (keep(directories.get(path), held) for path in (FILES, _EXPUNGED))
    info = open_directory(b".", directories.get(INFO))
    held.callback(os.close, info)
    with suppress(OSError):  # a file system without locks, or another program that starts
        fcntl.flock(info, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return Place(files, info, expunged)


def find(directories: Directories, held: ExitStack) -> Place | None:
    """Open the directories; None where there are none. Raises OSError where that is not clear."""
    try:
        return open_all(directories, held)
    except OSError as error:
        if is_gone(error):
            return None
        raise


def describe(place: Place, name: bytes) -> TrashInfo:
    """Say of an object in the trash what its note says, or else the object itself."""
    info = trash_info.read(place.info, name)
    status = os.stat(name, dir_fd=place.files, follow_symlinks=False)
    return TrashInfo(
        info.path or (name,),
        status.st_ctime if info.deleted is None else info.deleted,
        look_over(place.files, name).size if info.size is None else info.size,
        info.deletion,
    )


def clear_expunged(root_fd: int, allowance: Allowance) -> bool:
    """Remove what is on its way out for good; whether anything of it has gone."""
    with suppress(OSError), opened(root_fd, _EXPUNGED) as expunged:
        going = entries(expunged)
        for name, _ in going:
            clear_away(expunged, name, allowance)
        return len(entries(expunged)) < len(going)
    return False


def clean(root_fd: int, allowance: Allowance) -> None:
    """Bring to an end what a power cut has interrupted, unless another program is at work there."""
    clear_expunged(root_fd, allowance)
    with ExitStack() as held, suppress(OSError):
        info = held.enter_context(opened(root_fd, INFO))
        files = held.enter_context(opened(root_fd, FILES))
        if lock(info):
            _remove_lonely_notes(info, {name for name, _ in entries(files)})


def _remove_lonely_notes(info_fd: int, present: set[bytes]) -> None:
    for note, _ in entries(info_fd):
        if note.removesuffix(trash_info.SUFFIX) not in present:
            clear_away(info_fd, note)


def write_note(place: Place, info: TrashInfo) -> Slot:
    """Write a note under a name that is free. Raises OSError, ValueError."""
    for name in _possible_names(info.path[-1]):
        if _is_taken(place, name):
            continue
        with suppress(FileExistsError):
            trash_info.write(place.info, name, info)
            sync(place.info)
            return Slot(place, name, info)
    raise FileExistsError(errno.EEXIST, f"{_ATTEMPTS} names are taken")


def _is_taken(place: Place, name: bytes) -> bool:
    """Whether an object has the name already, be it without a note. Raises OSError."""
    try:
        os.stat(name, dir_fd=place.files, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _possible_names(name: bytes) -> Iterator[bytes]:
    """Find names like one: in UTF-8, with room for more, and when that is taken, with digits."""
    stem = cut_bytes(to_pc(name).encode(), _MAX_NAME)
    yield stem
    for _ in range(_ATTEMPTS):
        yield b"%s~%s" % (stem, os.urandom(4).hex().encode())


def _make(root_fd: int, path: Names) -> bool:
    """Make a directory below the root; False where it is there."""
    with opened(root_fd, path[:-1]) as parent:
        try:
            os.mkdir(path[-1], 0o700, dir_fd=parent)
        except FileExistsError:
            return False
        sync(parent)
        return True
