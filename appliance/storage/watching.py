# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that follows what happens on the disk, and tells of what nobody here has done.

It waits for the kernel's events and puts them together until a moment is over. Then the table is
made what the disk is, and listeners are told. A session that is about to look at the disk does not
wait for that: it lets the table `catch_up` first, so that it does not take a move for two objects.
The kernel's queue is read with the store's lock held: then the table has what we did ourselves.
"""

import logging
import math
import os
import select
import threading
import time
from collections import deque
from contextlib import AbstractContextManager, suppress

from appliance.mtp.errors import MtpError
from appliance.mtp.ports import ChangeKind
from appliance.storage.announcing import nothing
from appliance.storage.changes import Changes, Place
from appliance.storage.followed import Followed
from appliance.storage.lookup import Lookup
from appliance.storage.reconciling import Reconciler
from appliance.storage.space import Space
from appliance.storage.watch import Event, Kind, Watch, warn_unwatched
from appliance.storage.watcher import Unwatched

log = logging.getLogger(__name__)

#: Seconds between two readings of the kernel's queue, which drops repetitions meanwhile.
_BREATH = 0.02
#: Readings that empty the kernel's queue, however long the names in it are.
_READINGS = 80
#: Places, or folders, that are looked at in one holding of the lock.
_SLICE = 64
#: How much (s) clocks and file systems may differ in what is now.
_SLACK = 2.0


class Watching:
    """The `Watcher` of the store, with its thread. `start` and `stop` are called once, unlocked."""

    def __init__(
        self,
        lookup: Lookup,
        lock: AbstractContextManager[object],
        changes: Changes | None = None,
    ) -> None:
        self._lookup = lookup
        self._lock = lock
        self._watch = Watch()
        self._followed = Followed(self._watch)
        self._changes = changes or Changes()
        self._reconciler = Reconciler(lookup)
        self._places: deque[tuple[Place, bool]] = deque()
        self._folders: deque[tuple[int, float]] = deque()
        self._heard = time.time()
        self._space = Space(lambda each: lookup.volume(each).record())
        self._alarm = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._alarm, select.POLLIN)
        self._mounts = lookup.mounts.watch(self._poll)
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        for volume in self._lookup.volumes:
            self._space.touch(volume.storage_id, time.monotonic())
        self._lookup.announcements.on_waiting = self.wake
        self._lookup.watcher = self
        self._thread.start()

    @property
    def refusal(self) -> str:
        """Why some folders are not watched; "" while all are."""
        return self._watch.refusal

    def stop(self) -> None:
        """End the thread and all watches; what was noted until then is told."""
        self._is_ending = True
        self.wake()
        self._thread.join()
        with self._lock:
            self._lookup.watcher = Unwatched()
            self._lookup.announcements.on_waiting = nothing
            self._watch.close()
            os.close(self._alarm)

    def wake(self) -> None:
        """Let the thread look what there is to do; for any thread."""
        os.eventfd_write(self._alarm, 1)

    # What the table asks for, with the lock held

    def follow(self, folder: int, fd: int) -> None:
        """Watch a folder, open as `fd`, from now on."""
        if self._watch.is_open or self._open():
            self._followed.add(folder, fd)

    def unfollow(self, folder: int) -> None:
        """Watch a folder no more."""
        self._followed.remove(folder)

    def hand_over(self, folder: int, new: int) -> None:
        """Watch a folder for another row, and let what has begun in it go on there."""
        self._followed.hand_over(folder, new)
        self._changes.hand_over(folder, new)

    def catch_up(self) -> None:
        """Bring the table up to what has happened until now."""
        for _ in range(_READINGS):  # who makes more all the while is not waited for
            if not self._drain():
                break
        self._end_moment()
        while self._look_on():
            pass

    def look_again(self, folder: int, name: bytes) -> None:
        """Look at a name in a folder soon."""
        self._places.append(((folder, name), False))
        self.wake()

    def look_over(self, folder: int) -> None:
        """Look all over a folder soon, which may be another directory now."""
        self._folders.append((folder, math.inf))
        self.wake()

    def touch(self, storage_id: int) -> None:
        """Look at a storage's free space soon."""
        if self._space.touch(storage_id, time.monotonic()):
            self.wake()

    def _open(self) -> bool:
        """Begin with the first folder; where the system does not let us, do without for good."""
        try:
            self._watch.open()
        except OSError as error:
            self._lookup.watcher = Unwatched(warn_unwatched("all folders are", error))
            return False
        self._poll.register(self._watch, select.POLLIN)
        self.wake()  # the thread waits for what it knew of
        return True

    # The thread

    def _run(self) -> None:
        while not self._is_ending:
            try:
                woken_by = [fd for fd, _ in self._poll.poll(self._patience())]
                if self._mounts in woken_by:
                    self._look_at_mounts()
                self._turn()
            except Exception:
                log.exception("DEFECT  in following changes")
            time.sleep(_BREATH)
        self._lookup.announcements.deliver()

    def _look_at_mounts(self) -> None:
        with self._lock:
            self._lookup.look_at_mounts()

    def _patience(self) -> float | None:
        """How long (ms) there is nothing to do, unless something happens; None for ever."""
        with self._lock:
            due = min(self._changes.due_at(), self._space.due_at())
        return None if due == math.inf else max(0, math.ceil((due - time.monotonic()) * 1000))

    def _turn(self) -> None:
        """Read what has happened, and do what is due."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._alarm)
        while not self._listen():
            pass
        is_more = True
        while is_more:
            with self._lock:
                is_more = self._look_on() or self._look_over()
            self._lookup.announcements.deliver()
        self._look_at_space()

    def _listen(self) -> bool:
        """Read a part of what has happened; whether that was all, or a moment is over."""
        with self._lock:
            is_any = self._drain()
            is_over = self._changes.due_at() <= time.monotonic()
            if is_over:
                self._end_moment()
        return is_over or not is_any

    def _look_at_space(self) -> None:
        with self._lock:
            for storage_id in self._space.changed(time.monotonic()):
                self._lookup.announcements.tell(ChangeKind.STORAGE_INFO, storage_id)
        self._lookup.announcements.deliver()

    # The pieces, with the lock held

    def _drain(self) -> bool:
        """Take in a part of what has happened; whether there was anything."""
        is_any = False
        heard = time.time()
        for event in self._watch.read():
            if not is_any:
                self._changes.at(time.monotonic())
            is_any = True
            self._take_in(event)
        if not is_any and not self._folders:
            self._heard = heard
        return is_any

    def _take_in(self, event: Event) -> None:
        if event.kind is Kind.OVERFLOWED:
            self._look_everywhere()
            return
        rows = self._followed.rows(event.watch)
        if event.kind is Kind.ENDED:
            self._followed.ended(event.watch)
            self._folders.extend((row, math.inf) for row in rows)
        elif event.name:
            for row in rows:
                self._collect(event.kind, (row, event.name), event.cookie)

    def _collect(self, kind: Kind, place: Place, cookie: int) -> None:
        match kind:
            case Kind.WRITTEN:
                self._changes.written(place)
            case Kind.CREATED:
                self._changes.created(place)
            case Kind.CLOSED:
                self._changes.closed(place)
            case Kind.ALTERED:
                self._changes.altered(place)
            case Kind.DELETED:
                self._changes.deleted(place)
            case Kind.LEFT:
                self._changes.left(place, cookie)
            case Kind.CAME:
                self._changes.came(place, cookie)

    def _look_everywhere(self) -> None:
        """Begin anew after events were lost: what is different is found by looking."""
        log.info("RESCAN  %d folders: more has happened than was told", len(self._followed))
        self._changes.clear()
        self._places.clear()
        self._folders.clear()
        self._folders.extend((row, self._heard - _SLACK) for row in self._followed)

    def _end_moment(self) -> None:
        """Take rows along to where their objects went, and set the rest on the list."""
        moment = self._changes.take(time.monotonic())
        arrived = self._reconciler.move(moment.moves)
        others = {target for _, target in moment.moves} - arrived
        self._places.extend((place, changed or place in others) for place, changed in moment.places)
        for folder in {place[0] for place, _ in moment.places}:
            self._touch_above(folder)

    def _look_on(self) -> bool:
        """Look at some of the places on the list; whether there were any."""
        for _ in range(_SLICE):
            if not self._places:
                return False
            place, changed = self._places.popleft()
            self._reconciler.look(place, changed=changed)
        return True

    def _look_over(self) -> bool:
        """Look all over one of the folders on the list; whether there was one."""
        if not self._folders:
            return False
        self._reconciler.look_all_over(*self._folders.popleft())
        return True

    def _touch_above(self, folder: int) -> None:
        with suppress(MtpError):
            volume = self._lookup.volume_above(self._lookup.folder_now(folder))
            self._space.touch(volume.storage_id, time.monotonic())
