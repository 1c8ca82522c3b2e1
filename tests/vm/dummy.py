# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual cable, for tests in the guest: a UDC and a host controller in one kernel module."""

import subprocess
import time
from pathlib import Path

_OPTIONS = {
    "full": ("is_high_speed=0", "is_super_speed=0"),
    "high": ("is_high_speed=1", "is_super_speed=0"),
    "super": ("is_high_speed=1", "is_super_speed=1"),
}


def load(speed: str = "high", cables: int = 1) -> str:
    """Plug the cable anew, or several, at `full`, `high` or `super` speed; the first UDC's name."""
    subprocess.run(["rmmod", "dummy_hcd"], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(["modprobe", "dummy_hcd", *_OPTIONS[speed], f"num={cables}"], check=True)
    deadline = time.monotonic() + 10
    while not udc_name() and time.monotonic() < deadline:
        time.sleep(0.05)
    return udc_name()


def udc_name() -> str:
    """Name of the UDC, empty where there is none."""
    return next((each.name for each in Path("/sys/class/udc").iterdir()), "")
