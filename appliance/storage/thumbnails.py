# SPDX-License-Identifier: GPL-3.0-or-later
"""Small images of files, made by another process: `appliance/thumbnailer.py`.

That process gets the open file and nothing else. It is started when first asked, ends by itself
when idle, and is killed when it takes too long. Only who asks waits for it, one after the other.
What came of a file is remembered, also if nothing did, until the file is another one.
"""

import importlib.util
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Picture
from appliance.storage.source import FileContent
from appliance.storage.thumbnailing import Answer, BusyError, Worker
from appliance.values import dataclass

log = logging.getLogger(__name__)

#: Bytes of all that is remembered, and of one entry beside its picture.
_MEMORY = 3 << 19
_ENTRY = 300
#: Seconds that somebody waits while others are served.
_PATIENCE = 5.0

Key = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    """What came of a file; `is_complete`: a thumbnail was asked for, too."""

    answer: Answer
    is_complete: bool

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return _ENTRY + len(self.answer.picture.data if self.answer.picture else b"")


class Thumbnails:
    """Makes and remembers small images; for several threads. `open_file` opens an object."""

    def __init__(self, open_file: Callable[[int], FileContent]) -> None:
        self._open = open_file
        self._worker = Worker()
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, _Known] = OrderedDict()
        self._weight = 0

    def get(self, handle: int) -> Picture:
        """Make a thumbnail, or remember it. NoThumbnailPresent where there is none."""
        picture = self._ask(handle, thumbnail=True).picture
        if picture is None:
            raise MtpError(ResponseCode.NO_THUMBNAIL_PRESENT)
        return picture

    def size(self, handle: int) -> tuple[int, int]:
        """Tell an image's width and height; zeros where they cannot be told."""
        answer = self._ask(handle, thumbnail=False)
        return answer.width, answer.height

    def close(self) -> None:
        """End the process."""
        self._worker.stop()

    def _ask(self, handle: int, *, thumbnail: bool) -> Answer:
        with closing(self._open(handle)) as content:
            key = _key(content.fileno())
            known = self._remember(key, thumbnail=thumbnail)
            if known is not None:
                return known
            if not key[3] or not is_possible():
                return Answer()
            if not self._turn.acquire(timeout=_PATIENCE):
                log.info("THUMB   not of %X: others are waiting", handle)
                return Answer()
            try:
                known = self._remember(key, thumbnail=thumbnail)
                return known or self._make(key, content.fileno(), thumbnail=thumbnail)
            finally:
                self._turn.release()

    def _make(self, key: Key, fd: int, *, thumbnail: bool) -> Answer:
        started = time.monotonic()
        try:
            answer = self._worker.ask(fd, thumbnail=thumbnail)
        except BusyError as error:
            log.warning("THUMB   none: %s", error)
            return Answer()
        log.debug("THUMB   %s in %.0f ms", answer, 1000 * (time.monotonic() - started))
        if _key(fd) == key:
            self._keep(key, _Known(answer, thumbnail))
        return answer

    def _remember(self, key: Key, *, thumbnail: bool) -> Answer | None:
        with self._lock:
            known = self._known.get(key)
            if known is None or (thumbnail and not known.is_complete):
                return None
            self._known.move_to_end(key)
            return known.answer

    def _keep(self, key: Key, known: _Known) -> None:
        with self._lock:
            before = self._known.pop(key, None)
            self._weight += known.weight - (before.weight if before else 0)
            self._known[key] = known
            while self._weight > _MEMORY:
                self._weight -= self._known.popitem(last=False)[1].weight


def is_possible() -> bool:
    """Whether there is what makes thumbnails; said once if there is not."""
    global _is_possible  # noqa: PLW0603 - found out once
    if _is_possible is None:
        _is_possible = importlib.util.find_spec("PIL") is not None
        if not _is_possible:
            log.info("THUMB   none without Pillow: pip install pillow")
    return _is_possible


_is_possible: bool | None = None


def _key(fd: int) -> Key:
    """Say which file this is, in which state; the last is its size."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
