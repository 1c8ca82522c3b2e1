# SPDX-License-Identifier: GPL-3.0-or-later
"""What initiators do, told to whoever wants to show it: sessions, and content that moves.

Only beginnings and ends are told. In between the thread that moves the bytes counts them in
`Movement.done`, where any other thread may look as often as it likes, and nobody waits.
"""

from typing import Protocol

from appliance.enums import Enum, auto
from appliance.mtp.transaction import FileSource


class Direction(Enum):
    """Which way content goes, as USB says it: in is towards the PC."""

    IN = auto()
    OUT = auto()


class Road(Enum):
    """Where the way to a host stands that is there before any initiator: the USB cable."""

    HIDDEN = auto()
    SHOWN = auto()
    CONFIGURED = auto()
    ASLEEP = auto()


class Movement:
    """A file's content on its way; `total` is None where nobody has said how much it will be.

    A file that is read in parts is one movement, as long as the parts follow one another.
    """

    __slots__ = ("begun", "direction", "done", "handle", "is_part", "name", "total")

    def __init__(
        self,
        handle: int,
        name: str,
        direction: Direction,
        total: int | None,
        *,
        is_part: bool = False,
    ) -> None:
        self.handle = handle
        self.name = name
        self.direction = direction
        self.total = total
        self.is_part = is_part
        self.done = 0
        self.begun = 0

    @property
    def is_whole(self) -> bool:
        """Whether all is there."""
        return self.done == self.total


class Monitor(Protocol):
    """Who is told; in the thread that serves the initiator, which is not to be kept waiting."""

    def visited(self, visit: "Visit") -> None:
        """Note that a session was opened or closed, or that the initiator has said its name."""
        ...

    def began(self, visit: "Visit", movement: Movement) -> None:
        """Note that content moves; once more for a movement that goes on."""
        ...

    def ended(self, visit: "Visit", movement: Movement, *, whole: bool) -> None:
        """Note that content moves no more; `whole`: the file is where it was to go."""
        ...

    def road(self, road: Road) -> None:
        """Note where the way to the host stands."""
        ...


class Nobody:
    """The monitor where nobody looks."""

    def visited(self, visit: "Visit") -> None:
        """Pass over."""

    def began(self, visit: "Visit", movement: Movement) -> None:
        """Pass over."""

    def ended(self, visit: "Visit", movement: Movement, *, whole: bool) -> None:
        """Pass over."""

    def road(self, road: Road) -> None:
        """Pass over."""


NOBODY = Nobody()


class Visit:
    """One initiator as the monitor sees it; `client` is what it calls itself, "" unknown.

    Changed by the thread that serves the initiator, for any thread to look at.
    """

    def __init__(self, monitor: Monitor, peer: str, client: str = "") -> None:
        self.peer = peer
        self.client = client
        self.is_open = False
        self._own_name = client
        self._monitor = monitor
        self._last: Movement | None = None
        self._is_moving = False

    def update(self, *, is_open: bool, name: str) -> None:
        """Tell whether a session is open, and the name that was said in it, if that is news."""
        client = name or self._own_name
        if is_open is not self.is_open or client != self.client:
            self.is_open, self.client = is_open, client
            self._monitor.visited(self)

    def giving(self, handle: int, name: str, source: FileSource, *, part: bool) -> FileSource:
        """Follow content on its way to the initiator."""
        total = source.size if part else source.length
        return _Counted(source, self, self.begin(handle, name, Direction.IN, total, part=part))

    def begin(
        self, handle: int, name: str, direction: Direction, total: int | None, *, part: bool
    ) -> Movement:
        """Follow content that the caller counts, perhaps going on; `end` is owed."""
        movement = self._going_on(handle, direction) if part else None
        if movement is None:
            movement = Movement(handle, name, direction, total, is_part=part)
        self.follow(movement)
        return movement

    def follow(self, movement: Movement) -> None:
        """Follow content that the caller counts; `end` is owed."""
        movement.begun = movement.done
        self._last, self._is_moving = movement, True
        self._monitor.began(self, movement)

    def _going_on(self, handle: int, direction: Direction) -> Movement | None:
        last = self._last
        if last is None or not last.is_part or last.is_whole:
            return None
        return last if (last.handle, last.direction) == (handle, direction) else None

    def end(self, movement: Movement, *, whole: bool) -> None:
        """Note the end of content on its way; harmless when repeated."""
        if self._is_moving and movement is self._last:
            self._is_moving = False
            self._monitor.ended(self, movement, whole=whole)

    def drop(self) -> None:
        """Note that what is on its way will not arrive."""
        if self._is_moving and self._last is not None:
            self.end(self._last, whole=False)


class _Counted:
    """A source that counts what is taken from it."""

    __slots__ = ("_movement", "_source", "_visit", "fileno", "length", "offset", "size")

    def __init__(self, source: FileSource, visit: Visit, movement: Movement) -> None:
        self._source = source
        self._visit = visit
        self._movement = movement
        self.length = source.length
        self.offset = source.offset
        self.size = source.size
        self.fileno = source.fileno

    def read_into(self, buffer: memoryview) -> int:
        """Read on."""
        count = self._source.read_into(buffer)
        self._movement.done += count
        return count

    def advance(self, count: int) -> None:
        """Go on by what was taken by way of the descriptor."""
        self._source.advance(count)
        self._movement.done += count

    def close(self) -> None:
        """Close the source."""
        self._source.close()
        self._visit.end(self._movement, whole=self._movement.is_whole)
