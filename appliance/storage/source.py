# SPDX-License-Identifier: GPL-3.0-or-later
"""A file's content on its way out."""

import os
from collections.abc import Callable
from contextlib import suppress

from appliance.storage.errors import reporting

#: Shorter reads (bytes) are over before reading ahead pays.
_WORTH_ADVICE = 1 << 16


def _nothing() -> None:
    """Allow a file to be read for ever."""


class FileContent:
    """A slice of an open regular file, read once from front to back; owns the descriptor.

    `stay` raises MtpError where the file may not be read any more.
    """

    def __init__(
        self,
        fd: int,
        size: int,
        offset: int,
        length: int | None,
        stay: Callable[[], None] = _nothing,
    ) -> None:
        self.size = size
        self._fd = fd
        self._stay = stay
        rest = max(0, size - offset)
        self._offset = offset
        self._length = rest if length is None else min(rest, length)
        self._at = offset
        self._end = offset + self._length
        if self._length > _WORTH_ADVICE:
            with suppress(OSError):  # advice only
                os.posix_fadvise(fd, offset, self._length, os.POSIX_FADV_SEQUENTIAL)

    @property
    def length(self) -> int:
        """Bytes in all."""
        return self._length

    @property
    def offset(self) -> int:
        """Where the slice begins, in bytes."""
        return self._offset

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._fd

    def read_into(self, buffer: memoryview) -> int:
        """Read the next bytes straight into `buffer`; 0 at the end, or where it has no room."""
        self._stay()
        wanted = min(len(buffer), self._end - self._at)
        if wanted <= 0:
            return 0
        with reporting():
            count = os.preadv(self._fd, [buffer[:wanted]], self._at)
        self._at += count
        return count

    def advance(self, count: int) -> None:
        """Go on by bytes that were taken by way of the descriptor."""
        self._at += count

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()
