# SPDX-License-Identifier: GPL-3.0-or-later
"""When a change of free space is worth a word."""

import math
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import StorageRecord
from appliance.storage import Catalogue
from appliance.storage.space import Space
from tests.unit.storage.ear import Ear
from tests.unit.storage.helpers import FIRST, put

MIB = 1 << 20


class Disk:
    """A storage of which a test says how full it is."""

    def __init__(self, capacity: int = 1000 * MIB) -> None:
        self.capacity = capacity
        self.free = capacity // 2
        self.looks = 0

    def record(self, storage_id: int) -> StorageRecord:
        self.looks += 1
        if self.free < 0:
            raise MtpError(ResponseCode.STORE_NOT_AVAILABLE)
        return StorageRecord(storage_id, "Card", self.capacity, self.free, read_only=False)


@pytest.mark.parametrize(
    ("capacity", "change", "told"),
    [
        (1000 * MIB, MIB - 1, False),
        (1000 * MIB, MIB, True),
        (1000 * MIB, -MIB, True),
        (10 * MIB, 10 * MIB // 1000 - 1, False),
        (10 * MIB, -(10 * MIB // 1000), True),
        (10, 0, False),
    ],
)
def test_what_is_notable(capacity: int, change: int, told: bool) -> None:
    disk = Disk(capacity)
    space = Space(disk.record)
    space.touch(1, 10)
    disk.free += change
    space.touch(1, 10)
    assert space.changed(10) == [1] * told


def test_looks_are_seldom() -> None:
    disk = Disk()
    space = Space(disk.record)
    assert space.due_at() == math.inf
    assert not space.touch(1, 10)
    assert space.touch(1, 10)
    assert not space.touch(1, 10)
    assert space.due_at() == 10
    assert space.changed(10) == []
    disk.free += MIB
    space.touch(1, 10.5)
    assert space.changed(11) == []
    assert space.due_at() == 12
    looks = disk.looks
    assert space.changed(12) == [1]
    assert disk.looks == looks + 1
    assert space.due_at() == math.inf


def test_little_by_little_is_told_at_last() -> None:
    disk = Disk()
    space = Space(disk.record)
    space.touch(1, 0)
    told = 0
    for now in range(0, 100, 10):
        disk.free -= MIB // 4
        space.touch(1, now)
        told += len(space.changed(now))
    assert told == 2


def test_a_storage_that_is_away() -> None:
    disk = Disk()
    space = Space(disk.record)
    space.touch(1, 0)
    disk.free = -1
    space.touch(1, 0)
    space.touch(2, 0)
    assert space.changed(0) == []
    assert space.due_at() == math.inf


def test_large_files_are_told_of(watched: Catalogue, root: Path, ear: Ear) -> None:
    (root / "theirs").write_bytes(b"1" * 16 * MIB)
    ear.until(lambda: FIRST in ear.spaces)
    ear.spaces.clear()
    put(watched, "ours", b"1" * 16 * MIB)
    ear.until(lambda: FIRST in ear.spaces)
