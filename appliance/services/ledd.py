# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of the lights: it looks at what the appliance does, and shows it.

It looks four times a second, which costs next to nothing: at the status file's date, at the lock
that its writer holds, and at the directory of failures.
"""

import itertools
import logging
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from appliance import places, status
from appliance.errors import ApplianceError
from appliance.leds import board
from appliance.leds.board import Wiring
from appliance.leds.patterns import Pattern
from appliance.leds.patterns import select as select_pattern
from appliance.leds.player import Player
from appliance.services.notify import notify, notify_reloading
from appliance.services.press import HOLD, Presses
from appliance.services.watchdog import Watchdog
from appliance.settings.schema import Settings
from appliance.settings.store import SettingsFile
from appliance.values import dataclass

log = logging.getLogger(__name__)

#: Seconds between two looks, and how many of them go by until the hardware is looked at.
_OFTEN = 0.25
_SELDOM = 8


@dataclass(frozen=True, slots=True)
class Where:
    """Where things are; `root` is a prefix of the kernel's files, for tests."""

    settings: Path = places.SETTINGS
    status: Path = places.STATUS
    failures: Path = places.FAILURES
    root: Path = Path("/")


def wiring_of(settings: Settings) -> Wiring:
    """Say what is wired how."""
    return Wiring(
        settings.leds_pins,
        settings.leds_active_low,
        settings.leds_pwm,
        settings.leds_brightness,
        settings.leds_board,
        settings.button_pin,
    )


def run(where: Where) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the settings again."""
    with _signals() as signals:
        wiring: Wiring | None = _wiring(where)
        while wiring is not None:
            reached = board.reachable(wiring, where.root)
            with _hardware(wiring, where) as player:
                notify("READY=1")
                wiring = _watch(where, wiring, reached, player, signals)
    notify("STOPPING=1")


def _wiring(where: Where) -> Wiring:
    reading = SettingsFile(where.settings, places.STATE, keeps=False).read()
    for error in reading.findings.errors:
        log.warning("SETTINGS %s: %s", where.settings, error)
    return wiring_of(reading.settings)


@contextmanager
def _hardware(wiring: Wiring, where: Where) -> Iterator[Player]:
    with ExitStack() as stack:
        player = Player(board.lights(wiring, where.root))
        stack.callback(player.close)
        presses = Presses(player, where.status)
        button = board.button(wiring, HOLD, presses.pressed, presses.released, presses.held)
        if button is not None:
            stack.callback(button.close)
        yield player


def _watch(
    where: Where, wiring: Wiring, reached: tuple[str, ...], player: Player, signals: int
) -> Wiring | None:
    """Show what happens until the wiring is another, which is given, or until the end: None.

    The same wiring is given where other hardware than what was `reached` can be had for it.
    """
    watchdog = Watchdog()
    watchdog.watch("the lights", lambda: player.is_alive)
    poll = select.poll()
    poll.register(signals, select.POLLIN)
    looks: object = None
    for count in itertools.count(1):
        watchdog.beat()
        seen = _looks(where)
        if seen != looks:
            looks = seen
            _show(where, player)
        if poll.poll(_OFTEN * 1000):
            number = os.read(signals, 1)[0]
            if number != signal.SIGHUP:
                return None
            with notify_reloading():
                new = _wiring(where)
            if new != wiring:
                return new
        elif count % _SELDOM == 0 and board.reachable(wiring, where.root) != reached:
            return wiring
    return None


def _show(where: Where, player: Player) -> None:
    pattern = _pattern(where)
    log.debug("SHOW    %s", pattern.label)
    player.show(pattern)


def _pattern(where: Where) -> Pattern:
    try:
        found = status.read(where.status)
    except ApplianceError:
        found = None
    return select_pattern(found, _failures(where.failures))


def _failures(folder: Path) -> list[str]:
    with suppress(OSError):
        return [path.name for path in folder.iterdir()]
    return []


def _looks(where: Where) -> object:
    """Tell one state of things from another, cheaply."""
    dates = []
    for path in (where.status, where.failures):
        try:
            found = path.stat()
            dates.append((found.st_mtime_ns, found.st_ino))
        except OSError:
            dates.append((0, 0))
    return (*dates, status.is_kept(where.status))


@contextmanager
def _signals() -> Iterator[int]:
    """Give a file from which the numbers of signals are read."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    wakeup = signal.set_wakeup_fd(writing)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def demonstrate(settings: Settings, seconds: float, root: Path = Path("/")) -> Iterator[Pattern]:
    """Show each pattern for a while; each is given when it begins."""
    lights = board.lights(wiring_of(settings), root)
    if not lights:
        raise ApplianceError(
            "there is no LED to show it on",
            hint="mtp-appliance settings set leds.pins 17; or end what uses the pins",
        )
    player = Player(lights)
    try:
        for pattern in Pattern:
            player.show(pattern)
            yield pattern
            time.sleep(seconds)
    finally:
        player.close()
