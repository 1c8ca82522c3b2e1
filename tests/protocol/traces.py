# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded conversations of real clients (tests/data/traces), as values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "traces"

#: The share that every recording begins with: handle, path, size (None: a folder).
SHARE: tuple[tuple[int, str, int | None], ...] = (
    (1, "Docs", None),
    (2, "Docs/hello.txt", 12),
    (3, "Docs/zlp500.bin", 500),
    (4, "Docs/zlp1012.bin", 1012),
    (5, "root.txt", 10),
    (6, "rand64k.bin", 65536),
    (7, "empty.bin", 0),
)


@dataclass(slots=True)
class Step:
    """One operation: what the client asked, what it sent, what the recording device answered."""

    line: int
    command: str
    code: int
    parameters: tuple[int, ...]
    sent: int | None = None
    format: int = 0
    size: int = 0
    name: str = ""
    response: int = 0
    answer: tuple[int, ...] = ()
    received: int | None = None


_COMMAND = re.compile(r"[\d.]+ CMD (\w+) tid=\w+ \[(.*)\]")
_SENT = re.compile(r"[\d.]+ +DATA OUT hdrlen=\w+ got=(\d+)")
_CREATE = re.compile(r"[\d.]+ +create st=\w+ par=\w+ fmt=(\w+) size=(\d+) name='(.*)'")
_RENAME = re.compile(r"[\d.]+ +setprop \w+ dc07 '(.*)'")
_ANSWER = re.compile(r"[\d.]+ +-> (\w+) \[(.*?)\](?: data=(\d+))?")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each, 16) for each in re.findall(r"0x(\w+)", text))


def read(path: Path) -> Iterator[Step]:
    """Read the answered operations of one recording."""
    command, step = "", None
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if line.startswith("#####"):
            command = line.removeprefix("#####").strip()
        elif match := _COMMAND.match(line):
            step = Step(number, command, int(match[1], 16), _numbers(match[2]))
        elif step is None:
            continue
        elif match := _SENT.match(line):
            step.sent = int(match[1]) - 12
        elif match := _CREATE.match(line):
            step.format, step.size, step.name = int(match[1], 16), int(match[2]), match[3]
        elif match := _RENAME.match(line):
            step.name = match[1]
        elif match := _ANSWER.match(line):
            step.response, step.answer = int(match[1], 16), _numbers(match[2])
            step.received = int(match[3]) if match[3] else None
            yield step
            step = None
