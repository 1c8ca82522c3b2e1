# SPDX-License-Identifier: GPL-3.0-or-later
"""What the LEDs say: six patterns, told apart by their rhythm alone, and which one it is. Pure.

They need neither colours nor brightness: one plain LED says it all. Dark means that nothing runs.
"""

import math
from collections.abc import Iterable
from enum import Enum

from appliance.status import Cable, Status
from appliance.values import dataclass

#: Seconds that a pattern is held.
FOREVER = math.inf

#: On or off, and for how many seconds.
Step = tuple[bool, float]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A pattern: its steps, again and again, and what a person has to know of it."""

    steps: tuple[Step, ...]
    looks: str
    means: str
    advice: str

    @property
    def period(self) -> float:
        """Seconds after which it begins anew."""
        return sum(seconds for _, seconds in self.steps)

    def is_lit(self, seconds: float) -> bool:
        """Whether it is lit so long after its beginning."""
        if math.isinf(self.period):
            return self.steps[0][0]
        rest = seconds % self.period
        for lit, length in self.steps:
            if rest < length:
                return lit
            rest -= length
        return self.steps[-1][0]


class Pattern(Enum):
    """The six patterns."""

    STARTING = Rhythm(
        ((True, 0.5), (False, 0.5)),
        "slow even blinking, once a second",
        "it is starting",
        "wait",
    )
    WAITING = Rhythm(
        ((True, 0.1), (False, 2.9)),
        "one short flash every three seconds",
        "it waits for a PC, or was ejected",
        "plug it in, or unplug it: both are safe",
    )
    CONNECTED = Rhythm(
        ((True, FOREVER),),
        "steady light",
        "a PC is connected",
        "use it; unplugging is safe",
    )
    TRANSFERRING = Rhythm(
        ((True, 0.1), (False, 0.1)),
        "quick even flicker, five times a second",
        "files are moving",
        "do not unplug, or the file that is moving is not kept",
    )
    UNSAFE = Rhythm(
        ((True, 0.15), (False, 0.15), (True, 0.15), (False, 0.8)),
        "two flashes and a pause",
        "files are not on the card yet",
        "do not unplug: it takes a second",
    )
    ERROR = Rhythm(
        ((True, 1.5), (False, 0.3), (True, 0.3), (False, 0.9)),
        "one long and one short",
        "an error, or a storage is full",
        "see `mtp-appliance status`, or the settings page",
    )

    @property
    def label(self) -> str:
        """The name for a person."""
        return self.name.lower()


#: What a person has done by the button is answered by this, once.
DONE: tuple[Step, ...] = ((False, 0.3), *(((True, 0.05), (False, 0.05)) * 8), (False, 0.3))
FAILED: tuple[Step, ...] = ((False, 0.3), (True, 1.5), (False, 0.3), (True, 0.3), (False, 0.9))

#: Warnings that are an error: see `appliance.services.concerns`.
_GRAVE = frozenset(
    {
        *("storage-full", "storage-missing", "storage-failed", "controller-taken", "unit-failed"),
        *("card", "update-taken-back", "settings-errors", "storage-errors", "state-full"),
        *("address-failed", "no-controller", "not-shown"),
    }
)


def is_grave(code: str) -> bool:
    """Whether a warning is an error: all that is wrong with the card is."""
    return code in _GRAVE or code.startswith("card-")


def select(status: Status | None, failures: Iterable[str] = ()) -> Pattern:
    """Choose the pattern for a status, None where nobody writes one; `failures` are units."""
    failed = any(True for _ in failures)
    if status is None or not status.ready:
        return Pattern.ERROR if failed else Pattern.STARTING
    if status.transfers:
        return Pattern.TRANSFERRING
    if status.unsafe.files:
        return Pattern.UNSAFE
    if failed or any(is_grave(each.code) for each in status.warnings):
        return Pattern.ERROR
    if status.ejected:
        return Pattern.WAITING
    connected = status.usb.cable is Cable.CONFIGURED or bool(status.sessions)
    return Pattern.CONNECTED if connected else Pattern.WAITING


def countdown(seconds: float) -> tuple[Step, ...]:
    """Blink faster and faster for so long, then stay dark; at its end something is done."""
    steps: list[Step] = []
    left = seconds
    while left > 0:
        half = min(left / 2, max(0.04, 0.5 * left / seconds))
        steps += [(True, half), (False, half)]
        left -= 2 * half
    return tuple(steps)


def manual() -> str:
    """Write the table of the man page."""
    lines = [".SH THE LIGHT"]
    for pattern in Pattern:
        rhythm = pattern.value
        lines += [".TP", f".I {rhythm.looks}", f"{rhythm.means}: {rhythm.advice.replace('`', '')}."]
    lines += [".TP", ".I dark", "it has no power, or does not run."]
    return "\n".join(lines) + "\n"


def table() -> str:
    """Write the table of the documentation (Markdown)."""
    rows = ["| the light | means | what to do |", "|---|---|---|"]
    for pattern in Pattern:
        rhythm = pattern.value
        rows.append(f"| {rhythm.looks} | {rhythm.means} | {rhythm.advice} |")
    rows.append("| dark | it has no power, or does not run | see that it has power |")
    return "\n".join(rows) + "\n"
