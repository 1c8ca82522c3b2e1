# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that forgets: what may be left of a folder when the power fails at a given moment.

It is as bad as POSIX allows a file system to be that keeps each single step whole:

- Content of a file is there for sure after a sync of that file. Until then it may be anything, and
  here it is always the worst: broken.
- A name that has come, gone or changed is so for sure after a sync of its directory. Until then
  each such step may or may not have reached the disk, in any order, also without those before it.
- A rename is one step: it has happened or not, or the new name is there and the old one still is.
  An exchange of two names has happened or not.

Directories and files are inodes, numbers that are never used again; the root is inode 1.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

ROOT = 1
#: So many combinations of steps are tried one and all; beyond, a choice of them.
_ALL = 64
_SOME = 24

Name = tuple[int, bytes]  # the directory's inode, and the name in it
Tree = tuple[tuple[tuple[bytes, ...], bytes | None], ...]  # paths and content; None: a directory


@dataclass(frozen=True, slots=True)
class Update:
    """A name that means another inode from now on, or nothing (0)."""

    name: Name
    inode: int


@dataclass(frozen=True, slots=True)
class Step:
    """A change of names; `outcomes` are how many of its updates may reach the disk."""

    number: int
    updates: tuple[Update, ...]
    outcomes: tuple[int, ...]


class Disk:
    """What programs have asked for, and what of it is sure."""

    def __init__(self) -> None:
        self._folders = {ROOT}
        self._sure: dict[Name, tuple[int, int]] = {}  # number of the step, inode
        self._steps: list[Step] = []
        self._content: dict[int, bytes] = {}
        self._is_unsynced: set[int] = set()
        self._count = 0

    # What programs do

    def make(self, inode: int, name: Name, *, is_folder: bool) -> None:
        """Make an empty file or directory."""
        if is_folder:
            self._folders.add(inode)
        else:
            self._content[inode] = b""
            self._is_unsynced.add(inode)
        self._step(Update(name, inode))

    def write(self, inode: int, content: bytes) -> None:
        """Let a file have another content."""
        self._content[inode] = content
        self._is_unsynced.add(inode)

    def remove(self, name: Name) -> None:
        """Remove a name."""
        self._step(Update(name, 0))

    def rename(self, inode: int, old: Name, new: Name) -> None:
        """Give something another name, in the place of what has it."""
        # A directory has one name only.
        outcomes = (0, 2) if inode in self._folders else (0, 1, 2)
        self._step(Update(new, inode), Update(old, 0), outcomes=outcomes)

    def exchange(self, first: Update, second: Update) -> None:
        """Let two names change places."""
        self._step(first, second, outcomes=(0, 2))

    def sync(self, inode: int) -> None:
        """Bring a file's content or a directory's names to the disk."""
        self._is_unsynced.discard(inode)
        steps, self._steps = self._steps, []
        for step in steps:
            touched = [at for at, each in enumerate(step.updates) if each.name[0] == inode]
            done = next((each for each in step.outcomes if touched and each > max(touched)), 0)
            for update in step.updates[:done]:
                self._make_sure(step.number, update)
            left = tuple(each - done for each in step.outcomes if each >= done)
            if done < len(step.updates):
                self._steps.append(Step(step.number, step.updates[done:], left))

    def sync_all(self) -> None:
        """Bring all to the disk."""
        for inode in [*self._is_unsynced, *self._folders]:
            self.sync(inode)

    # What may be left

    def remains(self) -> set[Tree]:
        """Say what may be left if the power fails now."""
        return {self._tree(outcome) for outcome in self._outcomes()}

    def _outcomes(self) -> Iterator[tuple[int, ...]]:
        """Choose for each step that is not sure how much of it has reached the disk."""
        choices = [step.outcomes for step in self._steps]
        combinations = 1
        for each in choices:
            combinations *= len(each)
        if combinations <= _ALL:
            yield from itertools.product(*choices)
            return
        for cut in range(len(choices) + 1):
            yield (*(each[-1] for each in choices[:cut]), *(0 for _ in choices[cut:]))
            yield (*(0 for _ in choices[:cut]), *(each[-1] for each in choices[cut:]))
        chance = random.Random(self._count)
        for _ in range(_SOME):
            yield tuple(chance.choice(each) for each in choices)

    def _tree(self, outcome: tuple[int, ...]) -> Tree:
        names = dict(self._sure)
        for step, done in zip(self._steps, outcome, strict=True):
            for update in step.updates[:done]:
                if names.get(update.name, (0, 0))[0] < step.number:
                    names[update.name] = step.number, update.inode
        below: dict[int, list[tuple[bytes, int]]] = {}
        for (folder, name), (_, inode) in names.items():
            if inode:
                below.setdefault(folder, []).append((name, inode))
        return tuple(sorted(self._walk((), ROOT, below)))

    def _walk(
        self, path: tuple[bytes, ...], folder: int, below: dict[int, list[tuple[bytes, int]]]
    ) -> Iterator[tuple[tuple[bytes, ...], bytes | None]]:
        for name, inode in below.get(folder, ()):
            here = (*path, name)
            if inode in self._folders:
                yield here, None
                yield from self._walk(here, inode, below)
            else:
                yield here, self._worst(inode)

    def _worst(self, inode: int) -> bytes:
        return BROKEN if inode in self._is_unsynced else self._content[inode]

    # The pieces

    def _step(self, *updates: Update, outcomes: tuple[int, ...] = (0, 1)) -> None:
        self._count += 1
        self._steps.append(Step(self._count, updates, outcomes))

    def _make_sure(self, number: int, update: Update) -> None:
        if self._sure.get(update.name, (0, 0))[0] < number:
            self._sure[update.name] = number, update.inode


#: What a file holds that was not synced.
BROKEN = b"\0broken\0"
