# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check finds."""

from collections.abc import Callable, Iterator
from enum import StrEnum

from appliance.doctor.machine import Machine
from appliance.values import dataclass


class Grade(StrEnum):
    """How bad it is; `UNKNOWN` where it could not be seen."""

    GOOD = "good"
    NOTE = "note"
    UNKNOWN = "unknown"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's: about what, how it is, and what to do."""

    about: str
    grade: Grade
    text: str
    advice: str = ""


#: A check looks at one thing and gives what it finds, perhaps several lines.
Check = Callable[[Machine], Iterator[Finding]]


def good(about: str, text: str) -> Finding:
    """All is well."""
    return Finding(about, Grade.GOOD, text)


def note(about: str, text: str, advice: str = "") -> Finding:
    """Nothing is wrong, but it may be what somebody wonders about."""
    return Finding(about, Grade.NOTE, text, advice)


def unknown(about: str, text: str, advice: str = "use sudo") -> Finding:
    """It could not be seen."""
    return Finding(about, Grade.UNKNOWN, text, advice)


def warning(about: str, text: str, advice: str) -> Finding:
    """It works, but not as it should."""
    return Finding(about, Grade.WARNING, text, advice)


def problem(about: str, text: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(about, Grade.PROBLEM, text, advice)
