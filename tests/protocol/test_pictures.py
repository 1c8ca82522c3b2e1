# SPDX-License-Identifier: GPL-3.0-or-later
"""Thumbnails and what else is told of pictures."""

import io
import struct
import threading
from pathlib import Path

import pytest
from PIL import Image

from appliance.mtp.codes import EventCode, OperationCode, ResponseCode
from appliance.mtp.wire import Reader
from appliance.storage.thumbnailing import Answer, Worker
from tests.fakes.client import ConnectClient
from tests.protocol.initiator import Initiator

Op = OperationCode
FORMATS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF"}


def picture(width: int, height: int, kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(file, kind)
    return file.getvalue()


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Pictures"
    folder.mkdir()
    for extension, kind in FORMATS.items():
        (folder / f"wide.{extension}").write_bytes(picture(640, 320, kind))
    (folder / "broken.jpg").write_bytes(picture(640, 320, "JPEG")[:500])
    (folder / "no picture.png").write_bytes(b"not at all")
    (folder / "text.txt").write_bytes(b"text")
    return folder


def shown(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG that is whole."""
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.load()
    return image.size


@pytest.mark.parametrize("extension", FORMATS)
def test_a_thumbnail(pc: Initiator, extension: str) -> None:
    data = pc.data(Op.GET_THUMB, pc.names()[f"wide.{extension}"])
    width, height = shown(data)
    assert (width, height) == (160, 80)
    assert len(data) < 65536


def test_where_there_is_none(pc: Initiator) -> None:
    for name in ("no picture.png", "text.txt"):
        refused = pc.refused(Op.GET_THUMB, pc.names()[name])
        assert refused == ResponseCode.NO_THUMBNAIL_PRESENT, name
    pc.call(Op.GET_THUMB, pc.names()["broken.jpg"])
    assert pc.names()


def test_the_thumbnail_follows_the_picture(pc: Initiator, share: Path) -> None:
    handle = pc.names()["wide.png"]
    assert shown(pc.data(Op.GET_THUMB, handle)) == (160, 80)
    (share / "wide.png").write_bytes(picture(100, 400, "PNG"))
    assert shown(pc.data(Op.GET_THUMB, handle)) == (30, 120)


def test_a_representative_sample(pc: Initiator) -> None:
    handle = pc.names()["wide.gif"]

    def value(code: int) -> Reader:
        return Reader(pc.data(Op.GET_OBJECT_PROP_VALUE, handle, code))

    assert value(0xDC81).u16() == 0x3808
    data = value(0xDC86)
    sample = data.take(data.u32())
    assert shown(sample) == (value(0xDC84).u32(), value(0xDC83).u32()) == (160, 80)
    assert value(0xDC82).u32() == len(sample)
    none = pc.names()["no picture.png"]
    assert pc.data(Op.GET_OBJECT_PROP_VALUE, none, 0xDC86) == bytes(4)
    assert pc.data(Op.GET_OBJECT_PROP_VALUE, none, 0xDC82) == bytes(4)


def test_width_and_height(pc: Initiator) -> None:
    for extension in ("jpg", "png", "gif", "webp", "bmp"):
        handle = pc.names()[f"wide.{extension}"]
        size = [
            Reader(pc.data(Op.GET_OBJECT_PROP_VALUE, handle, c)).u32() for c in (0xDC87, 0xDC88)
        ]
        assert size == [640, 320]
    none = pc.names()["no picture.png"]
    assert pc.data(Op.GET_OBJECT_PROP_VALUE, none, 0xDC87) == bytes(4)


def test_object_info_says_that_there_may_be_one(pc: Initiator) -> None:
    for name, form in (("wide.jpg", 0x3808), ("text.txt", 0)):
        data = pc.data(Op.GET_OBJECT_INFO, pc.names()[name])
        thumb_format, thumb_size = struct.unpack_from("<HI", data, 12)
        assert thumb_format == form
        assert bool(thumb_size) == bool(form)


class Slow:
    """A thumbnailer that takes its time: until it is let go, ten seconds at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.let_go, self.was_let_go = threading.Event(), threading.Event(), False
        ask = Worker.ask

        def slowly(worker: Worker, fd: int, *, thumbnail: bool) -> Answer:
            self.asked.set()
            self.was_let_go = self.let_go.wait(10)
            return ask(worker, fd, thumbnail=thumbnail)

        monkeypatch.setattr(Worker, "ask", slowly)


def test_another_session_goes_on_meanwhile(
    share: Path, connect: ConnectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, made = Slow(monkeypatch), []
    with connect(share) as client:
        pc = Initiator(client).open()
        other = pc.another()
        handle = pc.names()["wide.png"]

        def ask() -> None:
            made.append(pc.call(Op.GET_THUMB, handle).data)

        waiting = threading.Thread(target=ask)
        waiting.start()
        assert slow.asked.wait(10)
        names = other.names()
        assert other.data(Op.GET_OBJECT, names["text.txt"]) == b"text"
        assert other.data(Op.GET_OBJECT, names["wide.png"])
        other.ask(Op.DELETE_OBJECT, other.put("new", b"new"))
        slow.let_go.set()
        waiting.join()
    assert slow.was_let_go, "it was kept waiting"
    assert [shown(data or b"") for data in made] == [(160, 80)]


def test_looking_at_pictures_sets_off_no_event(pc: Initiator, share: Path) -> None:
    """A file manager that shows a folder must not be told to list it anew for that."""
    names = pc.names()
    for extension in FORMATS:
        handle = names[f"wide.{extension}"]
        pc.call(Op.GET_THUMB, handle)
        pc.data(Op.GET_OBJECT_PROP_VALUE, handle, 0xDC86)
        pc.data(Op.GET_OBJECT_PROP_VALUE, handle, 0xDC87)
    (share / "sign").mkdir()
    code, sign = pc.event()
    assert (code, pc.info(sign).name) == (EventCode.OBJECT_ADDED, "sign")
