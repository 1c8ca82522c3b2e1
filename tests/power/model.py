# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be on the card: what was answered, and of what was under way the old or the new. Pure.

An operation is a list, as JSON has it: `["put", path, number, size]`, `["folder", path]`,
`["rename", path, new]` (a move too), `["copy", path, new]`, `["delete", path]`,
`["days", number]`, and `["edit", path, number, at, length, end]`: `length` new bytes at `at`, then
cut to `end` bytes.
"""

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

Operation = list[Any]
FOLDER = "Folder"
_MOST_FILES = 40
_MOST_EDITED = 80_000
#: Bytes that the trash keeps at least: less than its share of the smallest card here.
_KEPT = 4_000_000
#: What is done, and how often.
KINDS = {"put": 50, "edit": 15, "rename": 18, "copy": 8, "delete": 12, "days": 3}


@dataclass(frozen=True, slots=True)
class Found:
    """What a card holds: digests of files by their paths, folders, a setting.

    `edited` is what the file holds whose edit was under way, if there was one; `trash` has the
    digests of what is in the trash, None where nobody has looked.
    """

    files: dict[str, str] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()
    days: int = 30
    edited: bytes | None = None
    trash: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Files by their paths, with what is in each; folders; a setting.

    `trash` is what was deleted or replaced, as far as it has to be there still; the newest first.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()
    days: int = 30
    trash: tuple[bytes, ...] = ()

    def after(self, operation: Operation) -> "State":
        """Say what it is after an operation."""
        files, folders, days, trash = dict(self.files), self.folders, self.days, self.trash
        match operation:
            case ["put", path, number, size]:
                if path in files:
                    trash = _newest(files[path], *trash)
                files[path] = content(number, size)
            case ["edit", path, number, at, length, end]:
                files[path] = cut(overwritten(files[path], number, at, length), end)
            case ["folder", path]:
                folders |= {path}
            case ["rename", path, to]:
                files[to] = files.pop(path)
            case ["copy", path, to]:
                files[to] = files[path]
            case ["delete", path]:
                trash = _newest(files.pop(path), *trash)
            case ["days", number]:
                days = number
            case _:
                raise ValueError(operation)
        return State(files, folders, days, trash)

    def digests(self) -> dict[str, str]:
        """Say in short what is in each file."""
        return {path: digest(data) for path, data in self.files.items()}


class Expected:
    """What the card must hold, as far as a worker's lines have come."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
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

    @property
    def edited(self) -> str | None:
        """The file whose edit is under way."""
        operation = self.under_way or [""]
        return operation[1] if operation[0] == "edit" else None

    def settle(self, found: Found) -> None:
        """Compare with what is there, which holds from then on."""
        lost = self.lost(found)
        assert not lost, f"under way: {self.under_way}\n" + "\n".join(lost)
        self.state, self.under_way = self._kept(found), None

    def lost(self, found: Found) -> list[str]:
        """Say what is not as it was, nor as it is to be, by what of the two is the nearer."""
        return min((_differences(each, found) for each in self._allowed(found)), key=len)

    def _allowed(self, found: Found) -> list[State]:
        """What may be there: the old, the new, and a file that is edited in part."""
        if self.under_way is None:
            return [self.state]
        allowed = [self.state, self.state.after(self.under_way)]
        if self.edited and found.edited is not None and self._is_in_part(found.edited):
            allowed.append(_with(self.state, self.edited, found.edited))
        return allowed

    def _is_in_part(self, data: bytes) -> bool:
        """Whether each byte is that before the edit or after a step of it.

        What is added or cut off may be zeros: not written yet, or cleared before it goes.
        """
        assert self.under_way is not None
        _, path, number, at, length, end = self.under_way
        old = self.state.files[path]
        written = overwritten(old, number, at, length)
        stages = (old, written, cut(written, end))
        lengths = [len(each) for each in stages]
        if not min(lengths) <= len(data) <= max(lengths):
            return False
        sure = min(lengths)
        return all(
            any(i < len(each) and each[i] == byte for each in stages) or (i >= sure and not byte)
            for i, byte in enumerate(data)
        )

    def _kept(self, found: Found) -> State:
        return next(each for each in self._allowed(found) if not _differences(each, found))


def _newest(*trash: bytes) -> tuple[bytes, ...]:
    """Take as many as the trash keeps for sure."""
    sizes = itertools.accumulate(map(len, trash))
    return tuple(each for each, size in zip(trash, sizes, strict=True) if size <= _KEPT)


def _with(state: State, path: str, data: bytes) -> State:
    return replace(state, files=state.files | {path: data})


def _differences(state: State, found: Found) -> list[str]:
    """Say what is otherwise than in a state, a line for each path."""
    wanted = state.digests()
    lines = [
        f"{path}: {_said(found.files.get(path))} instead of {_said(wanted.get(path))}"
        for path in sorted(wanted.keys() | found.files.keys())
        if wanted.get(path) != found.files.get(path)
    ]
    lines += [f"{path}/: not as it was" for path in sorted(state.folders ^ found.folders)]
    if state.days != found.days:
        lines.append(f"the setting: {found.days} instead of {state.days}")
    if found.trash is not None:
        missing = Counter(map(digest, state.trash)) - Counter(found.trash)
        lines += [f"the trash: {_said(each)} is not in it" for each in missing]
    return lines


def _said(of: str | None) -> str:
    return "nothing" if of is None else of[:8]


def content(number: int, size: int) -> bytes:
    """Make what is in a file; another for each number."""
    return random.Random(number).randbytes(size)


def overwritten(data: bytes, number: int, at: int, length: int) -> bytes:
    """Make of a file's content what it is after a write in place."""
    return data[:at] + content(number, length) + data[at + length :]


def cut(data: bytes, end: int) -> bytes:
    """Make a file's content so long; what is added is zeros."""
    return data[:end].ljust(end, b"\0")


def digest(data: bytes) -> str:
    """Say in short what is in a file."""
    return hashlib.sha256(data).hexdigest()


def next_operation(
    state: State, number: int, rng: random.Random, without: Collection[str] = ()
) -> Operation:
    """Choose what is done next, of all kinds but some."""
    if FOLDER not in state.folders:
        return ["folder", FOLDER]
    kinds = [each for each in KINDS if each not in without]
    kind = rng.choices(kinds, [KINDS[each] for each in kinds])[0]
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
    if kind == "edit":
        return _edit(state, number, rng) or ["delete", path]
    if kind == "copy":
        return _copy(state, path)
    return _rename(state, path, number, rng)


def _edit(state: State, number: int, rng: random.Random) -> Operation | None:
    """Choose a file that is not too large to compare byte by byte, and a part of it."""
    small = sorted(path for path, data in state.files.items() if len(data) <= _MOST_EDITED)
    if not small:
        return None
    path = rng.choice(small)
    size = len(state.files[path])
    at, length = rng.randint(0, size), rng.choice((1, 512, 4096, rng.randint(1, 20_000)))
    whole = max(size, at + length)
    return ["edit", path, number, at, length, rng.choice((whole, rng.randint(0, whole + 5000)))]


def _rename(state: State, path: str, number: int, rng: random.Random) -> Operation:
    folder = path.rpartition("/")[0]
    if rng.random() < 0.5 or _elsewhere(path) in state.files:
        return ["rename", path, f"{folder}/r{number}" if folder else f"r{number}"]
    return ["rename", path, _elsewhere(path)]


def _copy(state: State, path: str) -> Operation:
    """Copy a file, or remove it, where there are too many or one of its name is there."""
    there = _elsewhere(path) in state.files or len(state.files) >= _MOST_FILES
    return ["delete", path] if there else ["copy", path, _elsewhere(path)]


def _elsewhere(path: str) -> str:
    """Say where a file lies under its name in the other folder."""
    folder, _, name = path.rpartition("/")
    return name if folder else f"{FOLDER}/{name}"


def _size(rng: random.Random) -> int:
    return rng.choice((0, rng.randint(1, 5_000), rng.randint(1, 80_000), rng.randint(1, 1_500_000)))
