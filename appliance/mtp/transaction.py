# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation takes and gives: a request, a reply, and the data of either direction.

The core speaks in these values. A transport moves a `Source` to the initiator, or what the
initiator sends into a `Sink`, by the fastest way it has; it never looks at the content.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from appliance.mtp.codes import EventCode, OperationCode, ResponseCode
from appliance.values import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """One operation as an initiator asked for it; a parameter that was not sent counts as 0."""

    code: OperationCode
    transaction_id: int
    parameters: tuple[int, ...] = ()

    def parameter(self, index: int) -> int:
        """Parameter `index`, counted from 0 (u32)."""
        return self.parameters[index] if index < len(self.parameters) else 0


#: Asked now and then by what takes long: raises what ends the transaction, if that has come. It is
#: no OSError, ValueError or MtpError, which the store takes for its own troubles.
Look = Callable[[], None]


def unattended() -> None:
    """See nobody who could end a transaction."""


#: What an event that belongs to no transaction carries (MTP 1.1 section 4.3.3).
NO_TRANSACTION = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on the device, for the initiator's information."""

    code: EventCode
    parameters: tuple[int, ...] = ()
    transaction_id: int = NO_TRANSACTION


class Source(Protocol):
    """Data for the initiator, read once, from front to back.

    An end before `length` bytes means that the object became shorter meanwhile: the transport ends
    the data phase there and answers IncompleteTransfer.
    """

    @property
    def length(self) -> int:
        """Bytes in all, from front to back."""
        ...

    def read_into(self, buffer: memoryview) -> int:
        """Fill the front of `buffer`; how many bytes came, 0 at the end. Raises MtpError."""
        ...

    def close(self) -> None:
        """Let go of what is held; at any time, and harmless when repeated."""
        ...


@runtime_checkable
class FileSource(Source, Protocol):
    """A source that is a slice of an open regular file, for transports with `sendfile`."""

    @property
    def offset(self) -> int:
        """Where in the file the slice begins, in bytes."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        ...

    def fileno(self) -> int:
        """Give the descriptor, for reading only."""
        ...

    def advance(self, count: int) -> None:
        """Go on by `count` bytes that were taken by way of the descriptor."""
        ...


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

    After any number of `write` exactly one of `finish` and `abort` ends it. All but `abort` may
    raise MtpError; then `abort` is still owed.
    """

    @property
    def expected(self) -> int | None:
        """Bytes that the initiator announced, None where it did not say."""
        ...

    def write(self, data: memoryview) -> None:
        """Take the next bytes."""
        ...

    def finish(self) -> Reply:
        """Note that all has arrived; the reply to it."""
        ...

    def abort(self) -> None:
        """Note that the rest will not come; nothing of the data remains."""
        ...
