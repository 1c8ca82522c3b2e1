# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling what the appliance is doing: the status file, and a line for systemd.

One thread waits for news, a few times a second at most, and writes what is different then.
"""

import logging
import math
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from appliance import places
from appliance.errors import ApplianceError
from appliance.mtp.monitor import NOBODY, Monitor
from appliance.mtp.ports import Change, ChangeKind
from appliance.services.concerns import (
    Facts,
    concerns,
    log_news,
    read_date,
    read_failures,
    read_room,
    read_taken_back,
    watch_failures,
)
from appliance.services.headline import headline, page_address
from appliance.services.notify import is_heard, notify
from appliance.services.shelves import Shelves
from appliance.services.status_file import StatusFile, versions
from appliance.services.throughput import Sample, Throughput
from appliance.services.traffic import MOVING, Traffic, rest_after
from appliance.settings.store import Reading
from appliance.status import Status, StorageStatus, Warning
from appliance.storage import Catalogue
from appliance.storage.watch import Watch
from appliance.values import dataclass, field, replace

if TYPE_CHECKING:
    from appliance.services.air import Air
    from appliance.services.cable import CableState, CableWatch, Obstacle

log = logging.getLogger(__name__)

#: Seconds in which a start tells nothing of itself, for that would make it longer.
_START = 5.0
#: Seconds that the thread has to end; one that waits for a disk is left behind.
_PATIENCE = 2.0
_ALARM = select.POLLPRI | select.POLLERR
_AWAY = {"ejected", "locked"}
_OF_STORAGES = {ChangeKind.STORAGE_ADDED, ChangeKind.STORAGE_REMOVED, ChangeKind.STORAGE_INFO}


@dataclass(frozen=True, slots=True)
class Told:
    """What others tell the reporter; it is replaced as a whole."""

    ready: bool = False
    page: str = ""
    wifi: str = ""
    settings_errors: Sequence[str] = ()
    from_good_copy: bool = False
    failed: Sequence[ApplianceError] = ()
    unreached: Sequence[ApplianceError] = ()


@dataclass(slots=True)
class Places:
    """Where the reporter looks and writes; `file` None: nowhere. `state` is what must have room."""

    file: StatusFile | None
    failures: Path = field(default_factory=lambda: places.FAILURES)
    taken_back: Path = field(default_factory=lambda: places.TAKEN_BACK)
    installed: Path = field(default_factory=lambda: places.RELEASE)
    root: Path = Path("/")
    state: Path | None = None


class Reporter:
    """Reports while it is entered. Its methods are for any thread.

    `name` gives the device's name. Where nobody reads or hears what there is to tell, it rests.
    """

    def __init__(self, catalogue: Catalogue, name: Callable[[], str], places: Places) -> None:
        self._file = places.file
        self._places = places
        self._name = name
        self._shelves = Shelves(catalogue)
        self._traffic = Traffic(self._wake)
        self._throughput = Throughput()
        self._is_useful = self._file is not None or is_heard()
        self._told = Told()
        self._telling = threading.Lock()
        self._cable: CableWatch | None = None
        self._air: Air | None = None
        self._started = time.time()
        self._versions = versions()
        self._written: Status | None = None
        self._line = ""
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_awake = False
        self._over, self._begun = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="status", daemon=True)
        if self._is_useful:
            catalogue.listen(self._changed)
            catalogue.watch_unsafe(self._wake)

    def __enter__(self) -> Self:
        if self._is_useful:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._begun.set()
        self._wake()
        if self._is_useful:
            self._thread.join(_PATIENCE)
        if self._file is not None:
            self._file.close()

    @property
    def monitor(self) -> Monitor:
        """What the responder is to tell of what initiators do."""
        return self._traffic if self._is_useful else NOBODY

    def history(self) -> list[Sample]:
        """Say how fast content has moved over the last minutes."""
        return self._throughput.told()

    @property
    def is_alive(self) -> bool:
        """Whether it reports, as far as it is to."""
        return self._thread.is_alive() or not self._is_useful

    def ready(self) -> None:
        """Note that all is served now."""
        self._tell(ready=True)
        self._begun.set()

    def settings_read(self, reading: Reading) -> None:
        """Note what was found in the settings file, and what it says."""
        self._tell(
            settings_errors=tuple(reading.findings.errors),
            from_good_copy=reading.from_good_copy,
            page=page_address(reading.settings),
            wifi=reading.settings.wifi_network,
        )

    def storages_failed(self, errors: Sequence[ApplianceError]) -> None:
        """Note which storages cannot be served."""
        self._tell(failed=tuple(errors))

    def addresses_failed(self, errors: Sequence[ApplianceError]) -> None:
        """Note where it cannot be served beside USB."""
        self._tell(unreached=tuple(errors))

    def serves_usb(self, controller: str, obstacle: "Obstacle | None", *, alone: bool) -> None:
        """Watch a cable: the controller of that name, or the first; `alone`: no other road."""
        if self._is_useful:
            # Without USB it is not needed.
            from appliance.services.cable import CableWatch  # noqa: PLC0415

            self._cable = CableWatch(controller, self._places.root, obstacle, alone=alone)
            self._wake()

    def look(self) -> None:
        """Look whether anything has changed that tells nobody, such as a disk that is gone."""
        self._shelves.expire()
        self._wake()

    def _tell(self, **news: object) -> None:
        with self._telling:
            self._told = replace(self._told, **news)  # type: ignore[arg-type]
        self._wake()

    def _changed(self, change: Change) -> None:
        if change.kind in _OF_STORAGES:
            self._shelves.expire()
            self._wake()

    def _wake(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            os.eventfd_write(self._bell, 1)

    # The thread

    def _work(self) -> None:
        self._begun.wait(_START)
        with ExitStack() as stack:
            failures, is_late, pause = None, True, 0.0
            while not self._over.is_set():
                if is_late and self._told.ready:  # not before: it takes a tenth of a start
                    is_late, pause = False, 0.0
                    failures = watch_failures(self._places.failures, stack)
                self._sleep(pause, failures)
                begun = time.monotonic()
                try:
                    again = self._report()
                except Exception:
                    log.exception("DEFECT  the status")
                    again = math.inf
                took = time.monotonic() - begun
                if self._over.wait(rest_after(took)):
                    break
                pause = again - MOVING
            if self._cable is not None:
                self._cable.close()

    def _sleep(self, pause: float, failures: Watch | None) -> None:
        """Wait for news, or until it is time to look."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        if self._cable is not None and self._cable.fileno() >= 0:
            poll.register(self._cable.fileno(), _ALARM)
        if failures is not None:
            poll.register(failures.fileno(), select.POLLIN)
        poll.poll(None if pause == math.inf else max(0.0, pause) * 1000)
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        self._is_awake = False  # after the read: whoever rings from now on is heard
        if failures is not None:
            for _ in failures.read():
                pass

    def _report(self) -> float:
        """Tell what is so; in how many seconds to look again."""
        now = time.monotonic()
        transfers, pause = self._traffic.transfers(now)
        self._throughput.look(self._traffic.moved(), moving=bool(transfers))
        storages, due = self._shelves.look(now, moving=bool(transfers))
        cable = None if self._cable is None else self._cable.look(self._traffic.where)
        status = replace(
            self._rest(storages, cable),
            sessions=self._traffic.sessions(),
            transfers=transfers,
            recent=self._traffic.recent(),
            totals=self._traffic.totals,
            unsafe=self._shelves.unsafe(),
        )
        self._write(status)
        return min(pause, due, math.inf if cable is None else cable.again)

    def _rest(self, storages: tuple[StorageStatus, ...], cable: "CableState | None") -> Status:
        told = self._told
        facts = Facts(
            storages,
            told.failed,
            told.settings_errors,
            told.from_good_copy,
            unreached=told.unreached,
            wifi=self._look_at_wifi(told.wifi),
            failures=read_failures(self._places.failures),
            unwatched=self._shelves.unwatched,
            trouble=self._shelves.trouble,
            state_free=read_room(self._places.state),
            taken_back=read_taken_back(self._places.taken_back),
            installed=read_date(self._places.installed),
            now=time.time(),
        )
        status = Status(
            ready=told.ready,
            started=self._started,
            name=self._name(),
            storages=storages,
            ejected=bool(storages) and {each.state for each in storages} <= _AWAY,
            versions=self._versions,
        )
        if cable is not None:
            facts = replace(facts, usb=cable.usb, holder=cable.holder, obstacle=cable.obstacle)
            facts = replace(facts, is_missing=cable.is_missing)
            status = replace(status, usb=cable.usb, page=told.page)
        return replace(status, warnings=concerns(facts))

    def _look_at_wifi(self, network: str) -> Warning | None:
        if network and self._air is None:
            from appliance.services.air import Air  # noqa: PLC0415 - where there is one alone

            self._air = Air(self._places.root)
        return None if self._air is None else self._air.look(network)

    def _write(self, status: Status) -> None:
        if status == self._written:
            return
        log_news(() if self._written is None else self._written.warnings, status.warnings)
        self._written = status
        if self._file is not None:
            self._file.write(replace(status, written=time.time()))
        line = headline(status)
        if status.ready and line != self._line:
            self._line = line
            notify(f"STATUS={line}")
