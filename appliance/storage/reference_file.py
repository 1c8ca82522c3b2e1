# SPDX-License-Identifier: GPL-3.0-or-later
"""What objects refer to, in a small file in the storage's workplace, so that it goes with the card.

    {"version": 1, "objects": [[MARK, [MARK, MARK, ...]], ...]}

`.mtp-appliance/state/references.json` has for each object that refers to others its mark and
theirs. A mark is what an object is known again by: see `Mark`. A file that is not like that is put
aside.
"""

import errno
import json
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress

from appliance.storage.directories import opened, sync
from appliance.storage.errors import is_gone
from appliance.storage.names import STAGING, STATE
from appliance.storage.staging import StagedFile
from appliance.values import dataclass

log = logging.getLogger(__name__)

_DIRECTORY = (STAGING, STATE)
_NAME = b"references.json"
_DAMAGED = b"references.json.damaged"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: Bytes of the file, and marks in it; one of ours is never larger.
_MAX_SIZE = 4 << 20
MAX_MARKS = 20_000
_64_BITS = 1 << 64

#: What the file looked like when it was read: inode, time (ns), bytes. Zeros for no file.
Stamp = tuple[int, int, int]
NO_FILE: Stamp = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Mark:
    """What an object is known again by.

    `number` is the file system's own lasting one, 0 where there are none. `inode`, `size` and
    `modified` (ns) are what it looked like, `path` where it lay below the root; `storage` is the
    name of its storage, if that is another one.
    """

    number: int
    inode: int
    size: int
    modified: int
    path: bytes
    storage: str = ""

    def looks_like(self, other: "Mark") -> bool:
        """Whether two marks are of one object, as far as looks tell."""
        return (self.size, self.modified) == (other.size, other.modified)

    def lies_and_looks_like(self, other: "Mark") -> bool:
        """Whether two marks are of objects that look the same and lie, or lay, in one place."""
        return self.path == other.path != b"" and self.looks_like(other)

    def is_of(self, other: "Mark") -> bool:
        """Whether two marks are of one object, wherever it lies."""
        if self.number and other.number:
            return self.number == other.number
        return self.inode == other.inode and self.looks_like(other)


Book = dict[Mark, tuple[Mark, ...]]


def count(book: Book) -> int:
    """Count the marks in it."""
    return sum(1 + len(targets) for targets in book.values())


def stamp(root_fd: int) -> Stamp:
    """See whether the file is another one than before. Raises OSError, but not for no file."""
    try:
        with opened(root_fd, _DIRECTORY) as fd:
            status = os.stat(_NAME, dir_fd=fd, follow_symlinks=False)
            return status.st_ino, status.st_mtime_ns, status.st_size
    except OSError as error:
        if is_gone(error):
            return NO_FILE
        raise


def read(root_fd: int) -> Book:
    """Read the file; empty where there is none, or a damaged one, which is put aside.

    Raises OSError where it cannot be read now: what is in it may not be written over.
    """
    with opened(root_fd, _DIRECTORY) as fd:
        try:
            return decode(_content(fd))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, RecursionError) as error:
            if isinstance(error, OSError) and not is_gone(error):
                raise
            why = error.strerror if isinstance(error, OSError) else str(error)
            log.warning("cannot read what objects refer to, starting without it: %s", why)
            with suppress(OSError):
                os.rename(_NAME, _DAMAGED, src_dir_fd=fd, dst_dir_fd=fd)
            return {}


def write(root_fd: int, staged: StagedFile, book: Mapping[Mark, tuple[Mark, ...]]) -> None:
    """Replace the file, durably; `staged` is used up. Raises OSError: then the old one stands."""
    try:
        data = memoryview(encode(book))
        if len(data) > _MAX_SIZE:
            raise OSError(errno.ENOSPC, f"more than {_MAX_SIZE} bytes of references")
        while data:
            data = data[os.write(staged.fd, data) :]
        os.fchmod(staged.fd, 0o600)
        os.fsync(staged.fd)
        with opened(root_fd, (STAGING,)) as workplace, suppress(FileExistsError):
            os.mkdir(STATE, 0o700, dir_fd=workplace)
            sync(workplace)
            sync(root_fd)
        with opened(root_fd, _DIRECTORY) as fd:
            staged.rename(_NAME, fd)
            sync(fd)
    except OSError:
        staged.remove()
        raise
    staged.close()


def encode(book: Mapping[Mark, tuple[Mark, ...]]) -> bytes:
    """Say it in JSON."""
    objects = [[_row(source), [_row(each) for each in targets]] for source, targets in book.items()]
    return json.dumps({"version": 1, "objects": objects}, separators=(",", ":")).encode()


def decode(data: bytes) -> Book:
    """Understand the file. Raises ValueError, TypeError where it is not like one of ours."""
    content = json.loads(data)
    if not isinstance(content, dict) or not isinstance(content.get("objects"), list):
        raise ValueError("it has no list of objects")
    book = {}
    count = 0
    for source, targets in content["objects"]:
        count += 1 + len(targets)
        if count > MAX_MARKS:
            raise ValueError(f"it has more than {MAX_MARKS} entries")
        book[_mark(source)] = tuple(map(_mark, targets))
    return book


def _content(directory_fd: int) -> bytes:
    fd = os.open(_NAME, _READ, dir_fd=directory_fd)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_SIZE:
            raise ValueError(f"it is no file of at most {_MAX_SIZE} bytes")
        return b"".join(_pieces(fd))
    finally:
        os.close(fd)


def _pieces(fd: int) -> Iterator[bytes]:
    left = _MAX_SIZE
    while left and (piece := os.read(fd, left)):
        left -= len(piece)
        yield piece


def _row(mark: Mark) -> list[object]:
    path = mark.path.decode("utf-8", "surrogateescape")
    row = [mark.number, mark.inode, mark.size, mark.modified, path]
    return [*row, mark.storage] if mark.storage else row


def _mark(row: object) -> Mark:
    if not isinstance(row, list) or not 5 <= len(row) <= 6:
        raise ValueError("an entry has not five or six parts")
    number, inode, size, modified, path, storage = row if len(row) == 6 else (*row, "")
    numbers = (number, inode, size, modified)
    if not all(type(each) is int and -_64_BITS < each < _64_BITS for each in numbers):
        raise ValueError("an entry has no numbers where they belong")
    if not isinstance(path, str) or not isinstance(storage, str):
        raise ValueError("an entry has no text where it belongs")
    raw = path.encode("utf-8", "surrogateescape")
    return Mark(number, inode, size, modified, raw, storage)
