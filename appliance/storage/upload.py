# SPDX-License-Identifier: GPL-3.0-or-later
"""A file on its way in: staged, hidden, made durable, then renamed to its name in one step."""

import os
from collections.abc import Callable
from contextlib import suppress

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage.directories import sync
from appliance.storage.errors import reporting
from appliance.storage.staging import StagedFile
from appliance.storage.trash import NO_SPACE


class StagedUpload:
    """The `Upload` of the ports; for one thread.

    `publish` renames the staged file, enters it in the table, and gives a descriptor of its folder.
    `make_room` makes some room on a full disk; False where it cannot. `stay` raises MtpError where
    the storage has gone away.
    """

    def __init__(
        self,
        handle: int,
        staged: StagedFile,
        *,
        modified: float | None,
        replaces: bool,
        publish: Callable[["StagedUpload"], int],
        make_room: Callable[[], bool],
        stay: Callable[[], None],
    ) -> None:
        self.handle = handle
        self.staged = staged
        self.replaces = replaces
        self.replaced = 0
        self._modified = modified
        self._publish = publish
        self._make_room = make_room
        self._stay = stay
        self._is_open = True

    def write(self, data: memoryview) -> None:
        """Append `data`; on an error nothing remains."""
        self._require_open()
        try:
            self._stay()
            with reporting():
                while data:
                    data = data[self._write(data) :]
        except MtpError:
            self.discard()
            raise

    def commit(self) -> None:
        """Bring the content to the disk, give it its name, and bring the name to the disk.

        On an error nothing remains; but if it is the last step that fails, which only a failing
        disk does, the whole file is there under its name.
        """
        self._require_open()
        try:
            with reporting():
                self._stay()
                self._settle()
                self._stay()
                folder_fd = self._publish(self)
        except BaseException:
            self.discard()
            raise
        self._is_open = False
        self.staged.close()
        with reporting():
            try:
                sync(folder_fd)
            finally:
                os.close(folder_fd)

    def discard(self) -> None:
        """Remove what has come."""
        if self._is_open:
            self._is_open = False
            self.staged.remove()

    def _write(self, data: memoryview) -> int:
        """Write what fits; a full disk is given room first, as long as there is some to give."""
        while True:
            try:
                return os.write(self.staged.fd, data)
            except OSError as error:
                if error.errno not in NO_SPACE or not self._make_room():
                    raise

    def _require_open(self) -> None:
        if not self._is_open:
            raise MtpError(ResponseCode.INCOMPLETE_TRANSFER, "the upload has ended already")

    def _settle(self) -> None:
        if self._modified is not None:
            with suppress(OSError, OverflowError, ValueError):  # a date that cannot be kept
                os.utime(self.staged.fd, (self._modified, self._modified))
        os.fsync(self.staged.fd)
