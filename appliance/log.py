# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: lines on stderr, for a person at a terminal or for the journal.

Names of files appear at level debug; at others where a person has to know of which file it is, and
then as `%a` writes them, which a report leaves out. Their content never.
"""

import logging
import os
import sys
from copy import copy

from appliance.enums import IntEnum


class Verbosity(IntEnum):
    """How much is told: the number of -v, or minus the number of -q."""

    QUIET = -1
    NORMAL = 0
    VERBOSE = 1


_LEVELS = {
    Verbosity.QUIET: logging.WARNING,
    Verbosity.NORMAL: logging.INFO,
    Verbosity.VERBOSE: logging.DEBUG,
}
#: What the settings call them.
NAMES = {
    "quiet": Verbosity.QUIET,
    "normal": Verbosity.NORMAL,
    "verbose": Verbosity.VERBOSE,
}
#: Syslog priorities (syslog(3)), which the journal reads at the front of a line.
_PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


class JournalFormatter(logging.Formatter):
    """`<N>message`, each line of a message with its priority; the journal knows the time."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        priority = _PRIORITIES.get(record.levelno, 5)
        lines = super().format(record).splitlines() or [""]
        return "\n".join(f"<{priority}>{line}" for line in lines)


class TerminalFormatter(logging.Formatter):
    """`HH:MM:SS level message`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, its level in lower case; other handlers get it as it is."""
        record = copy(record)
        record.levelname = record.levelname.lower()
        return super().format(record)


def configure(verbosity: int) -> None:
    """Let the log begin; more than the most is the most."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter() if is_journal() else TerminalFormatter())
    step = Verbosity(max(Verbosity.QUIET, min(verbosity, Verbosity.VERBOSE)))
    logging.basicConfig(level=_LEVELS[step], handlers=[handler], force=True)
    logging.raiseExceptions = False  # a log that cannot be written is no reason to fail


def set_level(verbosity: int) -> None:
    """Tell more or less from now on."""
    step = Verbosity(max(Verbosity.QUIET, min(verbosity, Verbosity.VERBOSE)))
    logging.getLogger().setLevel(_LEVELS[step])


def is_journal() -> bool:
    """Whether stderr is the journal's stream (systemd.exec(5)).

    The variable alone does not say so: a terminal that systemd started hands it on.
    """
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{status.st_dev}:{status.st_ino}"
