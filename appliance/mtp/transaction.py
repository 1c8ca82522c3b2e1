# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation takes and gives: a request, a reply, and the data of either direction.

The core speaks in these values. A transport moves a `Source` to the initiator, or what the
initiator sends into a `Sink`, by the fastest way it has; it never looks at the content.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from appliance.mtp.codes import EventCode, OperationCode, ResponseCode


@dataclass(frozen=True, slots=True)
class Request:
    """One operation as an initiator asked for it; a parameter that was not sent counts as 0."""

    code: OperationCode
    transaction_id: int
    parameters: tuple[int, ...] = ()

    def parameter(self, index: int) -> int:
        """Parameter `index`, counted from 0 (u32)."""
        return self.parameters[index] if index < len(self.parameters) else 0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on the device, for the initiator's information."""

    code: EventCode
    parameters: tuple[int, ...] = ()


class Source(Protocol):
    """Data for the initiator: `length` bytes that are read once, from front to back.

    `read_into` fills the front of `buffer` and returns how many bytes it wrote, 0 at the end.
    An end before `length` bytes means that the object became shorter meanwhile: the transport ends
    the data phase there and answers IncompleteTransfer. It raises MtpError where reading fails.
    `close` may be called at any time and more than once.
    """

    @property
    def length(self) -> int: ...

    def read_into(self, buffer: memoryview) -> int: ...

    def close(self) -> None: ...


@runtime_checkable
class FileSource(Source, Protocol):
    """A source that is a slice of an open regular file, for transports with `sendfile`."""

    @property
    def offset(self) -> int: ...

    def fileno(self) -> int: ...


class BytesSource:
    """A source from memory."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._rest = memoryview(data)
        self._length = len(self._rest)

    @property
    def length(self) -> int:
        """Bytes in all."""
        return self._length

    def read_into(self, buffer: memoryview) -> int:
        """Copy the next bytes into `buffer`."""
        part = self._rest[: len(buffer)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)

    def close(self) -> None:
        """Forget the data."""
        self._rest = self._rest[:0]


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of a transaction: a response code, its parameters, and data before it if any."""

    code: ResponseCode = ResponseCode.OK
    parameters: tuple[int, ...] = ()
    source: Source | None = None


class Sink(Protocol):
    """Where the data that the initiator sends goes.

    `expected` is how many bytes the initiator announced, None where it did not say. `write` may be
    called any number of times. Then exactly one of: `finish`, when all has arrived, which gives the
    reply; `abort`, when the rest will not come, after which nothing of the data remains.
    """

    @property
    def expected(self) -> int | None: ...

    def write(self, data: memoryview) -> None: ...

    def finish(self) -> Reply: ...

    def abort(self) -> None: ...
