# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories below a storage's root, by descriptors and never by paths.

A directory is opened component by component, following no link. A few stay open; one of them is
used again only while the kernel says that it still lies where it is looked for, so that what was
moved out of the storage meanwhile, or replaced, is not reached through an old descriptor.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from appliance.mtp.codes import ResponseCode
from appliance.storage.errors import reporting

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT_OPEN = 24


def open_directory(name: bytes, parent_fd: int | None = None) -> int:
    """Open one directory, not through a link; the caller closes it."""
    return os.open(name, _FLAGS, dir_fd=parent_fd)


def descend(base_fd: int, names: Sequence[bytes]) -> int:
    """Open a directory some levels below another; the caller closes it."""
    fd = os.dup(base_fd)
    for name in names:
        try:
            below = open_directory(name, fd)
        finally:
            os.close(fd)
        fd = below
    return fd


@contextmanager
def opened(base_fd: int, names: Sequence[bytes] = ()) -> Iterator[int]:
    """Open a directory some levels below another, for the length of a block."""
    fd = descend(base_fd, names)
    try:
        yield fd
    finally:
        os.close(fd)


class Directories:
    """The directories of one storage; not for several threads at once."""

    def __init__(self, root: bytes) -> None:
        self._root = os.path.realpath(root)
        self._open: OrderedDict[tuple[bytes, ...], int] = OrderedDict()

    @property
    def root(self) -> bytes:
        """The root's path, without links."""
        return self._root

    def get(self, names: Sequence[bytes] = ()) -> int:
        """Lend the descriptor of a directory below the root, until the next call.

        Raises StoreNotAvailable where the root is not there, OSError for the rest.
        """
        key = tuple(names)
        fd = self._open.pop(key, None)
        if fd is not None and not self._is_at(fd, key):
            os.close(fd)
            fd = None
        if fd is None:
            fd = self._find(key)
        self._open[key] = fd
        while len(self._open) > _KEPT_OPEN:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def close(self) -> None:
        """Close all; harmless when repeated."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _find(self, key: tuple[bytes, ...]) -> int:
        if not key:
            with reporting(gone=ResponseCode.STORE_NOT_AVAILABLE):
                return open_directory(self._root)
        parent = self._open.get(key[:-1])
        if parent is not None and self._is_at(parent, key[:-1]):
            return open_directory(key[-1], parent)
        return descend(self.get(), key)

    def _is_at(self, fd: int, key: tuple[bytes, ...]) -> bool:
        """Ask the kernel whether a descriptor's directory lies at a path."""
        expected = b"/".join((self._root.rstrip(b"/"), *key)) or b"/"
        with suppress(OSError):
            return os.readlink(b"/proc/self/fd/%d" % fd) == expected  # noqa: PTH115 - bytes
        return False
