# SPDX-License-Identifier: GPL-3.0-or-later
"""What a card was asked to write, step by step, and how far a worker's journal had come by then.

The power going before a step leaves what was flushed by then, and of the rest any of its sectors;
what the journal held when the step arrived had happened, and nothing more had. So one run of the
machine tells what may be left at each of its steps.
"""

import bisect
import json
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.power.card import surviving


@dataclass(frozen=True, slots=True)
class Step:
    """A write, or a flush (no data); `seen` is how many bytes the journal had when it came."""

    seen: int
    offset: int = 0
    data: bytes | None = None


class Recording:
    """The steps of one run; `note` is what a `Card` calls for each, before it takes it."""

    def __init__(self, journal: Path) -> None:
        self.steps: list[Step] = []
        self._journal = journal
        self._text = b""

    def note(self, offset: int, data: bytes | None) -> None:
        """Keep a step."""
        seen = self._journal.stat().st_size if self._journal.exists() else 0
        self.steps.append(Step(seen, offset, data))

    def end(self) -> None:
        """Keep the journal, which goes with the guest."""
        self._text = self._journal.read_bytes() if self._journal.exists() else b""

    def points(self, count: int, rng: random.Random) -> list[int]:
        """Choose steps before which the power goes, in their order: once the work has begun."""
        first = bisect.bisect(self.steps, 0, key=lambda step: step.seen)
        return sorted(rng.randrange(first, len(self.steps)) for _ in range(count))

    def lines(self, point: int | None = None) -> list[Any]:
        """Say what the worker had written when a step came; None: in the end."""
        text = self._text if point is None else self._text[: self.steps[point].seen]
        # The last line may have been cut off.
        lines = text.splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]


class Replay:
    """A card's content at one step after another; `image` is what it was before the first.

    `flushes` False: a card that only says that it has flushed.
    """

    def __init__(self, image: Path, steps: list[Step], *, flushes: bool = True) -> None:
        self._image = image
        self._steps = steps
        self._flushes = flushes
        self._at = 0
        self._waiting: list[tuple[int, bytes]] = []

    def put(self, point: int, target: Path, rng: random.Random) -> None:
        """Make of `target` a card whose power went before a step; the steps come in their order."""
        for step in self._steps[self._at : point]:
            if step.data is not None:
                self._waiting.append((step.offset, step.data))
            elif self._flushes:
                _write(self._image, iter(self._waiting))
                self._waiting.clear()
        self._at = point
        copy(self._image, target)
        _write(target, surviving(self._waiting, rng))


def copy(image: Path, target: Path) -> None:
    """Make a card like another, of the same size; what was never written costs nothing."""
    with image.open("rb") as source, target.open("r+b") as to:
        size = os.fstat(source.fileno()).st_size
        os.ftruncate(to.fileno(), 0)
        os.ftruncate(to.fileno(), size)
        for start, end in _written(source.fileno(), size):
            _copy_part(source.fileno(), to.fileno(), start, end)


def _copy_part(source: int, to: int, start: int, end: int) -> None:
    os.lseek(to, start, os.SEEK_SET)
    while start < end:
        start += os.sendfile(to, source, start, end - start)


def _written(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Find where there is more in a file than zeros that nobody has written."""
    end = 0
    with suppress(OSError):  # ENXIO: nothing more
        while end < size:
            start = os.lseek(fd, end, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
            yield start, end


def _write(target: Path, writes: Iterator[tuple[int, bytes]]) -> None:
    with target.open("r+b") as file:
        for offset, data in writes:
            file.seek(offset)
            file.write(data)
