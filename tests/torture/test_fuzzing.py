# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes that nobody would send, to all that takes bytes.

In the suite: what clients really sent, changed a little, from one seed. By `make torture`, where
atheris is installed, guided by what the bytes reach (`tests/torture/fuzz.py`); else as in the
suite.
"""

import gc
import importlib.util
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.torture.budget import Budget
from tests.torture.targets import TARGETS, corpus

#: Inputs in the suite; a conversation makes a folder and a responder, framing three connections.
_SHORT = {"conversation": 60, "framing": 300}
_LARGEST = 4096
#: One input in so many is as long as this, where a target can take as much.
_SELDOM, _LONG = 100, 1 << 16
_TAKE_MUCH = ("dataset", "settings", "note", "redirection", "update")
#: Seconds after which an input is one that hangs; the slowest takes two, on a busy machine.
_HANGS = 20
#: Bytes by which memory may grow, at any moment of a run; none of the targets comes near.
_MOST_MEMORY = 32 << 20
_PROCESS = Path("/proc/self")


class Hangs(BaseException):
    """No target takes it for an error that it knows."""


@contextmanager
def _noticing_what_hangs() -> Iterator[None]:
    """Break into an input for which an alarm was set, when that is over."""

    def break_in(*_: object) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, break_in)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    """Take something that a client sent, and damage it as wires and attackers do."""
    data = bytearray(chance.choice(seeds)[:_LARGEST])
    for _ in range(chance.choice((0, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                del data[at:]
            case 1:
                del data[at : at + chance.randrange(8)]
            case 2:
                data[at:at] = chance.randbytes(chance.randrange(8))
            case 3:
                data[at : at + 4] = chance.choice((b"\0" * 4, b"\xff" * 4, b"\x00\x00\x00\x80"))
            case 4:
                data[at:at] = data[: chance.randrange(64)]
            case _ if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
    return bytes(data[:_LARGEST])


def repeated(chance: random.Random, seeds: list[bytes]) -> bytes:
    """Take something that a client sent, and say a piece of it again and again."""
    data = chance.choice(seeds)[:_LARGEST]
    at, size = chance.randrange(len(data) + 1), chance.choice((1, 2, 4, 7, 30, 1000))
    piece = data[at : at + size] or chance.randbytes(size)
    return (data[:at] + piece * (_LONG // len(piece)) + data[at:])[:_LONG]


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_stood(name: str, budget: Budget) -> None:
    if budget.is_long and importlib.util.find_spec("atheris") is not None:
        _guided(name, budget)
        return
    chance, count, size = random.Random(budget.seed), 0, 0
    seeds = corpus(name)
    with _noticing_what_hangs():
        for data in seeds:
            _try(name, data[:_LARGEST], "nothing damaged")
    end = time.monotonic() + (budget.seconds or 0)
    before = _memory_from_here()
    with _noticing_what_hangs():
        while count < _SHORT.get(name, 1500) or time.monotonic() < end:
            is_long = name in _TAKE_MUCH and count % _SELDOM == 0
            data = (repeated if is_long else mutated)(chance, seeds)
            _try(name, data, f"seed {budget.seed}, input {count}")
            count, size = count + 1, size + len(data)
    assert _memory("VmHWM") - before < _MOST_MEMORY
    budget.tell(f"{count} inputs, {size} bytes, not guided")


def _try(name: str, data: bytes, which: str) -> None:
    signal.alarm(_HANGS)
    try:
        TARGETS[name](data)
    except BaseException:
        print(f"{name} with {which}: {data.hex()}")
        raise


def _memory_from_here() -> int:
    """Bytes in memory now; the most that there have been (VmHWM) is counted from here on.

    What earlier tests had at most would hide what is had now.
    """
    gc.collect()
    (_PROCESS / "clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(which: str) -> int:
    status = (_PROCESS / "status").read_text()
    return int(status.split(f"\n{which}:")[1].split()[0]) << 10


def _guided(name: str, budget: Budget) -> None:
    command = [sys.executable, "-m", "tests.torture.fuzz", name]
    limits = (f"{budget.seconds}", f"-seed={budget.seed}")
    done = subprocess.run([*command, *limits], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    budget.tell(f"{done.stdout.strip()}, guided")
