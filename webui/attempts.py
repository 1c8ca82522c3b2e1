# SPDX-License-Identifier: GPL-3.0-or-later
"""How often somebody may try a password: after a few wrong ones, ever longer waits.

    {"ADDRESS": [WRONG ONES, "BOOT", TIME OF THE LAST]}

Cable and Wi-Fi have a file each: a flood of addresses waits together, and is none of the other's.

It is kept in a file, as the page's process ends when it is idle. Time is counted from the boot, as
for sessions; after a boot the last one counts as just now.
"""

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from appliance.settings.files import write_atomically
from webui.boot import boot, now

log = logging.getLogger(__name__)

#: By the road that somebody comes by: over the Wi-Fi, or not.
_FILE_NAMES = {True: "attempts-wifi.json", False: "attempts.json"}
#: Wrong passwords that are forgiven; then so many seconds, doubled each time, at most so many.
_FORGIVEN, _FIRST, _LONGEST = 5, 2.0, 300.0
#: Seconds after which an address begins anew: the owner does mistype now and then.
_FORGOTTEN = 86400.0
#: Addresses that are remembered, and their letters; a flood of them waits together.
_MOST, _LONGEST_NAME = 256, 64
_OTHERS = "others"

#: How many were wrong, and when the last was.
_Entry = tuple[int, float]


class Attempts:
    """Counts wrong passwords by the address that they come from; `directory` keeps the counts."""

    def __init__(
        self, directory: Path, clock: Callable[[], float] = now, *, over_wifi: bool = False
    ) -> None:
        self._path = directory / _FILE_NAMES[over_wifi]
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong = _read(self._path, clock())

    def wait(self, who: str) -> float:
        """Say for how many seconds one may not try."""
        with self._lock:
            count, last = self._of(self._name(who))
        if count < _FORGIVEN:
            return 0.0
        pause = min(_LONGEST, _FIRST * 2.0 ** min(count - _FORGIVEN, 16))
        return max(0.0, last + pause - self._clock())

    def was_wrong(self, who: str) -> None:
        """Count a wrong password."""
        with self._lock:
            self._wrong = {each: self._wrong[each] for each in self._wrong if self._of(each)[0]}
            name = self._name(who)
            count, _ = self._of(name)
            self._wrong[name] = count + 1, self._clock()
            self._write()

    def was_right(self, who: str) -> None:
        """Forget what was wrong before."""
        with self._lock:
            if self._wrong.pop(who, None) is not None:
                self._write()

    def _of(self, name: str) -> _Entry:
        count, last = self._wrong.get(name, (0, 0.0))
        return (0, 0.0) if self._clock() - last > _FORGOTTEN else (count, last)

    def _name(self, who: str) -> str:
        is_known = who in self._wrong or len(self._wrong) < _MOST
        return who if is_known and len(who) <= _LONGEST_NAME else _OTHERS

    def _write(self) -> None:
        this = boot()
        kept = {who: (count, this, last) for who, (count, last) in self._wrong.items()}
        try:
            write_atomically(self._path, json.dumps(kept).encode(), mode=0o600)
        except OSError as error:  # a full card: it counts as long as this process lives
            log.warning("ATTEMPTS are not kept: %s", error.strerror)


def _read(path: Path, at: float) -> dict[str, _Entry]:
    this = boot()
    try:
        found = json.loads(path.read_bytes())
        return {
            str(who): (int(count), min(at, float(last)) if then == this else at)
            for who, (count, then, last) in list(found.items())[: _MOST + 1]
        }
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
