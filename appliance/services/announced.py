# SPDX-License-Identifier: GPL-3.0-or-later
"""The name that Avahi really got in the network: another one where somebody else had it already.

Asked over D-Bus by systemd's busctl, as it is asked seldom. Spec: org.freedesktop.Avahi.Server.xml.
"""

import re
import subprocess
import time
from collections.abc import Callable

_COMMAND = (
    *("busctl", "--system", "--timeout=2", "call", "org.freedesktop.Avahi", "/"),
    *("org.freedesktop.Avahi.Server", "GetHostName"),
)
_ANSWER = re.compile(r's "([^"\\]+)"\s*')
#: Seconds that an answer is good for, and that is waited for one.
_GOOD, _PATIENCE = 10.0, 5.0


class Announced:
    """Asks for the name, at most once in a while; "" where nobody announces one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._name, self._asked = "", -_GOOD

    def __call__(self) -> str:
        """Say the name, without `.local`."""
        if self._clock() - self._asked >= _GOOD:
            self._name, self._asked = _ask(), self._clock()
        return self._name


def _ask() -> str:
    try:
        done = subprocess.run(
            _COMMAND, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    answer = _ANSWER.fullmatch(done.stdout)
    return answer[1].lower() if answer and not done.returncode else ""
