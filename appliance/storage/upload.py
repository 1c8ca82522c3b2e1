# SPDX-License-Identifier: GPL-3.0-or-later
"""A file on its way in: staged, hidden, made durable, then renamed to its name in one step.

`OK` is answered when content and name are on the disk; or, where writes are fast, before all that:
then `appliance.storage.flushing` does the same steps in the same order within a second.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.transaction import Look, unattended
from appliance.storage import syscalls
from appliance.storage.directories import sync_and_close
from appliance.storage.errors import reporting
from appliance.storage.room import with_room
from appliance.storage.staging import StagedFile
from appliance.values import dataclass

#: So many bytes have come when the kernel is asked to begin writing them out.
_PIECE = 4 << 20


@dataclass(frozen=True, slots=True)
class Home:
    """Where a file belongs that waits for its name: the folder, open, wherever that goes."""

    folder_fd: int
    name: bytes


class StagedUpload:
    """The `Upload` of the ports; for one thread, but for `let_go`.

    `release` frees the handle where the file does not come. `publish` renames the staged file,
    enters it in the table, and gives descriptors of the folders to be synced. `defer` takes the
    whole file to do all that later; False where it does not. `make_room` makes some room on a full
    disk; False where it cannot. `stay` raises MtpError where the storage has gone away.
    """

    def __init__(
        self,
        handle: int,
        staged: StagedFile,
        *,
        modified: float | None,
        replaces: bool,
        release: Callable[[], None],
        publish: Callable[["StagedUpload"], list[int]],
        defer: Callable[["StagedUpload"], bool],
        make_room: Callable[[], bool],
        stay: Callable[[], None],
    ) -> None:
        self.handle = handle
        self.staged = staged
        self.replaces = replaces
        self.replaced = 0
        #: Whether it may take the place of a file that has its name when it gets it.
        self.may_replace = True
        self.size = 0
        #: While it waits; whoever lets it wait closes it.
        self.home: Home | None = None
        self._begun = 0
        self._modified = modified
        self._release = release
        self._publish = publish
        self._defer = defer
        self._make_room = make_room
        self._stay = stay
        self._is_open = True
        self._at_work = threading.RLock()

    def write(self, data: memoryview) -> None:
        """Append `data`; on an error nothing remains."""
        with self._at_work:
            try:
                self._require_open()
                with reporting():
                    while data:
                        count = self._write(data)
                        self.size, data = self.size + count, data[count:]
            except MtpError:
                self.discard()
                raise

    def commit(self, *, over: bool = True, heed: Look = unattended) -> None:
        """Bring the content to the disk, give it its name, and bring the name to the disk.

        Where writes are fast, all of that may come later. On an error nothing remains; but if it is
        the last step that fails, which only a failing disk does, the whole file is there under its
        name. `over`: whether a file that has the name by then is replaced. `heed` is asked before
        the file gets its name, for the sync may have taken seconds.
        """
        self.may_replace = over
        with self._at_work, reporting():
            try:
                self._require_open()
                self._set_date()
                if self._defer(self):
                    self._is_open = False
                    return
                self.sync()
                heed()
                folders = self.publish()
            except BaseException:
                self.discard()
                raise
            self._is_open = False
            self.staged.close()
            sync_and_close(*folders)

    def sync(self) -> None:
        """Bring the content to the disk. Raises OSError."""
        os.fdatasync(self.staged.fd)

    def publish(self) -> list[int]:
        """Give the content its name; descriptors of folders to sync. Raises MtpError, OSError."""
        self._stay()
        return self._publish(self)

    def discard(self) -> None:
        """Remove what has come."""
        with self._at_work:
            if self._is_open:
                self._is_open = False
                self.staged.remove()
                self._release()

    def let_go(self) -> None:
        """End as `discard` does, because the storage goes away."""
        self.discard()

    def _write(self, data: memoryview) -> int:
        """Write what fits; a full disk is given room first, as long as there is some to give."""
        count = with_room(self._make_room, partial(os.write, self.staged.fd, data))
        self._start_writing_out(self.size + count)
        return count

    def _start_writing_out(self, size: int) -> None:
        """Let a large file go to the disk while more of it comes."""
        if size - self._begun >= _PIECE:
            syscalls.start_writing_out(self.staged.fd, self._begun, size - self._begun)
            self._begun = size

    def _require_open(self) -> None:
        self._stay()
        if not self._is_open:
            raise MtpError(ResponseCode.INCOMPLETE_TRANSFER, "the upload has ended already")

    def _set_date(self) -> None:
        if self._modified is not None:
            with suppress(OSError, OverflowError, ValueError):  # a date that cannot be kept
                os.utime(self.staged.fd, (self._modified, self._modified))
