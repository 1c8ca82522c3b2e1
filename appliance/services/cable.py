# SPDX-License-Identifier: GPL-3.0-or-later
"""The USB cable: what the kernel says of the device controller, and how its changes are noticed.

The kernel tells of another state of a controller by sysfs_notify: whoever has read the attribute
`state` and waits for POLLPRI on it is woken. The attribute has to be read anew then. Where the
controller itself comes or goes, FunctionFS tells (`Road`), and the caller looks again.
"""

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError
from appliance.gadget import udc
from appliance.mtp.monitor import Road
from appliance.services.gadget import GADGET
from appliance.status import Cable, Usb
from appliance.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Gives why the device is not shown to a PC; None where nothing lasting is in the way.
    Obstacle = Callable[[], ApplianceError | None]

_DIRECTORY = Path("sys/class/udc")
_STATES = {
    "configured": Cable.CONFIGURED,
    "suspended": Cable.SUSPENDED,
    "not attached": Cable.DETACHED,
}
_ROADS = {
    Road.HIDDEN: Cable.UNBOUND,
    Road.SHOWN: Cable.DETACHED,
    Road.CONFIGURED: Cable.CONFIGURED,
    Road.ASLEEP: Cable.SUSPENDED,
}
#: Seconds until the next look while the device is about to be shown, or not to be.
_SOON = 2.0
_NO_SPEED = {"UNKNOWN", "unknown"}


@dataclass(frozen=True, slots=True)
class CableState:
    """What was seen; `holder` is somebody else who has the controller, or nothing.

    `obstacle` is what else keeps the device from being shown; `is_missing`: a controller is needed,
    and none is coming. `again`: seconds to the next look, where what is in the way may end by
    itself, or turn out to last, and nobody tells of that.
    """

    usb: Usb
    holder: str = ""
    obstacle: ApplianceError | None = None
    is_missing: bool = False
    again: float = math.inf


class CableWatch:
    """One controller, the one of that name or the first; for one thread.

    `alone`: there is no other road to the files.
    """

    def __init__(
        self,
        controller: str = "",
        root: Path = Path("/"),
        obstacle: "Obstacle | None" = None,
        *,
        alone: bool = True,
    ) -> None:
        self._wanted = controller
        self._obstacle = obstacle
        self._alone = alone
        self._root = root
        self._name = ""
        self._fd = -1

    def fileno(self) -> int:
        """Give what POLLPRI comes from when the state is another; -1 without a controller."""
        return self._fd

    def close(self) -> None:
        """Watch no more."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._name = -1, ""

    def look(self, road: Road) -> CableState:
        """Say what is so now; `road` is what FunctionFS has told."""
        state = self._read_state()
        if state is None:
            self._find()
            state = self._read_state()
        if state is None:
            is_coming = self._obstacle is not None and self._obstacle() is None
            usb = Usb(self._wanted, Cable.NO_CONTROLLER)
            is_missing = self._alone and not is_coming
            return CableState(usb, is_missing=is_missing, again=_SOON if is_coming else math.inf)
        holder = (udc.holder(self._name, self._root) or "") if road is Road.HIDDEN else GADGET
        usb = Usb(self._name, _cable(state, road, holder), self._speed())
        is_free = usb.cable is Cable.UNBOUND and not holder
        obstacle = self._obstacle() if self._obstacle is not None and is_free else None
        is_settling = self._obstacle is not None and is_free and obstacle is None
        again = _SOON if is_settling else math.inf
        return CableState(usb, "" if holder == GADGET else holder, obstacle, again=again)

    def _find(self) -> None:
        self.close()
        known = udc.controllers(self._root)
        self._name = next((each for each in known if self._wanted in {"", each}), "")
        if self._name:
            with suppress(OSError):
                path = self._root / _DIRECTORY / self._name / "state"
                self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def _read_state(self) -> str | None:
        """Read the attribute from its beginning, which also makes it ready to tell of changes."""
        if self._fd < 0:
            return None
        try:
            return os.pread(self._fd, 64, 0).decode(errors="replace").strip()
        except OSError:  # the controller is gone
            return None

    def _speed(self) -> str:
        try:
            speed = (self._root / _DIRECTORY / self._name / "current_speed").read_text().strip()
        except OSError:
            return ""
        return "" if speed in _NO_SPEED else speed


def _cable(state: str, road: Road, holder: str) -> Cable:
    if holder != GADGET:
        return Cable.UNBOUND
    if road is Road.ASLEEP and state == "configured":
        return Cable.SUSPENDED
    if not state:
        return _ROADS[road]
    return _STATES.get(state, Cable.ATTACHED)
