# SPDX-License-Identifier: GPL-3.0-or-later
"""The button: a short press ejects or reconnects, a long one resets the settings.

It asks the responder, and for the reset root's helper, where there is one: the responder may not
touch the secrets among the settings. Holding it is answered by blinking that becomes
faster and faster; letting go before its end undoes all of it.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from appliance import places, status
from appliance.control import SOCKET_NAME, ask
from appliance.errors import ApplianceError
from appliance.leds.patterns import DONE, FAILED, Step, countdown
from appliance.leds.player import Player

log = logging.getLogger(__name__)

#: Seconds after which the settings are reset, and after which a press is no short one any more.
HOLD, SHORT = 7.0, 1.0

Ask = Callable[..., Any]


class Presses:
    """What becomes of presses; called by the button's threads."""

    def __init__(
        self,
        player: Player,
        status_path: Path,
        *,
        helper: Path = places.HELPER,
        ask: Ask = ask,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._player = player
        self._status = status_path
        self._helper = helper
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._timer: threading.Timer | None = None

    def pressed(self) -> None:
        """Note that the button goes down."""
        with self._lock:
            self._since = self._clock()
            self._timer = threading.Timer(SHORT, self._count_down)
            self._timer.daemon = True
            self._timer.start()

    def released(self) -> None:
        """Note that it goes up: a short press counts, a longer one was given up."""
        with self._lock:
            since, self._since = self._since, None
            if self._timer is not None:
                self._timer.cancel()
        if since is None:
            return  # it was held to the end
        if self._clock() - since < SHORT:
            self._act("eject or reconnect", self._toggle)
        else:
            log.info("BUTTON  given up")
            self._player.show_once(())

    def held(self) -> None:
        """Note that it was held to the end."""
        with self._lock:
            if self._since is None:
                return
            self._since = None
        self._act("reset the settings", self._reset)

    def _count_down(self) -> None:
        with self._lock:
            if self._since is not None:
                self._player.show_once(countdown(HOLD - SHORT))

    def _act(self, what: str, action: Callable[[], object]) -> None:
        log.info("BUTTON  %s", what)
        shown: Sequence[Step] = DONE
        try:
            action()
        except ApplianceError as error:
            log.error("BUTTON  cannot %s: %s", what, error)
            shown = FAILED
        self._player.show_once(shown)

    def _toggle(self) -> None:
        if not status.read(self._status).ejected:
            self._verb("storage lock")
            return
        self._verb("storage unlock")
        try:
            self._verb("reconnect")
        except ApplianceError as error:  # over a network there is nothing to reconnect
            log.debug("BUTTON  %s", error)

    def _reset(self) -> None:
        if self._helper.is_socket():
            self._ask(self._helper, "factory reset")
        else:
            self._verb("settings reset")

    def _verb(self, verb: str) -> None:
        self._ask(self._status.with_name(SOCKET_NAME), verb)
