# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done now and then while nobody asks: the trash is looked through."""

import logging

from appliance.services.background import Background
from appliance.storage import Catalogue

log = logging.getLogger(__name__)

#: Seconds after the start: when the PC has seen its files, and the disk is idle.
_FIRST = 300.0
#: Often enough that a clock set meanwhile is noticed before the appliance is unplugged.
_EVERY = 600.0


class Upkeep(Background):
    """Sleeps nearly all the time."""

    def __init__(
        self, catalogue: Catalogue, *, first: float = _FIRST, every: float = _EVERY
    ) -> None:
        super().__init__("upkeep")
        self._catalogue = catalogue
        self._first = first
        self._every = every

    def _work(self) -> None:
        pause = self._first
        while not self._over.wait(pause):
            pause = self._every
            count = self._catalogue.trash_purge()
            if count:
                log.info("TRASH   %d deleted for good, having been there long enough", count)
