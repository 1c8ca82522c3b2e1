# SPDX-License-Identifier: GPL-3.0-or-later
"""The roads beside USB: PTP/IP and virtual machines, at places that somebody has named.

Who names one on the command line sees at once when it cannot be. What a settings file names is no
reason not to serve over the others: the address may come later, as that of the USB network does,
and the person who is to mend the file needs the device and the page.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from appliance.errors import ApplianceError
from appliance.services.background import Background
from appliance.values import dataclass, replace

log = logging.getLogger(__name__)

#: Seconds between two attempts at places that were not there.
_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Road:
    """`serve` serves at places until the stack is left, or raises ApplianceError and does not.

    It gives what to tell a person about it. `is_needed`: without it, nothing is to be served.
    """

    serve: Callable[[Sequence[Any], ExitStack], list[str]]
    places: Sequence[Any]
    is_needed: bool


#: Who is told what cannot be served; nothing of it, when all can.
Tell = Callable[[Sequence[ApplianceError]], None]


def serve_roads(roads: Sequence[Road], tell: Tell, stack: ExitStack) -> list[str]:
    """Serve until `stack` is left, at places that are not there as soon as they are.

    What to tell a person about those that are. ApplianceError where a road that is needed is not.
    """
    lines: list[str] = []
    later: list[Road] = []
    for road in roads:
        try:
            lines += road.serve(road.places, stack)
        except ApplianceError:
            if road.is_needed:
                raise
            later += [replace(road, places=[place]) for place in road.places]
    if later:
        latecomers = Latecomers(later, tell)
        lines += latecomers.look()
        stack.enter_context(latecomers)
    return lines


class Latecomers(Background):
    """Tries again and again to serve at places that were not there, each for itself."""

    def __init__(self, roads: Sequence[Road], tell: Tell) -> None:
        super().__init__("roads")
        self._waiting = list(roads)
        self._tell = tell
        self._told: list[str] = []
        self._serving = ExitStack()

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self._serving.close()

    def look(self) -> list[str]:
        """Try each place that waits; what to tell a person about those that are served now."""
        lines: list[str] = []
        waiting: list[Road] = []
        errors: list[ApplianceError] = []
        for road in self._waiting:
            try:
                lines += road.serve(road.places, self._serving)
            except ApplianceError as error:
                waiting.append(road)
                errors.append(error)
        self._waiting = waiting
        self._say(errors)
        return lines

    def _say(self, errors: Sequence[ApplianceError]) -> None:
        """Tell what cannot be served, where that is something else than the last time."""
        said = list(map(str, errors))
        if said == self._told:
            return
        for each in said:
            if each not in self._told:
                log.warning("SETTINGS %s", each)
        self._told = said
        self._tell(errors)

    def _work(self) -> None:
        while self._waiting and not self._over.wait(_PAUSE):
            for line in self.look():
                log.info("SETTINGS %s", line.strip())
