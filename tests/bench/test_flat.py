# SPDX-License-Identifier: GPL-3.0-or-later
"""An object costs the same, however many others lie in its folder: steps are counted, not time."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.fakes.memory_client import connect_memory

TraceFunction = Callable[[FrameType, str, object], Any]
_STORAGE, _ROOT, _ALL = 0x00010001, 0xFFFFFFFF, 0xFFFFFFFF
_FEW, _MANY = 100, 10_000
_ASKED = 50


class Steps:
    """Steps of the interpreter in this thread: a loop counts, whether it calls anything or not."""

    def __init__(self) -> None:
        self.count = 0

    def _step(self, frame: FrameType, event: str, _argument: object) -> TraceFunction:
        frame.f_trace_opcodes = True
        self.count += event == "opcode"
        return self._step

    @contextmanager
    def counting(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._step)
        try:
            yield
        finally:
            sys.settrace(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder with few objects and one with many."""
    few, many = (tmp_path_factory.mktemp(name) for name in ("few", "many"))
    for folder, objects in ((few, _FEW), (many, _MANY)):
        for number in range(objects):
            (folder / f"IMG_{number:06}.JPG").touch()
    return few, many


def steps(folder: Path, code: int, *rest: int) -> float:
    """Steps for each of some objects in a folder; `rest` are the parameters after the handle."""
    counter = Steps()
    with connect_memory(folder) as client:
        client.call(0x1002, 1)
        data = client.call(0x1007, _STORAGE, 0, _ROOT).data
        assert data is not None
        handles = [int.from_bytes(data[at : at + 4], "little") for at in range(4, len(data), 4)]
        asked = handles[:: len(handles) // _ASKED]
        client.call(code, asked[0], *rest)  # what is done for the first time costs more
        with counter.counting():
            answers = [client.call(code, handle, *rest) for handle in asked]
    assert all(answer.ok for answer in answers)
    return counter.count / len(asked)


@pytest.mark.parametrize(
    ("code", "rest"),
    [(0x1008, ()), (0x9805, (0, _ALL, 0, 0)), (0x9803, (0xDC04,))],
    ids=["GetObjectInfo", "GetObjectPropList", "GetObjectPropValue"],
)
def test_an_object_costs_the_same_among_many(
    folders: tuple[Path, Path], code: int, rest: tuple[int, ...]
) -> None:
    few, many = (steps(folder, code, *rest) for folder in folders)
    assert few > 0
    assert many == pytest.approx(few, rel=0.02)


def listing(folder: Path) -> float:
    """Steps for each object of a folder that is listed for the first time."""
    counter = Steps()
    with connect_memory(folder) as client:
        client.call(0x1002, 1)
        with counter.counting():
            data = client.call(0x1007, _STORAGE, 0, _ROOT).data
    assert data is not None
    return counter.count / int.from_bytes(data[:4], "little")


def test_listing_costs_each_object_the_same_among_many(folders: tuple[Path, Path]) -> None:
    few, many = map(listing, folders)
    assert 0 < many <= few  # what a listing costs once is spread over more
