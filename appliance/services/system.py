# SPDX-License-Identifier: GPL-3.0-or-later
"""The system around the appliance, as root's part of it asks it for things."""

import logging
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.errors import ApplianceError

log = logging.getLogger(__name__)

NETWORK_FILES = Path("/run/systemd/network")
_NETWORKD = "systemd-networkd.service"
#: Seconds that a service manager that hangs is waited for.
_PATIENCE = 60.0

#: Runs a program; whether it says that all is well.
Run = Callable[[Sequence[str]], bool]


def run(command: Sequence[str]) -> bool:
    """Run a program; whether it says that all is well."""
    try:
        done = subprocess.run(command, check=False, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        log.warning("there is no %s", command[0])
        return False
    except subprocess.TimeoutExpired:
        log.warning("%s takes too long", " ".join(command))
        return False
    return done.returncode == 0


class System:
    """Files below `root` (a prefix, for tests), and `run` for programs."""

    def __init__(self, root: Path, run: Run = run) -> None:
        self._root = root
        self._run = run

    def place(self, path: Path) -> Path:
        """Say where a file lies."""
        return self._root / path.relative_to("/")

    def systemctl(self, verb: str, *units: str) -> None:
        """Ask systemd for something, without waiting until it is done."""
        self._command("systemctl", "--no-block", verb, *units)

    def reload_networkd(self) -> None:
        """Have networkd read its files, if it runs already."""
        if self._run(["systemctl", "is-active", "--quiet", _NETWORKD]):
            self._command("networkctl", "reload")

    def _command(self, *command: str) -> None:
        log.info("RUN     %s", " ".join(command))
        if not self._run(command):
            raise ApplianceError(f"{' '.join(command)} failed")
