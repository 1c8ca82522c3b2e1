# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the network that the settings name has been joined, for who waits for it."""

import time
from collections.abc import Callable
from pathlib import Path

from appliance import places
from appliance.network.wifi import INTERFACE
from appliance.status import Warning

_STATE = places.NETWORK_CARDS.relative_to("/") / INTERFACE / "operstate"
#: Seconds that joining may take: after a start, and where a router starts anew.
_LONG = 60.0


class Air:
    """Looks at the interface; for one thread. `root` is a prefix of the kernel's files."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = root / _STATE
        self._clock = clock
        self._network = ""
        self._since: float | None = None

    def look(self, network: str) -> Warning | None:
        """Say what is wrong with it, once it has been so for long; "" is no network."""
        state = self._read()
        if network != self._network or state == "up" or not network:
            self._network, self._since = network, None
        if state == "up" or not network:
            return None
        if self._since is None:
            self._since = self._clock()
        if self._clock() - self._since < _LONG:
            return None
        if not state:
            hint = "a Zero without a W has none: take the network out of the settings"
            return Warning(
                "wifi-missing", "the settings name a Wi-Fi, and there is none here", hint
            )
        what = f"the Wi-Fi {network} has not been joined"
        return Warning("wifi-not-joined", what, "is it in reach, and the passphrase right?")

    def _read(self) -> str:
        try:
            return self._state.read_text().strip()
        except OSError:
            return ""
