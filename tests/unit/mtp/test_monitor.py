# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monitor is told of initiators, whatever road they take."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.mtp.device import Device
from appliance.mtp.monitor import Direction, Movement, Road, Visit
from appliance.mtp.responder import Responder
from appliance.storage import Catalogue, Folder
from appliance.transports.memory import MemoryInitiator
from tests.fakes.device import IDENTITY, ForgetfulState, TestHost

OPEN, CLOSE, HANDLES, GET, PARTIAL, SEND_INFO, SEND = (
    0x1002, 0x1003, 0x1007, 0x1009, 0x101B, 0x100C, 0x100D,
)  # fmt: skip
ALL = 0xFFFFFFFF


class Ear:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def visited(self, visit: Visit) -> None:
        self.said.append(f"{visit.peer} {'open' if visit.is_open else 'closed'} {visit.client}")

    def began(self, visit: Visit, movement: Movement) -> None:
        way = "in" if movement.direction is Direction.IN else "out"
        self.said.append(f"began {movement.name} {way} {movement.done}/{movement.total}")

    def ended(self, visit: Visit, movement: Movement, *, whole: bool) -> None:
        moved = movement.done - movement.begun
        self.said.append(f"ended {movement.name} +{moved}{' whole' if whole else ''}")

    def road(self, road: Road) -> None:
        self.said.append(road.name)

    def heard(self) -> list[str]:
        said, self.said = self.said, []
        return said


class Rig:
    def __init__(self, catalogue: Catalogue) -> None:
        self.ear = Ear()
        device = Device(IDENTITY, ForgetfulState(), TestHost())
        responder = Responder(device, catalogue, self.ear)
        self.connection = responder.connect("memory", "first name")
        self.pc = MemoryInitiator(self.connection)

    def handle(self) -> int:
        return int.from_bytes((self.pc.call(HANDLES, ALL, 0, 0)[2] or b"")[4:8], "little")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    (tmp_path / "file").write_bytes(b"x" * 100)
    with Catalogue([Folder(tmp_path, "Card")]) as catalogue:
        yield Rig(catalogue)


def text(value: str) -> bytes:
    return bytes([len(value) + 1]) + f"{value}\0".encode("utf-16-le")


def object_info(name: str, size: int) -> bytes:
    return (
        bytes(4) + b"\x00\x30" + bytes(2) + size.to_bytes(4, "little") + bytes(40) + text(name)
    ) + bytes(3)


def test_sessions_and_names(rig: Rig) -> None:
    rig.pc.call(OPEN, 1)
    assert rig.ear.heard() == ["memory open first name"]
    rig.pc.call(0x1016, 0xD406, data=text("Windows/10"))
    assert rig.ear.heard() == ["memory open Windows/10"]
    rig.pc.call(0x1001)
    assert rig.ear.heard() == []
    rig.pc.call(CLOSE)
    assert rig.ear.heard() == ["memory closed first name"]
    rig.pc.call(OPEN, 1)
    rig.pc.close()
    rig.pc.close()
    assert rig.ear.heard() == ["memory open first name", "memory closed first name"]


def test_a_download(rig: Rig) -> None:
    rig.pc.call(OPEN, 1)
    handle = rig.handle()
    rig.ear.heard()
    rig.pc.call(GET, handle)
    assert rig.ear.heard() == ["began file in 0/100", "ended file +100 whole"]
    rig.pc.call(GET, 0x7777)
    assert rig.ear.heard() == []


def test_a_file_read_in_parts_is_one_movement(rig: Rig) -> None:
    rig.pc.call(OPEN, 1)
    handle = rig.handle()
    rig.ear.heard()
    for offset in (0, 40, 80, 0):
        rig.pc.call(PARTIAL, handle, offset, 40)
    assert rig.ear.heard() == [
        *("began file in 0/100", "ended file +40"),
        *("began file in 40/100", "ended file +40"),
        *("began file in 80/100", "ended file +20 whole"),
        *("began file in 0/100", "ended file +40"),
    ]


def test_an_upload(rig: Rig, tmp_path: Path) -> None:
    rig.pc.call(OPEN, 1)
    rig.ear.heard()
    rig.pc.call(SEND_INFO, 0, 0, data=object_info("new", 70_000))
    assert rig.ear.heard() == []
    rig.pc.call(SEND, data=b"y" * 70_000)
    assert (tmp_path / "new").stat().st_size == 70_000
    assert rig.ear.heard() == ["began new out 0/70000", "ended new +70000 whole"]


def test_an_upload_that_ends_early_is_not_whole(rig: Rig) -> None:
    rig.pc.call(OPEN, 1)
    rig.ear.heard()
    for size, ended in ((50, "ended new +50"), (0, "ended new +0")):
        rig.pc.call(SEND_INFO, 0, 0, data=object_info("new", 100))
        rig.pc.call(SEND, data=b"y" * size)
        assert rig.ear.heard() == ["began new out 0/100", ended]


def test_an_edit_in_place(rig: Rig, tmp_path: Path) -> None:
    rig.pc.call(OPEN, 1)
    handle = rig.handle()
    rig.ear.heard()
    rig.pc.call(0x95C2, handle, 10, 0, 5, data=b"12345")
    rig.pc.call(0x95C2, handle, 15, 0, 5, data=b"67890")
    assert (tmp_path / "file").read_bytes()[10:20] == b"1234567890"
    assert rig.ear.heard() == [
        *("began file out 0/None", "ended file +5"),
        *("began file out 5/None", "ended file +5"),
    ]


def test_who_goes_away_in_the_middle_leaves_nothing_behind(rig: Rig) -> None:
    rig.pc.call(OPEN, 1)
    rig.pc.call(SEND_INFO, 0, 0, data=object_info("new", 100))
    rig.ear.heard()
    from appliance.mtp.codes import OperationCode  # noqa: PLC0415
    from appliance.mtp.transaction import Reply, Request  # noqa: PLC0415

    sink = rig.connection.execute(Request(OperationCode(SEND), 9), sends_data=True)
    assert not isinstance(sink, Reply)
    sink.write(memoryview(b"z" * 10))
    rig.pc.close()
    assert rig.ear.heard() == [
        "began new out 0/100",
        "ended new +10",
        "memory closed first name",
    ]
