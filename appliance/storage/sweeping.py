# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing large trees while nobody waits for it.

They are nobody's any more: what the trash has given up, and what a process that is gone has left in
the workplace. One thread a storage does it, and ends; what it does not come to is for the next
start, or for when the storage is back.
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
    """All such work in one storage, of which it is a `Use`, until there is no more of it.

    Owns the descriptor of the root. `left`: names in the workplace that processes have left there.
    """

    def __init__(self, root_fd: int, left: Sequence[bytes]) -> None:
        self._root_fd = root_fd
        self._left: list[bytes] | None = list(left)  # None: nothing has come that is not begun
        self._is_ending = False
        self._guard = threading.Lock()
        self._allowance = Allowance()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Begin; where the system has no thread for it, it is for the next time."""
        try:
            self._thread.start()
        except RuntimeError as error:
            log.warning("SWEEP   is for the next start: %s", error)
            self._end()

    def join(self, root_fd: int, left: Sequence[bytes]) -> bool:
        """Do what there is to do by now, too; False where it is too late, or for another disk."""
        with self._guard:
            if self._is_ending or self._allowance.is_over:
                return False
            if not os.path.sameopenfile(root_fd, self._root_fd):
                return False
            self._left = [*(self._left or ()), *left]
            return True

    def let_go(self) -> None:
        """End before all is done, because the storage goes away."""
        self._allowance.is_over = True
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._wait_for_turn():
                self._work()
                if not self._has_more():
                    break
        finally:
            self._end()

    def _wait_for_turn(self) -> bool:
        while not self._allowance.is_over:
            if _TURN.acquire(timeout=_PATIENCE):
                return True
        return False

    def _work(self) -> None:
        try:
            with self._guard:
                left, self._left = self._left or [], None
            trash_place.clear_expunged(self._root_fd, self._allowance)
            staging.clean(self._root_fd, left, self._allowance)
        finally:
            _TURN.release()

    def _has_more(self) -> bool:
        """Whether more has come meanwhile; else nothing more may come."""
        with self._guard:
            self._is_ending = self._left is None
            return not self._is_ending

    def _end(self) -> None:
        with self._guard:
            self._is_ending = True
            os.close(self._root_fd)


def sweep(at_work: Sweep | None, root_fd: int, left: Sequence[bytes]) -> Sweep:
    """Have the sweep of a storage do what there is to do, or begin another one; which does it."""
    if at_work is not None and at_work.join(root_fd, left):
        return at_work
    begun = Sweep(os.dup(root_fd), left)
    begun.start()
    return begun
