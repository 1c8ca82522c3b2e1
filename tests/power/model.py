# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be on the card: what was answered, and of what was under way the old or the new. Pure.

An operation is a list, as JSON has it: `["put", path, number, size]`, `["folder", path]`,
`["rename", path, new]` (a move too), `["delete", path]`, `["days", number]`.
"""

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Operation = list[Any]
FOLDER = "Folder"
_MOST_FILES = 40


@dataclass(slots=True)
class State:
    """Files by their paths, with the digest of what is in each; folders; a setting."""

    files: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    days: int = 30

    def after(self, operation: Operation) -> "State":
        """Say what it is after an operation."""
        new = State(dict(self.files), set(self.folders), self.days)
        match operation:
            case ["put", path, number, size]:
                new.files[path] = digest(content(number, size))
            case ["folder", path]:
                new.folders.add(path)
            case ["rename", path, to]:
                new.files[to] = new.files.pop(path)
            case ["delete", path]:
                del new.files[path]
            case ["days", number]:
                new.days = number
            case _:
                raise ValueError(operation)
        return new


class Expected:
    """What the card must hold, as far as a worker's lines have come."""

    def __init__(self) -> None:
        self.state = State()
        self.under_way: Operation | None = None
        self.answered = 0

    def follow(self, lines: Iterable[Operation | str]) -> None:
        """Take over what a worker wrote: an operation before it begins, `"done"` when answered."""
        for line in lines:
            if line == "done":
                assert self.under_way is not None
                self.state = self.state.after(self.under_way)
                self.under_way = None
                self.answered += 1
            elif isinstance(line, list):
                self.under_way = line

    def settle(self, found: State) -> None:
        """Compare with what is there, which holds from then on."""
        allowed = [self.state]
        if self.under_way is not None:
            allowed.append(self.state.after(self.under_way))
        assert found in allowed, (
            f"under way: {self.under_way}\nexpected: {self.state}\nfound:    {found}"
        )
        self.state, self.under_way = found, None


def content(number: int, size: int) -> bytes:
    """Make what is in a file; another for each number."""
    return random.Random(number).randbytes(size)


def digest(data: bytes) -> str:
    """Say in short what is in a file."""
    return hashlib.sha256(data).hexdigest()


def next_operation(state: State, number: int, rng: random.Random) -> Operation:
    """Choose what is done next."""
    if FOLDER not in state.folders:
        return ["folder", FOLDER]
    kind = rng.choices(("put", "rename", "delete", "days"), (60, 20, 12, 3))[0]
    if kind == "days":
        return ["days", rng.randint(1, 3650)]
    there = sorted(state.files)
    if kind == "put" or not there:
        new = f"{rng.choice(('', FOLDER + '/'))}{number}"
        over = there and (rng.random() < 0.4 or len(there) >= _MOST_FILES)
        return ["put", rng.choice(there) if over else new, number, _size(rng)]
    path = rng.choice(there)
    if kind == "delete":
        return ["delete", path]
    folder, _, name = path.rpartition("/")
    if rng.random() < 0.5:
        return ["rename", path, f"{folder}/r{number}" if folder else f"r{number}"]
    return ["rename", path, name if folder else f"{FOLDER}/{name}"]


def _size(rng: random.Random) -> int:
    return rng.choice((0, rng.randint(1, 5_000), rng.randint(1, 80_000), rng.randint(1, 1_500_000)))
