# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways by which a source's bytes get into PTP/IP data packets."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.transaction import FileSource, Look, Reply, Source
from appliance.transports.ptpip_channel import PIECE_SIZE, Channel

#: Bytes up to which data is sent together with what stands before and after it.
SMALL = 64 * 1024
#: Bytes of a data packet that sendfile fills.
FILE_PIECE_SIZE = 1 << 20
_NO_ROOM = memoryview(b"")


class Outlet(Protocol):
    """Moves a source, piece by piece."""

    piece_size: int
    #: What to answer where the source ends early.
    failure: Reply

    def prepare(self, wanted: int) -> int:
        """Find out how many of the next `wanted` bytes there are; fewer means the end."""
        ...

    def send(self, count: int) -> bool:
        """Send so many bytes; False where some were missing after all, then they are zeros."""
        ...


def choose_outlet(source: Source, channel: Channel, look: Look) -> Outlet:
    """Find the fastest way for a source; `look` is asked where it is a slow one."""
    if source.length > SMALL and isinstance(source, FileSource):
        return FileOutlet(source, channel)
    return BufferOutlet(source, channel, look)


class BufferOutlet:
    """Reads a source into a buffer; for all sources."""

    piece_size = PIECE_SIZE

    def __init__(self, source: Source, channel: Channel, look: Look) -> None:
        self.failure = Reply(ResponseCode.INCOMPLETE_TRANSFER)
        self._source = source
        self._channel = channel
        self._look = look
        self._buffer = memoryview(bytearray(min(source.length, PIECE_SIZE)))

    def prepare(self, wanted: int) -> int:
        """Fill the buffer; a look at the initiator after each part that was not enough."""
        filled = 0
        try:
            while filled < wanted and (count := self._read(filled, wanted)):
                filled += count
        except MtpError as error:
            self.failure = Reply(error.code, error.parameters)
        return filled

    def _read(self, filled: int, wanted: int) -> int:
        if filled:
            self._look()
        return self._source.read_into(self._buffer[filled:wanted])

    def send(self, count: int) -> bool:
        """Send from the buffer; little of it waits for what comes after it."""
        if count > SMALL:
            self._channel.send_piece(self._buffer[:count])
        else:
            self._channel.put(self._buffer[:count])
        return True


class FileOutlet:
    """Lets the kernel move a file; where it cannot, reads it."""

    piece_size = FILE_PIECE_SIZE

    def __init__(self, source: FileSource, channel: Channel) -> None:
        self.failure = Reply(ResponseCode.INCOMPLETE_TRANSFER)
        self._source = source
        self._fd = source.fileno()
        self._at = source.offset
        self._channel = channel

    def prepare(self, wanted: int) -> int:
        """Look how long the file is now, and whether it may still be read."""
        try:
            self._source.read_into(_NO_ROOM)
            size = os.fstat(self._fd).st_size
        except MtpError as error:
            self.failure = Reply(error.code, error.parameters)
            return 0
        except OSError:
            return 0
        return max(0, min(wanted, size - self._at))

    def send(self, count: int) -> bool:
        """Send from the file. A packet that was begun is filled up whatever happens."""
        sent = self._channel.send_file(self._fd, self._at, count)
        for data in self._read(self._at + sent, count - sent):
            self._channel.send_piece(memoryview(data))
            sent += len(data)
        self._at += count
        self._source.advance(sent)
        if sent < count:
            self._channel.send_piece(memoryview(bytes(count - sent)))
        return sent == count

    def _read(self, at: int, rest: int) -> Iterator[bytes]:
        with suppress(OSError):
            while rest and (data := os.pread(self._fd, min(rest, PIECE_SIZE), at)):
                yield data
                at += len(data)
                rest -= len(data)
