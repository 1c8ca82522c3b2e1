# SPDX-License-Identifier: GPL-3.0-or-later
"""What initiators do, kept for the status: sessions, what moves and how fast, and totals."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable

from appliance import status
from appliance.mtp.monitor import Direction, Movement, Road, Visit
from appliance.status import Finished, Outcome, Session, Totals, Transfer
from appliance.values import dataclass

#: Seconds that a transfer is still told after its end: what moves many small files is one thing.
LINGER = 0.5
#: Seconds between two looks at what moves, and at what has not moved for a while.
MOVING, STALLED = 0.25, 2.0
_DIRECTIONS = {Direction.IN: status.Direction.IN, Direction.OUT: status.Direction.OUT}
#: Roads by the first word of a peer's name; the others are addresses.
_ROADS = {"usb": "usb", "usbredir": "usbredir"}
#: Transfers that are remembered when they are over.
_RECENT = 20
#: How much of a rate comes from the last look.
_FRESH = 0.5
#: The part of the time that telling may take; a slow machine tells less often.
_SHARE = 0.05
#: Seconds after which there is news all the same: a disk that fails keeps waiting who asks it.
_LONGEST = 5.0


@dataclass(slots=True)
class _Record:
    """What one initiator moves, one movement after the other; the rate is that of all of them.

    `past` are bytes of the movements before, `begun` those of this one that had moved earlier.
    `looked` and `ended` are monotonic.
    """

    movement: Movement
    since: float
    looked: float
    begun: int
    past: int = 0
    seen: int = 0
    rate: float = math.nan
    ended: float = math.inf

    def go_on(self, movement: Movement) -> None:
        """Take the next movement."""
        self.ended = math.inf
        if movement is not self.movement:
            self.past = self._count()
            self.movement, self.begun, self.since = movement, movement.done, time.time()

    def look(self, now: float) -> bool:
        """Bring the rate up to date; whether anything has moved."""
        count, elapsed = self._count(), now - self.looked
        moved = count != self.seen
        if elapsed < MOVING / 2 or not (moved or self.ended == math.inf):
            return True
        fresh = (count - self.seen) / elapsed
        mixed = fresh if math.isnan(self.rate) else self.rate + (fresh - self.rate) * _FRESH
        self.rate = mixed if moved or mixed > 1 else 0.0
        self.looked, self.seen = now, count
        return moved or self.rate > 0

    def _count(self) -> int:
        return self.past + self.movement.done - self.begun

    def describe(self) -> Transfer:
        """Say it for the status."""
        movement, done = self.movement, self.movement.done
        total = movement.total
        return Transfer(
            movement.name,
            _DIRECTIONS[movement.direction],
            done,
            None if total is None or total < done else total,
            0.0 if math.isnan(self.rate) else round(self.rate),
            self.since,
        )


@dataclass(slots=True)
class _Count:
    """What has moved one way."""

    files: int = 0
    size: int = 0


class Traffic:
    """The monitor of the responder; `wake` is called, from any thread, when there is news."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._sessions: dict[Visit, float] = {}
        self._records: dict[Visit, _Record] = {}
        self._recent: deque[tuple[Movement, Finished]] = deque(maxlen=_RECENT)
        self._in = _Count()
        self._out = _Count()
        self._road = Road.HIDDEN

    # The monitor

    def visited(self, visit: Visit) -> None:
        """Keep who has a session open."""
        with self._lock:
            if visit.is_open:
                self._sessions.setdefault(visit, time.time())
            else:
                self._sessions.pop(visit, None)
        self._wake()

    def began(self, visit: Visit, movement: Movement) -> None:
        """Keep what moves."""
        now = time.monotonic()
        with self._lock:
            record = self._records.get(visit)
            if record is not None and record.ended + LINGER > now:
                record.go_on(movement)
            else:
                self._records[visit] = _Record(movement, time.time(), now, movement.done)
        self._wake()

    def ended(self, visit: Visit, movement: Movement, *, whole: bool) -> None:
        """Count what has moved."""
        now = time.monotonic()
        count = self._in if movement.direction is Direction.IN else self._out
        with self._lock:
            record = self._records.get(visit)
            if record is not None:
                record.ended = now
                self._remember(movement, record.since, whole=whole)
            count.files += whole
            count.size += movement.done - movement.begun
        self._wake()

    def _remember(self, movement: Movement, since: float, *, whole: bool) -> None:
        """Keep what is over; the parts of one file are one transfer."""
        if self._recent and self._recent[0][0] is movement:
            since = self._recent.popleft()[1].since
        outcome = Outcome.PART if movement.is_part else Outcome.BROKEN_OFF
        finished = Finished(
            movement.name,
            _DIRECTIONS[movement.direction],
            movement.done,
            since,
            time.time(),
            Outcome.WHOLE if whole else outcome,
        )
        self._recent.appendleft((movement, finished))

    def road(self, road: Road) -> None:
        """Keep where the way to the host stands."""
        self._road = road
        self._wake()

    # For the status

    @property
    def where(self) -> Road:
        """Where the way to the host stands."""
        return self._road

    @property
    def totals(self) -> Totals:
        """What has moved since the start."""
        return Totals(self._in.files, self._in.size, self._out.files, self._out.size)

    def recent(self) -> tuple[Finished, ...]:
        """Say which transfers ended last, the newest first."""
        with self._lock:
            return tuple(finished for _, finished in self._recent)

    def moved(self) -> tuple[int, int]:
        """Say how many bytes have moved to the PC and from it, what is under way included."""
        with self._lock:
            going = [each.movement for each in self._records.values() if each.ended == math.inf]
            to_pc, from_pc = (
                sum(each.done - each.begun for each in going if each.direction is direction)
                for direction in (Direction.IN, Direction.OUT)
            )
            return self._in.size + to_pc, self._out.size + from_pc

    def sessions(self) -> tuple[Session, ...]:
        """Say who has a session open, the oldest first."""
        with self._lock:
            sessions = tuple(self._sessions.items())
        return tuple(_session(visit, since) for visit, since in sessions)

    def transfers(self, now: float) -> tuple[tuple[Transfer, ...], float]:
        """Say what moves, and in how many seconds to look again; infinity: when woken."""
        transfers, pause = [], math.inf
        with self._lock:
            for visit, record in tuple(self._records.items()):
                over = record.ended + LINGER
                if over <= now:
                    del self._records[visit]
                    continue
                moves = record.look(now)
                pause = min(pause, MOVING if moves else STALLED, over - now)
                transfers.append(record.describe())
        return tuple(transfers), pause


def _session(visit: Visit, since: float) -> Session:
    road = _ROADS.get(visit.peer.partition(" ")[0])
    if road is not None:
        return Session(road, "", visit.client, since)
    return Session("ptpip", visit.peer, visit.client, since)


def rest_after(took: float) -> float:
    """Say for how many seconds to tell nothing after a look that took so long."""
    return min(max(MOVING, took / _SHARE), _LONGEST)
