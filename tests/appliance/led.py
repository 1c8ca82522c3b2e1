# SPDX-License-Identifier: GPL-3.0-or-later
"""A LED of the board, which the virtual Pi lacks: the kernel's files, as files that keep what is
written."""

import time
from pathlib import Path

from appliance.leds.patterns import Pattern
from tests.appliance import units

_LEDS = Path("/sys/class/leds")
_FILES = {"trigger": "[none] mmc0\n", "max_brightness": "1\n", "brightness": "0\n"}
#: Seconds in which each pattern has begun anew, and its longest light is seen to begin and to end.
_LONG = 5.0
#: Seconds of light, at least and at most, that only the pattern of an error has, of 1.5.
_ERROR = (1.0, 2.5)


class Led:
    """What the lights' service lights, once it has started anew."""

    def make(self) -> None:
        """Put it in."""
        units.run("mount", "-t", "tmpfs", "tmpfs", str(_LEDS))
        self._folder = _LEDS / "ACT"
        self._folder.mkdir()
        for name, text in _FILES.items():
            (self._folder / name).write_text(text)
            (self._folder / name).chmod(0o666)
        units.run("systemctl", "restart", units.LEDS)

    def remove(self) -> None:
        """Take it out again."""
        units.run("systemctl", "stop", units.LEDS)
        units.run("umount", str(_LEDS))
        units.run("systemctl", "start", units.LEDS)

    def shows(self, pattern: Pattern) -> bool:
        """Whether a person sees that pattern: of an error, or of a PC that is there."""
        end = time.monotonic() + _LONG
        is_lit, since = True, None
        while (now := time.monotonic()) < end:
            was_lit, is_lit = is_lit, (self._folder / "brightness").read_text() == "1\n"
            if is_lit and not was_lit:
                since = now
            elif not is_lit and pattern is Pattern.CONNECTED:
                return False
            elif was_lit and not is_lit and since and _ERROR[0] < now - since < _ERROR[1]:
                return True
            time.sleep(0.02)
        return pattern is Pattern.CONNECTED
