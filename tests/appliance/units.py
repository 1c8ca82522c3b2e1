# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's view of the appliance."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

RESPONDER = "mtp-appliance.service"
LEDS = "mtp-appliance-leds.service"
WEB = "mtp-appliance-web.service"
WEB_SOCKET = "mtp-appliance-web.socket"
HELPER = "mtp-appliance-helper.service"
GADGET = "mtp-appliance-gadget.service"
APPLY = "mtp-appliance-apply.service"
FAILURES = Path("/run/mtp-appliance-failures")
_PATIENCE = 90.0


def run(*argv: str) -> str:
    """Run a command; what it prints. A failure shows all of that."""
    done = subprocess.run(argv, stdout=-1, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}"
    return done.stdout


def wait_until(condition: Callable[[], bool], what: str, patience: float = _PATIENCE) -> None:
    """Wait for something to come true; `what` is said where it does not."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience:.0f} s: {what}\n{journal()}"
        time.sleep(0.1)


def journal(lines: int = 60) -> str:
    """Give the end of what the appliance's units have logged."""
    return run("journalctl", "--no-pager", "-n", str(lines), "-u", "mtp-appliance*")


def show(unit: str, name: str) -> str:
    """Give a property of a unit."""
    return run("systemctl", "show", "--value", "-p", name, "--", unit).strip()


def main_pid(unit: str) -> int:
    """Give the process of a service, 0 for none."""
    return int(show(unit, "MainPID"))


def is_active(unit: str) -> bool:
    """Whether a unit is up, and no job of it is under way."""
    return show(unit, "ActiveState") == "active"


def wait_until_active(unit: str) -> None:
    """Wait until a unit is up."""
    wait_until(lambda: is_active(unit), f"{unit} is active")


def wait_until_anew(unit: str, before: int) -> None:
    """Wait until a service runs in another process than `before`, and is ready."""
    wait_until(lambda: is_active(unit) and main_pid(unit) not in (0, before), f"{unit} runs anew")


def failed() -> str:
    """Name the units that have failed."""
    return run("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager")
