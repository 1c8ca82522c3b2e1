# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays patterns on lights, in a thread that sleeps while nothing changes."""

import logging
import threading
from collections.abc import Sequence

from appliance.leds.board import Light
from appliance.leds.patterns import Pattern, Step

log = logging.getLogger(__name__)

_DARK: tuple[Step, ...] = ((False, threading.TIMEOUT_MAX),)


class Player:
    """Shows a pattern, and before it something once."""

    def __init__(self, lights: Sequence[Light]) -> None:
        self._lights = [_Tried(light) for light in lights]
        self._changed = threading.Condition()
        self._steps: Sequence[Step] = _DARK
        self._once: Sequence[Step] = ()
        self._version = 0
        self._over = False
        self._thread = threading.Thread(target=self._play, name="lights", daemon=True)
        self._thread.start()

    def show(self, pattern: Pattern) -> None:
        """Show a pattern from now on; what is shown once comes to its end first."""
        with self._changed:
            if self._steps is not pattern.value.steps:
                self._steps = pattern.value.steps
                if not self._once:
                    self._again()

    def show_once(self, steps: Sequence[Step]) -> None:
        """Show something once, then the pattern again; nothing: the pattern at once."""
        with self._changed:
            self._once = steps
            self._again()

    @property
    def is_alive(self) -> bool:
        """Whether it plays; a light that stays as it was says what is not so."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Go dark."""
        with self._changed:
            self._over = True
            self._again()
        self._thread.join()
        for light in self._lights:
            light.close()

    def _again(self) -> None:
        self._version += 1
        self._changed.notify_all()

    def _play(self) -> None:
        with self._changed:
            while not self._over:
                version = self._version
                once = self._once
                if self._play_through(once or self._steps, version) and self._once is once:
                    self._once = ()

    def _play_through(self, steps: Sequence[Step], version: int) -> bool:
        """Play steps; whether to their end, with nothing else to play meanwhile."""
        for lit, seconds in steps:
            self._light(lit=lit)
            limit = min(seconds, threading.TIMEOUT_MAX)
            if self._changed.wait_for(lambda: self._version != version, limit):
                return False
        return True

    def _light(self, *, lit: bool) -> None:
        for light in self._lights:
            light.show(lit=lit)


class _Tried:
    """A light that may fail, and is tried again; the log has when it begins to, and when it works.

    It works once it has been lit and dark, for it may fail at one of the two alone.
    """

    def __init__(self, light: Light) -> None:
        self._light = light
        self._owed: set[bool] = set()
        self.close = light.close

    def show(self, *, lit: bool) -> None:
        try:
            self._light.show(lit=lit)
        except OSError as error:
            if self._begins_to_fail():
                log.warning("LED     cannot be lit: %s", error)
        except Exception:  # what a library of pins raises, which `board` alone knows
            if self._begins_to_fail():
                log.exception("LED     cannot be lit")
        else:
            self._note_shown(lit=lit)

    def _begins_to_fail(self) -> bool:
        begins = not self._owed
        self._owed = {True, False}
        return begins

    def _note_shown(self, *, lit: bool) -> None:
        if self._owed:
            self._owed.discard(lit)
            if not self._owed:
                log.info("LED     works again")
