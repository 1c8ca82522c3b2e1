# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a gadget bound to its controller: from when that comes, and again whenever it was lost.

The process that serves the gadget does this itself, so that there is nothing to bind before its
descriptors are written and nobody has to notice that it has started anew. It needs no privilege but
to write the gadget's UDC attribute. What is in the way is logged once, not at each try.

A gadget that the kernel itself refuses is not tried again: a network function that has failed to
bind once never binds again, and the kernel may not survive the second try. That happens where the
controller was taken out (its driver unloaded) under such a function. Root makes the gadget anew.
"""

import logging
import threading
import time
from contextlib import suppress
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.gadget import udc
from appliance.gadget.configfs import Gadget
from appliance.services.background import Background
from appliance.values import dataclass

log = logging.getLogger(__name__)

#: Seconds between two tries, and between two looks at whether it is still bound.
_RETRY = 0.5
_LOOK = 1.0
_MAKE_ANEW = (
    "start the machine again, or make the gadget anew and start what serves it: "
    "mtp-appliance gadget down, then up"
)
#: Seconds that a PC gets to see that the device is gone.
_GONE = 1.0
#: Seconds after which what is in the way is told of: a gadget that is made anew takes a few.
_LONG = 10.0


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why the PC does not see the device, and what to do."""

    text: str = ""
    hint: str = ""


class Binder(Background):
    """Binds one gadget, in a thread that nobody waits for."""

    def __init__(self, name: str, controller: str = "", root: Path = Path("/")) -> None:
        super().__init__("binder")
        self._gadget = Gadget(name, root)
        self._controller = controller
        self._root = root
        self._lock = threading.Lock()
        self._obstacle = Obstacle()
        self._since = 0.0
        self._refused: tuple[int, ApplianceError] | None = None

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        with suppress(OSError):  # where root took it away, the kernel has unbound it
            udc.unbind(self._gadget)

    @property
    def obstacle(self) -> Obstacle:
        """What is in the way now; empty where nothing is."""
        return self._obstacle

    def lasting(self) -> ApplianceError | None:
        """Say what has been in the way for longer than anything that ends by itself."""
        found = self._obstacle
        if not found.text or time.monotonic() - self._since < _LONG:
            return None
        return ApplianceError(found.text, hint=found.hint)

    def reconnect(self) -> None:
        """Let the PC see the device go and come back."""
        with self._lock:
            try:
                udc.unbind(self._gadget)
            except OSError as error:
                raise ApplianceError(f"{self._gadget.name}: {error.strerror}") from error
            self._over.wait(_GONE)
            self._try()
        if self._obstacle.text:
            raise ApplianceError(self._obstacle.text, hint=self._obstacle.hint)

    def _work(self) -> None:
        while True:
            with self._lock:
                bound = not self._over.is_set() and self._try()
            if self._over.wait(_LOOK if bound else _RETRY):
                return

    def _try(self) -> bool:
        """Bind unless it is bound; whether it is now."""
        try:
            self._bind()
        except ApplianceError as error:
            self._note(Obstacle(error.message, error.hint))
            return False
        except OSError as error:
            self._note(Obstacle(f"{self._gadget.name} cannot be bound: {error.strerror}"))
            return False
        self._note(Obstacle())
        return True

    def _bind(self) -> None:
        present = udc.controllers(self._root)
        bound = udc.bound_to(self._gadget)
        if bound is not None and bound in present:
            return
        udc.unbind(self._gadget)  # from one that is gone, or the kernel takes no other
        name = udc.wait_for_controller(self._controller or None, root=self._root)
        holder = udc.holder(name, self._root)
        if holder not in {None, self._gadget.name}:
            raise udc.in_use(name, str(holder))
        self._bind_once(name)

    def _bind_once(self, name: str) -> None:
        """Bind, unless this very gadget has been refused before."""
        number = _number(self._gadget)
        if self._refused is not None and self._refused[0] == number:
            raise self._refused[1]
        try:
            udc.bind(self._gadget, name, self._root)
        except ApplianceError as error:
            if number and udc.holder(name, self._root) in {None, self._gadget.name}:
                refusal = ApplianceError(error.message, hint=_MAKE_ANEW)
                self._refused = (number, refusal)
                raise refusal from error
            raise

    def _note(self, obstacle: Obstacle) -> None:
        if obstacle != self._obstacle and obstacle.text:
            log.warning("WAITING %s (%s)", obstacle.text, obstacle.hint)
        if not self._obstacle.text:
            self._since = time.monotonic()
        self._obstacle = obstacle


def _number(gadget: Gadget) -> int:
    """Tell this gadget from one of the same name made later; 0 where there is none."""
    try:
        return gadget.path.stat().st_ino
    except OSError:
        return 0
