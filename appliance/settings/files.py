# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files that are whole at every moment, also when the power goes.

They lie in folders that others may write to, whom somebody may have taken over. So all that opens,
replaces or removes such a file goes through here: a pipe keeps nobody waiting, a link leads nobody
elsewhere, and a folder gives way, to another name since it may be a person's.
"""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PRIVATE, _FOR_ALL = 0o600, 0o644
#: What opening says of folders, and of sockets or of pipes without a reader.
_OF_NO_FILE = (errno.EISDIR, errno.ENXIO)
_NO_FILE = "is no regular file"
#: Seconds that one waits for another's change, which takes none; and between two looks.
_PATIENCE, _PAUSE = 10.0, 0.02


def write_atomically(path: Path, data: bytes, *, mode: int = _PRIVATE) -> None:
    """Replace a file's content, durably; on an OSError the old content stands.

    It keeps its owner, and its mode as far as its owner can read it. A new one has `mode`, and
    where root makes it, its folder's owner.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    try:
        _give_free(new)
        _write(new, data, path, mode)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise
    _sync_directory(path.parent)


def remove(path: Path) -> None:
    """Remove what has the name, whatever it is; a folder with all in it, and of a link the link.

    A folder gives its name free even where what is in it cannot be removed. Raises OSError.
    """
    aside = _give_free(path)
    if aside is None:
        return
    from shutil import rmtree  # noqa: PLC0415 - seldom needed

    with suppress(RecursionError):
        rmtree(aside, ignore_errors=True)


def make_way(path: Path) -> None:
    """Let nothing have the name that is no regular file. Raises OSError."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            _give_free(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let no other process that does the same read and write a file until the block ends.

    OSError where another one does not come to its end: nobody is kept from work for ever.
    """
    fd = open_own(path.with_name(f".{path.name}.lock"))
    try:
        _lock(fd)
        yield
    finally:
        os.close(fd)


class IrregularFileError(OSError):
    """What has the name is a pipe, a device or a directory."""


def open_regular(path: Path, flags: int = 0, mode: int = _PRIVATE) -> int:
    """Open a regular file, for reading where `flags` say no more; with O_NOFOLLOW no link to one.

    A pipe that somebody has put there keeps nobody waiting. Raises OSError.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags, mode)
    except OSError as error:
        is_link = error.errno == errno.ELOOP and flags & os.O_NOFOLLOW
        if is_link or error.errno in _OF_NO_FILE:
            raise IrregularFileError(_NO_FILE) from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise IrregularFileError(_NO_FILE)
    return fd


def open_own(path: Path, flags: int = 0) -> int:
    """Open a file that all may read, made where there is none; what else has the name gives way."""
    flags |= os.O_CREAT | os.O_NOFOLLOW
    try:
        return open_regular(path, flags, _FOR_ALL)
    except IrregularFileError:
        _give_free(path)
        return open_regular(path, flags, _FOR_ALL)


def read_regular(path: Path, most: int, flags: int = 0) -> bytes:
    """Read a regular file of so many bytes at most. Raises OSError, and ValueError for more."""
    with os.fdopen(open_regular(path, flags), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"is longer than {most} bytes")
    return data


def leads_to(path: Path) -> Path:
    """Follow a link; root only one that root has made, for others may exchange theirs meanwhile.

    Raises OSError, ValueError.
    """
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISLNK(status.st_mode):
            return path
        if os.geteuid() == 0 and status.st_uid != 0:
            raise ValueError("is a link that somebody else has made")
        return Path(os.path.realpath(path.parent / os.readlink("", dir_fd=fd)))
    finally:
        os.close(fd)


def _lock(fd: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY)) from None
        time.sleep(_PAUSE)


def _write(new: Path, data: bytes, path: Path, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(new, flags, _PRIVATE), "wb") as file:
        _take_after(file.fileno(), path, mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _take_after(fd: int, path: Path, mode: int) -> None:
    """Give a new file the owner and mode of the one that it replaces."""
    status = _status_of_file(path)
    if status is None:
        status = path.parent.stat()
    else:
        mode = status.st_mode & 0o777 | _PRIVATE
    if os.geteuid() == 0:
        os.fchown(fd, status.st_uid, status.st_gid)
    os.fchmod(fd, mode)


def _status_of_file(path: Path) -> os.stat_result | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _give_free(path: Path) -> Path | None:
    """Remove what has the name; a folder that is not empty gets another one, which is returned."""
    try:
        path.unlink(missing_ok=True)
    except IsADirectoryError:
        aside = path.with_name(f"{path.name}.{time.time_ns()}")
        path.rename(aside)
        try:
            aside.rmdir()
        except OSError:
            return aside
    return None


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def looks_of(path: Path) -> object:
    """Tell one state of a file from another."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def in_words(error: Exception) -> str:
    """Say why a file could not be read, understood or written."""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    return str(error)
