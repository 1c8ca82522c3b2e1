# SPDX-License-Identifier: GPL-3.0-or-later
"""The error that a person reads: what is wrong, and what to do about it."""

from appliance.enums import IntEnum


class ExitStatus(IntEnum):
    """What the command's exit status says."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_RUNNING = 3
    NEEDS_ROOT = 4
    NO_HARDWARE = 5


class ApplianceError(Exception):
    """Something that stops a command: one line that names the thing, and a hint what to do."""

    def __init__(
        self, message: str, *, hint: str = "", status: ExitStatus = ExitStatus.FAILURE
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message
