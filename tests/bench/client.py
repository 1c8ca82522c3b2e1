# SPDX-License-Identifier: GPL-3.0-or-later
"""The raw client, `client.c`, as an object: one program on the PC that has claimed a device.

It measures in C, so that its own work hardly counts. What its commands answer stands at the head of
`client.c`. It knows nothing of who answers: use it for any MTP device on the bus.
"""

import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.bench.build import program

OK = 0x2001
ROOT = 0xFFFFFFFF
EVERYTHING = 1 << 30
KIB, MIB = 1 << 10, 1 << 20


class ClientError(Exception):
    """The client gave up; says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A transaction: what was answered, the bytes of its data, and how long it took."""

    code: int
    length: int
    seconds: float
    parameters: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it was OK."""
        return self.code == OK


@dataclass(frozen=True, slots=True)
class Sweep:
    """Transactions for many objects: how many were done, and how long all of them took."""

    count: int
    seconds: float
    size: int
    refused: int

    @property
    def each(self) -> float:
        """Seconds an object."""
        return self.seconds / self.count


@dataclass(frozen=True, slots=True)
class Event:
    """An event, and when it came (CLOCK_MONOTONIC); code 0: none came."""

    code: int
    time: float
    parameters: tuple[int, ...]


@functools.cache
def compiled() -> Path:
    """Compile it, once."""
    return program("client")


class RawClient:
    """One run of the client; `device` is VENDOR:PRODUCT in hexadecimal."""

    def __init__(self, device: str) -> None:
        self._process = subprocess.Popen(
            [str(compiled()), device], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.packet_size = int(self._heard()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End; the session stays open, as a killed program leaves it."""
        with self._process as process:
            process.kill()

    def ask(self, *words: object) -> list[str]:
        """Give a command; the words of its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._heard()

    def _heard(self) -> list[str]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line or line.startswith("error"):
            raise ClientError(line.strip() or "the client ended")
        return line.split()

    # Transactions

    def operate(self, code: int, *parameters: int) -> Answer:
        """Run an operation without data, or with data to the initiator, which is kept."""
        return _answer(self.ask("op", f"{code:X}", *(f"{each:X}" for each in parameters)))

    def operate_out(self, code: int, data: bytes, *parameters: int) -> Answer:
        """Run an operation with data to the responder."""
        words = (f"{code:X}", data.hex(), *(f"{each:X}" for each in parameters))
        return _answer(self.ask("sends", *words))

    def data(self) -> bytes:
        """Give the data of the last operation."""
        word = self.ask("data")[0]
        return b"" if word == "-" else bytes.fromhex(word)

    def open_session(self) -> Answer:
        """Open a session."""
        return self.operate(0x1002, 1)

    def storages(self) -> list[int]:
        """Ids of the storages."""
        self.operate(0x1004)
        data = self.data()
        return [int.from_bytes(data[at : at + 4], "little") for at in range(4, len(data), 4)]

    # Objects

    def handles(self, storage: int, parent: int = ROOT) -> Answer:
        """List a folder; its handles are remembered by the client."""
        answer = self.operate(0x1007, storage, 0, parent)
        if answer.ok:
            self.ask("handles")
        return answer

    def remembered(self) -> list[int]:
        """Handles that the last data listed."""
        data = self.data()
        return [int.from_bytes(data[at : at + 4], "little") for at in range(4, len(data), 4)]

    def forget(self) -> None:
        """Remember no handles."""
        self.ask("forget")

    def each(self, *steps: str, limit: int = EVERYTHING, count: int = EVERYTHING) -> Sweep:
        """Run steps for each remembered handle: up to `count` objects, for `limit` seconds."""
        done, seconds, size, refused = self.ask("each", limit, count, *steps)
        return Sweep(int(done), float(seconds), int(size), int(refused))

    def get(self, handle: int, chunk: int = MIB, *, check: bool = False) -> Answer:
        """Download by host transfers of `chunk` bytes; `check` what `put` has sent."""
        return _answer(self.ask("get", f"{handle:X}", chunk, int(check)))

    def put(
        self, storage: int, size: int, name: str, *, parent: int = ROOT, chunk: int = MIB
    ) -> tuple[int, float]:
        """Upload a file; its handle, and the seconds that it took."""
        words = ("put", f"{storage:X}", f"{parent:X}", size, chunk, name)
        code, handle, seconds = self.ask(*words)
        if int(code, 16) != OK:
            raise ClientError(f"put: {code}")
        return int(handle, 16), float(seconds)

    def put_many(self, storage: int, size: int, count: int, name: str, parent: int) -> Sweep:
        """Upload many files, `name` and a number; their handles are remembered too."""
        words = ("puts", f"{storage:X}", f"{parent:X}", size, count, name)
        done, seconds, refused = self.ask(*words)
        return Sweep(int(done), float(seconds), size * int(done), int(refused))

    def rename_all(self, name: str, count: int = EVERYTHING) -> Sweep:
        """Rename the remembered objects: `name` and a number."""
        done, seconds, refused = self.ask("renames", count, name)
        return Sweep(int(done), float(seconds), 0, int(refused))

    # The endpoints themselves

    def drain(self, size: int, chunk: int) -> float:
        """Read from the bulk endpoint; bytes a second."""
        done, seconds = self.ask("drain", size, chunk)
        return int(done) / float(seconds)

    def flood(self, size: int, chunk: int) -> float:
        """Write to the bulk endpoint; bytes a second."""
        done, seconds = self.ask("flood", size, chunk)
        return int(done) / float(seconds)

    def event(self, milliseconds: int) -> Event:
        """Wait for an event."""
        code, time, *parameters = self.ask("event", milliseconds)
        return Event(int(code, 16), float(time), tuple(int(each, 16) for each in parameters))


def _answer(words: list[str]) -> Answer:
    code, length, seconds, *parameters = words
    numbers = tuple(int(each, 16) for each in parameters)
    return Answer(int(code, 16), int(length), float(seconds), numbers)
