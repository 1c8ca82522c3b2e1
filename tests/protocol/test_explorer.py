# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripted Windows Explorer and Image Capture, and what Windows asks of a device."""

import io
from pathlib import Path

import pytest
from PIL import Image

from appliance.mtp.codes import DataType, EventCode, OperationCode
from appliance.mtp.wire import decode_date
from tests.fakes.client import ConnectClient
from tests.protocol.explorer import Explorer, ImageCapture
from tests.protocol.initiator import Initiator

Op = OperationCode


def test_explorer_does_what_people_do(share: Path, connect: ConnectClient) -> None:
    content = bytes(range(256)) * 500
    with connect(share) as client:
        windows = Explorer(Initiator(client))
        windows.connect()
        top = windows.browse()
        assert set(top) == {"Docs", "root.bin"}
        assert windows.look_at(top["root.bin"])[0xDC04] == 1024
        docs = windows.browse(top["Docs"])
        assert windows.copy_out(docs["a.txt"]) == b"hello a"
        made = windows.new_folder("New folder")
        windows.rename(made, "Ferien 2024 🏖")
        handle = windows.copy_in("Bild.jpg", content, made)
        assert windows.look_at(handle)[0xDC07] == "Bild.jpg"
        assert windows.copy_out(handle) == content
        windows.move(docs["a.txt"], made)
        windows.delete(docs["deep"])
        assert set(windows.browse(made)) == {"Bild.jpg", "a.txt"}
        windows.copy_in("leer.txt", b"", made)
        alt = windows.copy_in_as_before("Alt.jpg", content, made)
        assert windows.copy_out(alt) == content
        windows.copy_in_as_before("Alt.jpg", content[:-1], made)
        windows.copy_in_as_before("auch leer.txt", b"", made)
    assert (share / "Ferien 2024 🏖" / "Bild.jpg").read_bytes() == content
    modified = (share / "Ferien 2024 🏖" / "Bild.jpg").stat().st_mtime
    assert modified == decode_date("20240506T070809")
    for name, expected in (("leer.txt", b""), ("auch leer.txt", b""), ("Alt.jpg", content[:-1])):
        assert (share / "Ferien 2024 🏖" / name).read_bytes() == expected
    assert (share / "Ferien 2024 🏖" / "Alt.jpg").stat().st_mtime == 1.6e9
    assert list((share / "Docs").iterdir()) == []


def test_explorer_looks_at_what_is_added_while_its_window_is_open(
    share: Path, connect: ConnectClient
) -> None:
    with connect(share) as client:
        windows = Explorer(Initiator(client))
        windows.connect()
        windows.browse()
        made = windows.pc.another().mkdir("by someone else").parameters[2]
        assert windows.pc.event() == (EventCode.OBJECT_ADDED, made)
        assert windows.sees(made)[0xDC07] == "by someone else"


#: What Windows' own certification asks of a device that files can be put on.
OPERATIONS = {
    *range(0x1001, 0x100A), 0x100B, 0x100C, 0x100D, 0x1014, 0x1015, 0x1016, 0x101B,
    0x9801, 0x9802, 0x9803, 0x9804, 0x9805, 0x9806, 0x9807, 0x9808, 0x9810, 0x9811,
}  # fmt: skip
EVENTS = {0x4002, 0x4003, 0x4004, 0x4005}
DEVICE_PROPERTIES = {0xD401, 0xD402, 0xD405}
OBJECT_PROPERTIES = {
    0xDC01, 0xDC02, 0xDC03, 0xDC04, 0xDC07, 0xDC08, 0xDC09, 0xDC0B, 0xDC41, 0xDC44, 0xDC4F,
}  # fmt: skip
TYPES = {
    0xDC01: DataType.UINT32, 0xDC02: DataType.UINT16, 0xDC03: DataType.UINT16,
    0xDC04: DataType.UINT64, 0xDC07: DataType.STRING, 0xDC08: DataType.STRING,
    0xDC09: DataType.STRING, 0xDC0B: DataType.UINT32, 0xDC41: DataType.UINT128,
    0xDC44: DataType.STRING, 0xDC4F: DataType.UINT8,
}  # fmt: skip


@pytest.fixture
def windows(share: Path, connect: ConnectClient) -> Explorer:
    with connect(share) as client:
        explorer = Explorer(Initiator(client))
        explorer.connect()
    return explorer


def test_the_device_is_what_windows_asks_for(windows: Explorer) -> None:
    info = windows.info
    assert (info.standard, info.vendor, info.version, info.mode) == (100, 6, 100, 0)
    assert set(info.operations) >= OPERATIONS
    assert set(info.events) >= EVENTS
    assert set(info.properties) >= DEVICE_PROPERTIES
    assert {0x3000, 0x3001} <= set(info.formats)
    assert all((info.manufacturer, info.model, info.device_version, info.serial_number))
    assert info.extensions.startswith("microsoft.com: 1.0;")
    for listed in (info.operations, info.events, info.properties, info.formats):
        assert len(set(listed)) == len(listed)


def test_every_format_has_the_properties_that_windows_asks_for(windows: Explorer) -> None:
    for form, properties in windows.properties.items():
        assert set(properties) >= OBJECT_PROPERTIES, hex(form)
        for code, data_type in TYPES.items():
            assert properties[code].data_type is data_type, hex(code)
        assert properties[0xDC07].settable
        assert properties[0xDC09].settable


def test_image_capture_finds_and_reads_pictures(share: Path, connect: ConnectClient) -> None:
    picture = io.BytesIO()
    Image.effect_noise((640, 480), 50).save(picture, "JPEG")
    content = picture.getvalue()
    (share / "Docs" / "photo.jpg").write_bytes(content)
    with connect(share) as client:
        mac = ImageCapture(Initiator(client))
        info = mac.connect()
        assert 0x100A in info.operations
        assert set(mac.images()) == {"b.jpg", "photo.jpg"}
        handle = mac.images()["photo.jpg"]
        with Image.open(io.BytesIO(mac.thumbnail(handle))) as thumbnail:
            assert thumbnail.size == (160, 120)
        assert mac.download(handle, piece=1000) == content
        assert mac.download(handle) == content
        mac.pc.ask(Op.DELETE_OBJECT, handle)
    assert not (share / "Docs" / "photo.jpg").exists()
