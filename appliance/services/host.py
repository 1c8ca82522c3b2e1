# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that the responder runs on: its clock, its battery, its picture."""

import logging
import time
from contextlib import suppress
from pathlib import Path

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError

log = logging.getLogger(__name__)

#: CAP_SYS_TIME of linux/capability.h: who has it may set the clock.
_MAY_SET_TIME = 1 << 25
_ICON = Path(__file__).parent.parent / "data" / "icon.ico"


class LinuxHost:
    """This machine. `root` is where its files are looked for."""

    def __init__(self, root: Path = Path("/"), *, clock_settable: bool = True) -> None:
        self._root = root
        self._clock_settable = clock_settable

    def now(self) -> float:
        """Tell the time (Unix seconds)."""
        return time.time()

    @property
    def may_set_clock(self) -> bool:
        """Whether the clock may be set, and nothing else keeps it better than a PC would.

        A real-time clock keeps it, and so does a time server that has been reached.
        """
        kept = ("sys/class/rtc/rtc0", "run/systemd/timesync/synchronized")
        return (
            self._clock_settable
            and self._has_capability()
            and not any((self._root / each).exists() for each in kept)
        )

    def set_clock(self, timestamp: float) -> None:
        """Set the clock (Unix seconds); AccessDenied where that cannot be."""
        if not self.may_set_clock:
            raise MtpError(ResponseCode.ACCESS_DENIED, "the clock is kept by something else")
        try:
            time.clock_settime(time.CLOCK_REALTIME, timestamp)
        except (OSError, OverflowError, ValueError) as error:
            raise MtpError(ResponseCode.ACCESS_DENIED, f"the clock: {error}") from error
        log.info("CLOCK   set by an initiator")

    def battery_level(self) -> int | None:
        """Charge of the first battery that feeds the machine, in percent; None without one."""
        for supply in sorted(self._root.glob("sys/class/power_supply/*")):
            if _read(supply / "type") == "Battery" and _read(supply / "scope") != "Device":
                with suppress(ValueError):
                    return max(0, min(100, int(_read(supply / "capacity"))))
        return None

    def icon(self) -> bytes:
        """Give the picture of the device (ICO)."""
        return _ICON.read_bytes()

    def _has_capability(self) -> bool:
        for line in _read(self._root / "proc/self/status").splitlines():
            name, _, value = line.partition(":")
            if name == "CapEff":
                return bool(int(value, 16) & _MAY_SET_TIME)
        return False


def _read(path: Path) -> str:
    """Read one of the kernel's small files; "" where it is not there."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
