# SPDX-License-Identifier: GPL-3.0-or-later
"""For how many days each object has been in the trash, as far as they were seen to pass.

    {"version": 1, "seen": [20785, 20786], "kept": {"holiday.jpg/0123456789abcdef": 2}}

`.mtp-appliance/trash/days.json`: days that were counted, as the clock called them (since 1970), and
how many each object has been there for. An object is known by its name there and by the number of
its deletion, from its note; so what comes later by the same name begins anew, whatever the file
still says, and whenever the power went. The dates in the notes are not asked: a board without a
clock of its own starts at any time, and a wrong clock must delete nothing. So a day counts once,
when the clock names it for the first time, and a start of the program counts one at most, as does
each day that it runs. A file that cannot be read, or written, only makes the days longer.
"""

import logging
import math
import os
import time
from collections.abc import Collection, Mapping
from contextlib import suppress

from appliance.values import dataclass, field

log = logging.getLogger(__name__)

_DAY = 86_400
#: Seconds that a run lasts at least between two days that it counts.
_LEAST = 20 * 3600
#: Days that are known again, where the clock goes back to them.
_MOST_SEEN = 60
_NAME, _DRAFT = b"days.json", b"days.json.new"
_MAX_SIZE = 16 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: What reading says of a file that is not what this module writes.
_NO_DAYS = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class TrashPolicy:
    """How long deleted objects are kept.

    For `days` that were seen to pass, as long as all of them together take at most a `share` of the
    storage's capacity, are at most `count`, and nobody needs the space. `replaced`: whether files
    that an upload replaces are kept too.
    """

    days: int = 30
    share: float = 0.1
    count: int = 10_000
    replaced: bool = True

    def excess(
        self, kept: Collection[tuple[bytes, int]], limit: int, too_old: Collection[bytes]
    ) -> list[bytes]:
        """Say what is too old or too much; `kept`: names and bytes, the oldest first."""
        size, count = sum(each for _, each in kept), len(kept)
        names = []
        for name, each in kept:
            if size > limit or count > self.count or name in too_old:
                names.append(name)
                size, count = size - each, count - 1
        return names


@dataclass(frozen=True, slots=True)
class _Days:
    """What the file says."""

    seen: tuple[int, ...] = ()
    kept: Mapping[bytes, int] = field(default_factory=dict)


class DayCounter:
    """Counts days for the trash of one storage, as long as the program runs."""

    def __init__(self) -> None:
        self._not_before = -math.inf

    def count(self, trash_fd: int, names: Collection[bytes]) -> dict[bytes, int]:
        """Say for how many days each object has been there, in the trash whose directory it is.

        `names` have never been another object's.
        """
        known, now, today = _read(trash_fd), time.monotonic(), int(time.time()) // _DAY
        if not names or today in known.seen or now < self._not_before:
            return {name: known.kept.get(name, 0) for name in names}
        self._not_before = now + _LEAST
        kept = {name: known.kept.get(name, -1) + 1 for name in names}
        _write(trash_fd, _Days((*known.seen, today)[-_MOST_SEEN:], kept))
        return kept


def _read(trash_fd: int) -> _Days:
    import json  # noqa: PLC0415 - not before something is in a trash

    try:
        fd = os.open(_NAME, _READ, dir_fd=trash_fd)
    except OSError:
        return _Days()
    with (
        os.fdopen(fd, "rb") as file,
        suppress(OSError, *_NO_DAYS),
    ):
        said = json.loads(file.read(_MAX_SIZE))
        kept = {os.fsencode(name): int(days) for name, days in said["kept"].items()}
        return _Days(tuple(map(int, said["seen"])), kept)
    return _Days()


def _write(trash_fd: int, days: _Days) -> None:
    import json  # noqa: PLC0415 - as above

    kept = {os.fsdecode(name): count for name, count in days.kept.items()}
    text = json.dumps({"version": 1, "seen": days.seen, "kept": kept})
    try:
        fd = os.open(_DRAFT, _WRITE, 0o600, dir_fd=trash_fd)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(fd)
        os.rename(_DRAFT, _NAME, src_dir_fd=trash_fd, dst_dir_fd=trash_fd)
    except OSError as error:
        log.info("TRASH   a day is not counted: %s", error.strerror)
