# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's side of the folder that it shares with a guest: what is asked, what was found."""

import json
import time
from collections.abc import Callable
from typing import Any

from tests.power.looking import put
from tests.vm.image import GuestError
from tests.vm.machine import Guest

#: Seconds for a boot, and for what a guest does at a time, on a busy machine.
_PATIENCE = 1800.0


def ask(guest: Guest, name: str, value: object) -> None:
    """Put a file where the guest sees it, whole."""
    put(guest.folder, name, value)


def found(guest: Guest) -> dict[str, Any]:
    """Wait for what the guest has found."""
    path = guest.folder / "found.json"
    wait(path.exists, guest, "what was found is told")
    said: dict[str, Any] = json.loads(path.read_text())
    return said


def wait(condition: Callable[[], bool], guest: Guest, what: str) -> None:
    """Wait for something; GuestError where the guest has ended, or takes too long."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if not guest.running() or time.monotonic() > deadline:
            raise GuestError(
                f"not before the guest ended or took too long: {what}\n{guest.last_words()}"
            )
        time.sleep(0.05)
