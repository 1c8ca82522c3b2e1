# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing large trees while nobody waits for it.

They are nobody's any more: what the trash has given up, and what a process that is gone has left in
the workplace. A thread does it, and ends; what it does not come to is for the next start.
"""

import logging
import os
import threading
from collections.abc import Sequence

from appliance.storage import staging, trash_place
from appliance.storage.removal import Allowance

log = logging.getLogger(__name__)

#: One at a time: a small board has other things to do.
_TURN = threading.Lock()
#: Seconds in which who waits for that sees that it is to end.
_PATIENCE = 0.1


class Sweep:
    """One such work in one storage, of which it is a `Use`. Owns the descriptor of the root.

    `left`: names in the workplace that processes have left there.
    """

    def __init__(self, root_fd: int, left: Sequence[bytes]) -> None:
        self._root_fd = root_fd
        self._left = left
        self._allowance = Allowance()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Begin; where the system has no thread for it, it is for the next time."""
        try:
            self._thread.start()
        except RuntimeError as error:
            log.warning("SWEEP   is for the next start: %s", error)
            os.close(self._root_fd)

    def let_go(self) -> None:
        """End before all is done, because the storage goes away."""
        self._allowance.is_over = True
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            if self._wait_for_turn():
                self._work()
        finally:
            os.close(self._root_fd)

    def _wait_for_turn(self) -> bool:
        while not self._allowance.is_over:
            if _TURN.acquire(timeout=_PATIENCE):
                return True
        return False

    def _work(self) -> None:
        try:
            trash_place.clear_expunged(self._root_fd, self._allowance)
            staging.clean(self._root_fd, self._left, self._allowance)
        finally:
            _TURN.release()
