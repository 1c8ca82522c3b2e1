# SPDX-License-Identifier: GPL-3.0-or-later
"""The trash of a storage: what a PC has deleted or replaced, kept for a while.

Into the trash: the note is brought to the disk, then one rename. Out for good: one rename into
`expunged`, then the removal. So a power cut at any point leaves the object in one place; a note
without an object is removed at the next start, and an object without a note has lost its path only.
Of each object a number and a time are in memory, read anew when another program has been there.
"""

import logging
import os
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial

from appliance.mtp.errors import MtpError
from appliance.storage import syscalls, trash_info, trash_place
from appliance.storage.directories import Directories, Names, entries, keep, sync
from appliance.storage.names import is_component
from appliance.storage.removal import AT_ONCE, Allowance, clear_away
from appliance.storage.room import with_room
from appliance.storage.scanning import ScanMark
from appliance.storage.trash_days import DayCounter, TrashPolicy
from appliance.storage.trash_info import TrashInfo
from appliance.storage.trash_place import FILES, INFO, TOP, Place, Slot, describe
from appliance.values import dataclass, replace

log = logging.getLogger(__name__)

#: Seconds by which the clock must have been set for a note to get another date.
_CLOCK_SET = 3600.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """An object in the trash: when it came, its bytes, and the number of its deletion.

    `dated` is what we have written into its note in this run; then `since` is by the clock that
    nobody sets. None where the note is older; then `since` is what it says.
    """

    since: float
    size: int
    deletion: bytes
    dated: float | None = None

    def known_as(self, name: bytes) -> bytes:
        """What it is called where days are counted: no object before or after it is called so."""
        return b"%s/%s" % (name, self.deletion) if self.deletion else name


class Trash:
    """The trash of one storage. `lock` is held while it is looked at or changed.

    `policy` None: nothing comes in any more, and what is there stays until it is emptied. `sweep`
    has the rest removed of what was too much to be removed at once.
    """

    def __init__(
        self,
        directories: Directories,
        lock: AbstractContextManager[object],
        policy: TrashPolicy | None,
        *,
        sweep: Callable[[], None],
    ) -> None:
        self.policy = policy
        self._sweep = sweep
        self._directories = directories
        self._lock = lock
        self._kept: dict[bytes, _Kept] = {}  # the oldest first
        self._size = 0
        self._mark: ScanMark | None = None
        self._complained = False
        self._days = DayCounter()

    @property
    def size(self) -> int:
        """Bytes that the storage would get back; 0 where no trash is kept."""
        if self.policy is None:
            return 0
        with self._lock:
            self._refresh()
            return self._size

    @property
    def limit(self) -> int:
        """Bytes that the trash may take."""
        with self._lock:
            space = os.fstatvfs(self._directories.get())
        return int(self.policy.share * space.f_blocks * space.f_frsize) if self.policy else 0

    # In

    def make(self, held: ExitStack) -> Place:
        """Open the trash, made if need be; `clean` leaves it alone meanwhile. Raises OSError."""
        with self._lock:
            is_new = trash_place.make(self._directories.get())
            place = trash_place.open_all(self._directories, held)
            if is_new:
                self._begin_empty(place.files)
            return place

    def reserve(self, path: Names, size: int, place: Place) -> Slot:
        """Write the note of an object that is to come. Raises OSError, ValueError."""
        info = TrashInfo(path, time.time(), size, os.urandom(8).hex().encode())
        return with_room(self.expunge_oldest, partial(trash_place.write_note, place, info))

    def put(self, slot: Slot, source_fd: int, source: bytes) -> None:
        """Let an object take its slot, in one step. Raises OSError."""
        with self._lock:
            was_current = self._mark is not None and self._mark.is_current(slot.place.files)
            syscalls.rename_new(source_fd, source, slot.place.files, slot.name)
            info, size = slot.info, slot.info.size or 0
            self._kept[slot.name] = _Kept(time.monotonic(), size, info.deletion, info.deleted)
            self._size += size
            self._settle(slot.place.files, was_current=was_current)

    # Out

    def open(self, held: ExitStack) -> Place | None:
        """Open the trash; None where there is none."""
        with self._lock, suppress(OSError):
            return trash_place.open_all(self._directories, held)
        return None

    def take_out(self, place: Place, name: bytes, target_fd: int, target: bytes) -> None:
        """Let an object leave for a free name elsewhere, in one step. Raises OSError."""
        with self._lock:
            was_current = self._mark is not None and self._mark.is_current(place.files)
            syscalls.rename_new(place.files, name, target_fd, target)
            kept = self._kept.pop(name, None)
            self._size -= kept.size if kept else 0
            self._settle(place.files, was_current=was_current)

    def expunge(self, name: bytes, allowance: Allowance | None = None) -> bool:
        """Remove one object for good, or begin to; False where it has gone or cannot go."""
        if not is_component(name):
            return False
        with ExitStack() as held:
            out = os.urandom(8).hex().encode()
            try:
                place = self.make(held)
                self.take_out(place, name, place.expunged, out)
            except OSError as error:
                log.info("TRASH   %a stays: %s", name, error.strerror)
                with self._lock:
                    self._mark = None
                return False
            trash_info.remove(place.info, name)
            clear_away(place.expunged, out, allowance)
            return True

    def names(self) -> list[bytes]:
        """List what is in it, the oldest first."""
        with self._lock:
            self._refresh()
            return list(self._kept)

    def expunge_oldest(self) -> bool:
        """Make some room, first by what has begun to go; False where there is none to be made."""
        return self.clear() or (self.policy is not None and any(map(self.expunge, self.names())))

    def clear(self) -> bool:
        """Bring to an end what is going for good; whether there was anything."""
        with ExitStack() as held, suppress(OSError, MtpError):
            with self._lock:
                root_fd = keep(self._directories.get(), held)
            return trash_place.clear_expunged(root_fd, Allowance())
        return False

    def purge(self) -> int:
        """Remove for good what the policy does not keep any longer; how many went."""
        self._correct_dates()
        return sum(map(self.expunge, self._excess(self._too_old())))

    def keep_within_policy(self) -> None:
        """Remove what is too much, after something has come in; what fails is for the next time.

        A PC waits: so of large trees the most is removed later.
        """
        with suppress(OSError, MtpError):
            self._correct_dates()
            allowance = Allowance(AT_ONCE)
            for name in self._excess():
                self.expunge(name, allowance)
            if allowance.remains:
                self._sweep()

    def complain(self, error: OSError | ValueError) -> None:
        """Say, once, that something could not be put into the trash."""
        why = error.strerror if isinstance(error, OSError) else error
        level = logging.DEBUG if self._complained else logging.WARNING
        log.log(level, "TRASH   does not work; what is deleted is gone for good: %s", why)
        self._complained = True

    def _correct_dates(self) -> None:
        """Give the notes of this run their true dates, after the clock has been set.

        A board without a clock of its own starts in the past. What is deleted before it knows the
        time would look old at its next start, and be gone. The lock is free while the disk is
        waited for.
        """
        with ExitStack() as held:
            with self._lock:
                offset = time.time() - time.monotonic()
                wrong = {
                    name: kept
                    for name, kept in self._kept.items()
                    if kept.dated is not None and abs(kept.since + offset - kept.dated) > _CLOCK_SET
                }
                place = self.open(held) if wrong else None
            if place is not None:
                dates = {name: kept.since + offset for name, kept in wrong.items()}
                for name, draft in trash_info.drafts(place.info, dates):
                    with self._lock:
                        if self._kept.get(name) is wrong[name]:
                            trash_info.put_in_place(place.info, draft, name)
                            self._kept[name] = replace(wrong[name], dated=dates[name])
                    trash_info.remove(place.info, draft)
                sync(place.info)

    def _too_old(self) -> set[bytes]:
        with self._lock, suppress(OSError, MtpError):
            self._refresh()
            if self.policy is not None and self._kept:
                names = {kept.known_as(name): name for name, kept in self._kept.items()}
                days = self._days.count(self._directories.get(TOP), names)
                old = {names[each] for each, count in days.items() if count >= self.policy.days}
                return set(filter(self._is_the_known_one, old))
        return set()

    def _is_the_known_one(self, name: bytes) -> bool:
        """Whether no other program has put another object there by the same name."""
        info = trash_info.read(self._directories.get(INFO), name)
        if info.deletion == self._kept[name].deletion:
            return True
        del self._kept[name]
        self._mark = None
        return False

    def _excess(self, too_old: Collection[bytes] = ()) -> list[bytes]:
        with self._lock:
            if self.policy is None:
                return []
            self._refresh()
            kept = [(name, each.size) for name, each in self._kept.items()]
            return self.policy.excess(kept, self.limit, too_old)

    # What is known

    def _begin_empty(self, files_fd: int) -> None:
        """Know a directory that we have just made, which need not be read."""
        self._kept.clear()
        self._size = 0
        self._mark = ScanMark.of_new(files_fd)

    def _settle(self, files_fd: int, *, was_current: bool) -> None:
        """Keep what is known in force over a change of our own."""
        if self._mark is not None and was_current:
            self._mark = self._mark.after_own_change(files_fd)

    def _refresh(self) -> None:
        """Read what is in the trash, unless it is known."""
        try:
            fd = self._directories.get(FILES)
            if self._mark is None or not self._mark.is_current(fd):
                mark = ScanMark.take(fd)
                self._read(dict(entries(fd)))
                self._size = sum(each.size for each in self._kept.values())
                self._mark = mark
        except (OSError, MtpError):  # none is there, or it cannot be read
            self._kept.clear()
            self._size = 0
            self._mark = None

    def _read(self, found: dict[bytes, bool]) -> None:
        for name in self._kept.keys() - found.keys():
            del self._kept[name]
        with ExitStack() as held:
            place = trash_place.open_all(self._directories, held)
            for name in sorted(found.keys() - self._kept.keys()):
                self._kept[name] = _read_one(place, name)
        known = self._kept.items()
        self._kept = dict(sorted(known, key=lambda one: (one[1].dated is not None, one[1].since)))


def _read_one(place: Place, name: bytes) -> _Kept:
    """See since when an object is there, as its note says."""
    try:
        info = describe(place, name)
    except OSError:
        return _Kept(time.time(), 0, b"")
    return _Kept(info.deleted or 0, info.size or 0, info.deletion)
