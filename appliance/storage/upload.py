# SPDX-License-Identifier: GPL-3.0-or-later
"""A file on its way in: staged, hidden, made durable, then renamed to its name in one step."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress

from appliance.storage.errors import reporting

log = logging.getLogger(__name__)


class StagedUpload:
    """The `Upload` of the ports. `publish` renames the staged file and enters it in the table."""

    def __init__(
        self,
        handle: int,
        *,
        fd: int,
        name: bytes,
        directory_fd: int,
        modified: float | None,
        replaces: bool,
        publish: Callable[["StagedUpload"], int],
    ) -> None:
        self.handle = handle
        self.name = name
        self.directory_fd = directory_fd
        self.replaces = replaces
        self._fd = fd
        self._modified = modified
        self._publish = publish

    def write(self, data: memoryview) -> None:
        """Append `data`."""
        with reporting():
            while data:
                data = data[os.write(self._fd, data) :]

    def commit(self) -> None:
        """Bring the content to the disk, give it its name, and bring the name to the disk."""
        try:
            with reporting():
                self._settle()
                folder_fd = self._publish(self)
        except BaseException:
            self.discard()
            raise
        self._close()
        with reporting():
            try:
                os.fsync(folder_fd)
            finally:
                os.close(folder_fd)

    def discard(self) -> None:
        """Remove what has come."""
        if self._fd >= 0:
            with suppress(OSError):
                os.unlink(self.name, dir_fd=self.directory_fd)
            self._close()

    def _settle(self) -> None:
        if self._modified is not None:
            with suppress(OverflowError):
                os.utime(self._fd, (self._modified, self._modified))
        os.fsync(self._fd)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            os.close(self.directory_fd)
