# SPDX-License-Identifier: GPL-3.0-or-later
"""A card that forgets what was not flushed when its power goes: a network block device for QEMU.

What the guest writes lies in the card's cache until the guest flushes it. When the power goes, at
the write that was chosen, any of what lies there has reached the card, in pieces of a sector, and
the rest has not. Spec: the NBD protocol (doc/proto.md of nbd), fixed newstyle, simple replies.
"""

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedRWPair
from pathlib import Path

SECTOR = 512
_GREETING = b"NBDMAGIC" + b"IHAVEOPT" + struct.pack(">H", 3)  # fixed newstyle, no zeroes
_OPTION = struct.Struct(">8sII")
_OPTION_REPLY = struct.Struct(">QIII")
_OPTION_MAGIC = 0x0003E889045565A9
_EXPORT_NAME, _ABORT, _INFO, _GO = 1, 2, 6, 7
_ACK, _IS_INFO, _UNSUPPORTED = 1, 3, (1 << 31) + 1
_HAS_FLAGS, _SEND_FLUSH = 1, 4
_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_INVALID = 22


@dataclass(frozen=True, slots=True)
class Unflushed:
    """A write in the cache: where, what was there, what was written."""

    offset: int
    before: bytes
    after: bytes


#: Told of each write, before it is taken, and of each flush, which has no data.
Note = Callable[[int, bytes | None], None]


class Card:
    """Serves an image file at a socket, to one guest, for as long as there is power."""

    def __init__(
        self, image: Path, place: Path, rng: random.Random, note: Note | None = None
    ) -> None:
        self._note = note
        self._file = image.open("r+b", buffering=0)
        self._size = image.stat().st_size
        self._rng = rng
        self._cache: list[Unflushed] = []
        self._left: int | None = None
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen(1)
        self.writes = 0
        self.dark = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="card", daemon=True)
        self._thread.start()

    def arm(self, at: int) -> None:
        """Let the power go at a write from now on."""
        with self._lock:
            self._left = at

    def cut(self, kill: Callable[[], None]) -> None:
        """Let the power go, if it has not: `kill` ends the guest; then the cache is lost."""
        with self._lock:
            self.dark.set()
        kill()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self._lose()
        self._file.close()

    # The power

    def _lose(self) -> None:
        """Take all back that was not flushed, then write what had come through all the same."""
        for each in reversed(self._cache):
            self._put(each.offset, each.before)
        writes = [(each.offset, each.after) for each in self._cache]
        for offset, sector in surviving(writes, self._rng):
            self._put(offset, sector)
        self._cache.clear()

    def _put(self, offset: int, data: bytes) -> None:
        self._file.seek(offset)
        self._file.write(data)

    def _get(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    # The protocol

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rwb") as stream:
                if self._agree(stream):
                    while not self.dark.is_set() and self._answer(stream):
                        pass
        except (OSError, EOFError):
            return  # the guest is gone, or the power is

    def _agree(self, stream: BufferedRWPair) -> bool:
        """Go through the options; whether the guest wants the card."""
        _send(stream, _GREETING)
        _receive(stream, 4)
        while True:
            _, option, length = _OPTION.unpack(_receive(stream, _OPTION.size))
            _receive(stream, length)
            export = struct.pack(">QH", self._size, _HAS_FLAGS | _SEND_FLUSH)
            if option == _EXPORT_NAME:
                _send(stream, export)
                return True
            if option in (_GO, _INFO):
                _send(stream, _option_reply(option, _IS_INFO, b"\0\0" + export))
            known = option in (_GO, _INFO, _ABORT)
            _send(stream, _option_reply(option, _ACK if known else _UNSUPPORTED))
            if option in (_GO, _ABORT):
                return bool(option == _GO)

    def _answer(self, stream: BufferedRWPair) -> bool:
        """Answer one request; whether more may come."""
        _, _, kind, cookie, offset, length = _REQUEST.unpack(_receive(stream, _REQUEST.size))
        data = _receive(stream, length) if kind == _WRITE else b""
        if kind == _DISCONNECT:
            return False
        with self._lock:
            if self.dark.is_set():
                return False
            content, error = b"", 0
            if self._note is not None and kind in (_WRITE, _FLUSH):
                self._note(offset, data if kind == _WRITE else None)
            if kind == _READ:
                content = self._get(offset, length)
            elif kind == _WRITE:
                if not self._write(offset, data):
                    return False
            elif kind == _FLUSH:
                self._cache.clear()
            else:
                error = _INVALID
        _send(stream, _REPLY.pack(_REPLY_MAGIC, error, cookie) + content)
        return True

    def _write(self, offset: int, data: bytes) -> bool:
        """Take a write into the cache; whether there is still power."""
        self.writes += 1
        self._cache.append(Unflushed(offset, self._get(offset, len(data)), data))
        self._put(offset, data)
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self.dark.set()
        return not self.dark.is_set()


def surviving(
    writes: Iterable[tuple[int, bytes]], rng: random.Random
) -> Iterator[tuple[int, bytes]]:
    """Choose what has come through of writes that were not flushed, sector by sector."""
    share = rng.choice((0.0, 0.5, 0.9, 1.0))
    for offset, data in writes:
        for start in range(0, len(data), SECTOR):
            if rng.random() < share:
                yield offset + start, data[start : start + SECTOR]


def _option_reply(option: int, kind: int, data: bytes = b"") -> bytes:
    return _OPTION_REPLY.pack(_OPTION_MAGIC, option, kind, len(data)) + data


def _send(stream: BufferedRWPair, data: bytes) -> None:
    stream.write(data)
    stream.flush()


def _receive(stream: BufferedRWPair, length: int) -> bytes:
    data: bytes = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data
