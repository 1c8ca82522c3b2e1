# SPDX-License-Identifier: GPL-3.0-or-later
"""What has happened in watched folders, put together until it is quiet.

Many things happen to a file within a moment: an editor writes a new file beside the old one and
renames it over that; a program writes a thousand times. What counts is where each thing was when
the moment began, and where it is at the end. So for each place that something happened at, this
keeps the place where what is there now was at the beginning.

| happens                            | what is at the place now                                   |
|------------------------------------|------------------------------------------------------------|
| created                            | nothing from before: it is new                             |
| deleted, or moved where none looks | nothing                                                    |
| moved from another place           | what was at that place at the beginning of the moment      |
| moved from where nobody looks      | something new, whole                                       |
| closed after writing, dates        | what was there, changed                                    |
| written                            | what was there, growing: told from time to time, until     |
|                                    | it is closed                                               |

No input or output: what is on the disk and what was known before is looked at by who takes a
`Moment`. Times are seconds of one clock that never goes back.
"""

import math

from appliance.values import dataclass

#: A folder's row and a name in it, as on the disk.
Place = tuple[int, bytes]

#: A moment is over when nothing has happened for this long (s) ...
QUIET = 0.1
#: ... or when it has lasted so long.
LONGEST = 0.3
#: The two halves of a move come one after the other; so long (s) one waits for the second.
PAIRING = 0.05
#: How often (s) a file that grows is told of.
GROWTH = 3.0
#: Places that a moment may have, and files that may grow; beyond, it is over or not looked at.
MOST_PLACES = 4096
_MOST_GROWING = 256


@dataclass(frozen=True, slots=True)
class Moment:
    """What came of a moment.

    `moves` are pairs, from and to. `places` are where something may be otherwise than before, in
    the order in which it began, and whether what is there has changed or is another one.
    """

    moves: tuple[tuple[Place, Place], ...]
    places: tuple[tuple[Place, bool], ...]


@dataclass(frozen=True, slots=True)
class _Departure:
    """The first half of a move: where the thing was at the beginning, if it was known, and when."""

    origin: Place | None
    changed: bool
    growing: float | None


class Changes:
    """Collects what happens; `at` says when that is. Not for several threads at once."""

    def __init__(self, *, most_places: int = MOST_PLACES) -> None:
        self._most_places = most_places
        self._places: dict[Place, Place | None] = {}
        self._changed: set[Place] = set()
        self._growing: dict[Place, float] = {}
        self._departures: dict[int, _Departure] = {}
        self._began = self._last = self._departed = 0.0

    def at(self, now: float) -> None:
        """Say when what comes next has happened."""
        if not self._places:
            self._began = now
        self._last = now

    # What can happen

    def created(self, place: Place) -> None:
        """Take in that something has appeared, perhaps where something was a moment ago."""
        self._appear(place, None, changed=place in self._places)

    def deleted(self, place: Place) -> None:
        """Take in that something is not there any more."""
        self._vanish(place)

    def left(self, place: Place, cookie: int) -> None:
        """Take in the first half of a move."""
        self._departures[cookie] = _Departure(
            self._places.get(place, place), place in self._changed, self._growing.get(place)
        )
        self._departed = self._last
        self._vanish(place)

    def came(self, place: Place, cookie: int) -> None:
        """Take in the second half of a move; without a first one it came from elsewhere."""
        departure = self._departures.pop(cookie, None)
        if departure is None:
            self._appear(place, None, changed=True)
            return
        # Back where it was, it may be another one: two that are exchanged look like that.
        changed = departure.changed or departure.origin in (None, place)
        self._appear(place, departure.origin, changed=changed)
        if departure.growing is not None:
            self._growing[place] = departure.growing

    def written(self, place: Place) -> None:
        """Take in that a file is being written."""
        if place not in self._growing and len(self._growing) < _MOST_GROWING:
            self._growing[place] = self._last

    def closed(self, place: Place) -> None:
        """Take in that a file has been closed by who could write."""
        self._growing.pop(place, None)
        self.altered(place)

    def altered(self, place: Place) -> None:
        """Take in that dates or permissions are others."""
        self._places.setdefault(place, place)
        self._changed.add(place)

    # The end of a moment

    def due_at(self) -> float:
        """Say when to `take`; infinity where nothing has happened."""
        grown = min(self._growing.values(), default=math.inf) + GROWTH
        if not self._places:
            return grown
        if len(self._places) >= self._most_places:
            return self._last
        over = min(self._last + QUIET, self._began + LONGEST)
        if self._departures:
            over = max(over, min(self._departed + PAIRING, self._began + 2 * LONGEST))
        return min(over, grown)

    def take(self, now: float) -> Moment:
        """End the moment; what came of it."""
        moves = tuple(
            (origin, place)
            for place, origin in self._places.items()
            if origin is not None and origin != place
        )
        for place in self._take_grown(now):
            self.altered(place)
        places = tuple((place, place in self._changed) for place in self._places)
        self._places.clear()
        self._changed.clear()
        self._departures.clear()
        return Moment(moves, places)

    def hand_over(self, folder: int, new: int) -> None:
        """Let files that grow in a folder, between two moments, do so in another row's."""
        for place in [each for each in self._growing if each[0] == folder]:
            self._growing[new, place[1]] = self._growing.pop(place)

    def clear(self) -> None:
        """Forget everything, because some of it was lost."""
        self.take(-math.inf)
        self._growing.clear()

    def _take_grown(self, now: float) -> list[Place]:
        grown = [place for place, since in self._growing.items() if since + GROWTH <= now]
        for place in grown:
            del self._growing[place]
        return grown

    def _appear(self, place: Place, origin: Place | None, *, changed: bool) -> None:
        self._places[place] = origin
        self._growing.pop(place, None)
        if changed:
            self._changed.add(place)
        else:
            self._changed.discard(place)

    def _vanish(self, place: Place) -> None:
        """Note that nothing is there; should there be something all the same, it is another one."""
        self._places[place] = None
        self._growing.pop(place, None)
        self._changed.add(place)
