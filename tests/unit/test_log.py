# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for a person and lines for the journal."""

import subprocess
import sys

import pytest

_SAY = """
import logging, os, sys
from appliance import log
if "JOURNAL_STREAM" in os.environ:
    stream = os.fstat(2)
    os.environ["JOURNAL_STREAM"] %= (stream.st_dev, stream.st_ino)
log.configure(int(sys.argv[1]))
for level in (10, 20, 30, 40, 50):
    logging.getLogger("appliance.x").log(level, "%s\\nmore", level)
"""

#: What systemd sets: device and inode of the stream, which the child fills in.
JOURNAL = {"JOURNAL_STREAM": "%d:%d"}


def say(verbosity: int, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _SAY, str(verbosity)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


@pytest.mark.parametrize("environment", [{}, {"JOURNAL_STREAM": "%d:1%d"}])
def test_a_terminal_gets_the_time_and_the_level(environment: dict[str, str]) -> None:
    lines = say(1, environment)[::2]
    words = [line.split(" ", 2) for line in lines]
    assert [word[1:] for word in words] == [
        ["debug", "10"], ["info", "20"], ["warning", "30"], ["error", "40"], ["critical", "50"],
    ]  # fmt: skip
    assert all(len(word[0]) == len("HH:MM:SS") and word[0].count(":") == 2 for word in words)


def test_the_journal_gets_a_priority_for_each_line() -> None:
    lines = say(1, JOURNAL)
    assert lines == [
        "<7>10", "<7>more", "<6>20", "<6>more", "<4>30", "<4>more", "<3>40", "<3>more",
        "<2>50", "<2>more",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verbosity", "lowest"), [(-3, "30"), (-1, "30"), (0, "20"), (1, "10"), (5, "10")]
)
def test_levels(verbosity: int, lowest: str) -> None:
    assert say(verbosity, JOURNAL)[0].endswith(lowest)
