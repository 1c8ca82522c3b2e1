# SPDX-License-Identifier: GPL-3.0-or-later
"""When what a PC has written is brought to the disk: before it is told OK, or soon afterwards.

Where writes are `fast`, the PC is told OK for a small file as soon as all of it has come. The file
goes on lying in the workplace, and the table has it under its name already. Within a second its
content is synced, and only then it is renamed: so a power cut leaves the old file or the new one,
whatever the file system writes first. A new folder's name is synced then, too.

One thread does that; it sleeps while nothing waits. All else that a PC does - rename, move, copy,
delete, edit - brings what waits to the disk first (`settled`), and then is as safe as ever: so
nothing that waits depends on another thing that waits, but a file on its new folder. Nothing here
is to be called with the store's lock held, but where it says so; it is not held during a sync.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from appliance.mtp.errors import MtpError
from appliance.mtp.ports import ChangeKind
from appliance.storage import trees
from appliance.storage.directories import sync
from appliance.storage.errors import reporting
from appliance.storage.lookup import Lookup
from appliance.storage.upload import Home, StagedUpload
from appliance.storage.write_safety import Unsafe, WriteSafety

log = logging.getLogger(__name__)

#: Seconds that something may wait before its sync begins; the promise is one second until the end.
_PAUSE = 0.3
_PROMISED = 1.0
#: What may wait at once: changes (each holds three descriptors), and bytes of files.
_MOST = 128
_MOST_BYTES = 4 << 20
#: A larger file (bytes) is synced before the OK: that takes little beside its way over the cable,
#: and what a card writes in a second would not do for it.
_LARGE = 2 << 20
#: From so many files on, syncing the whole file system is cheaper than syncing one by one.
_MANY = 3


class Flusher:
    """Syncs, now or soon. For any thread."""

    def __init__(
        self, lookup: Lookup, lock: AbstractContextManager[object], safety: WriteSafety
    ) -> None:
        self._lookup = lookup
        self._lock = lock
        self._safety = WriteSafety.SAFE
        self._uploads: dict[int, StagedUpload] = {}
        self._folders: dict[tuple[int, int], int] = {}  # open descriptors, by device and inode
        self._in_work = 0
        self._since = 0.0
        self._hurried = 0
        self._at_work = threading.Lock()
        self._bell = threading.Event()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self._observers: tuple[Callable[[], None], ...] = ()
        self.set_safety(safety)

    # What is asked of it

    def set_safety(self, safety: WriteSafety) -> None:
        """Change when a PC is told OK; from fast to safe, with all that waits."""
        with self._lock:
            self._safety = safety
            if safety is WriteSafety.FAST and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="flusher", daemon=True)
                self._thread.start()
        if safety is WriteSafety.SAFE:
            self.settle()

    def observe(self, observer: Callable[[], None]) -> None:
        """Call `observer`, from any thread, whenever `unsafe` may say something else."""
        self._observers = (*self._observers, observer)

    def unsafe(self) -> Unsafe:
        """Say what is not on the disk yet, and until when (Unix seconds)."""
        with self._lock:
            count = len(self._uploads) + len(self._folders) + self._in_work
            size = sum(each.size for each in self._uploads.values())
            until = max(self._since + _PROMISED, time.time())
        return Unsafe(count, size, until) if count else Unsafe()

    def sync(self, folder_fd: int) -> None:
        """Bring a name in a folder to the disk: now, or soon where writes are fast. OSError."""
        with self._lock:
            if waits := self.may_wait(0):
                self._begin()
                self._put_folder(folder_fd)
        if waits:
            self._wake()
        else:
            sync(folder_fd)

    def may_wait(self, size: int) -> bool:
        """Whether a file may be told to be written, and be synced later; with the lock held."""
        return self._is_small(size) and not self._hurried and self._has_room(size)

    def make_room(self, size: int) -> None:
        """Let a file of `size` bytes wait: where too much waits already, that is synced first."""
        if self._is_small(size):
            with self._lock:
                has_room = self._has_room(size)
            if not has_room:
                self.settle()

    def put(self, upload: StagedUpload, folder_fd: int, name: bytes) -> None:
        """Take a whole file that the table is about to have; with the lock held. Raises OSError."""
        upload.home = Home(os.dup(folder_fd), name)
        self._begin()
        self._uploads[upload.handle] = upload
        self._lookup.waiting[upload.handle] = upload.staged

    def told(self) -> None:
        """Go to work soon, after something was put."""
        self._wake()

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Bring all that waits to the disk, and let nothing wait until the block ends."""
        with self._lock:
            self._hurried += 1
        try:
            self.settle()
            yield
        finally:
            with self._lock:
                self._hurried -= 1

    def settle(self) -> None:
        """Bring all that waits to the disk now; back when it is there, or was told to be lost."""
        with self._at_work:
            had_work = self._settle()
        if had_work:
            self._tell()
            self._lookup.announcements.deliver()

    def close(self) -> None:
        """Bring all to the disk, and end; harmless when repeated."""
        self._is_over.set()
        self._bell.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        self.set_safety(WriteSafety.SAFE)

    # The thread

    def _work(self) -> None:
        while True:
            self._bell.wait()
            self._bell.clear()  # before looking, or the bell of the end could go unheard
            if self._is_over.wait(_PAUSE):
                return
            try:
                self.settle()
            except Exception:
                log.exception("DEFECT  in what brings files to the disk")

    def _wake(self) -> None:
        self._bell.set()
        self._tell()

    def _tell(self) -> None:
        for observer in self._observers:
            observer()

    # The pieces, with the lock held

    def _is_small(self, size: int) -> bool:
        return self._safety is WriteSafety.FAST and size <= _LARGE

    def _has_room(self, size: int) -> bool:
        if len(self._uploads) + len(self._folders) >= _MOST:
            return False
        return size + sum(each.size for each in self._uploads.values()) <= _MOST_BYTES

    def _begin(self) -> None:
        if not self._uploads and not self._folders:
            self._since = time.time()

    def _put_folder(self, fd: int) -> None:
        status = os.fstat(fd)
        key = status.st_dev, status.st_ino
        if key not in self._folders:
            self._folders[key] = os.dup(fd)

    # The work, without the lock

    def _settle(self) -> bool:
        with self._lock:
            uploads = list(self._uploads.values())
            folders = self._take_folders()
            self._in_work = len(folders)
        _sync_folders(folders)
        for upload in self._synced(uploads):
            self._publish(upload)
        with self._lock:
            self._in_work = len(published := self._take_folders())
        _sync_folders(published)
        with self._lock:
            self._in_work = 0
            self._since = time.time()
        return bool(uploads or folders)

    def _take_folders(self) -> list[int]:
        folders, self._folders = list(self._folders.values()), {}
        return folders

    def _synced(self, uploads: list[StagedUpload]) -> Iterator[StagedUpload]:
        """Bring the content of files to the disk; those that are there."""
        if len(uploads) >= _MANY and _sync_all(uploads):
            yield from uploads
            return
        for upload in uploads:
            try:
                with reporting():
                    upload.sync()
            except MtpError as error:
                self._lose(upload, error)
            else:
                yield upload

    def _publish(self, upload: StagedUpload) -> None:
        try:
            with reporting():
                folders = upload.publish()
        except MtpError as error:
            self._lose(upload, error)
            return
        with self._lock:
            self._forget(upload)
            for fd in folders:
                self._put_folder(fd)
                os.close(fd)
        upload.staged.close()

    def _lose(self, upload: StagedUpload, error: MtpError) -> None:
        """Tell that a file of which a PC was told that it is written is not."""
        with self._lock:
            home, is_wanted = upload.home, upload.handle in self._lookup.waiting
            self._forget(upload)
            if home is not None and is_wanted:
                log.error("LOST    %a, which was not on the disk yet: %s", home.name, error)
                self._drop(upload.handle)
        upload.staged.remove()

    def _drop(self, handle: int) -> None:
        """Forget a file that did not get its name; an older one that has it is seen again."""
        table = self._lookup.table
        if table.is_alive(handle):
            folder, name = table.parent(handle), table.name(handle)
            table.drop(handle)
            self._lookup.announcements.tell(ChangeKind.REMOVED, handle)
            self._lookup.doubt(folder)
            self._lookup.watcher.look_again(folder, name)

    def _forget(self, upload: StagedUpload) -> None:
        del self._uploads[upload.handle]
        self._lookup.waiting.pop(upload.handle, None)
        if upload.home is not None:
            os.close(upload.home.folder_fd)
            upload.home = None


def _sync_all(uploads: list[StagedUpload]) -> bool:
    """Sync the file systems that files lie on, whole; whether that has worked.

    It is asked for by the oldest file of each: a descriptor hears of no error from before it was.
    """
    try:
        oldest = {os.fstat(each.staged.fd).st_dev: each.staged.fd for each in reversed(uploads)}
        for fd in oldest.values():
            trees.sync_all(fd)
    except OSError as error:
        log.info("SYNC    file by file, for the file system says: %s", error.strerror)
        return False
    return True


def _sync_folders(fds: list[int]) -> None:
    """Sync folders, and close them."""
    for fd in fds:
        try:
            sync(fd)
        except OSError as error:
            log.error("LOST    names in a folder may not be on the disk: %s", error.strerror)
        finally:
            os.close(fd)
