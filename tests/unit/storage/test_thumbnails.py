# SPDX-License-Identifier: GPL-3.0-or-later
"""Thumbnails: made by another process, which hostile files may hurt but we do not feel it."""

import importlib.util
import io
import logging
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Picture
from appliance.storage import Catalogue, Folder, thumbnailing, thumbnails
from appliance.storage.thumbnailing import Answer, BusyError, Worker
from tests.unit.storage.helpers import FIRST, find, open_descriptors, refused

PROJECT = Path(__file__).parents[3]
RED, BLUE = (200, 30, 30), (30, 30, 200)


@pytest.fixture
def worker(store: Catalogue) -> Worker:
    return store._on_demand.thumbnails._worker


@pytest.fixture
def asked(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Count what the process is asked; whether for thumbnails."""
    counted: list[bool] = []
    ask = worker.ask

    def counting(fd: int, *, thumbnail: bool) -> Answer:
        counted.append(thumbnail)
        return ask(fd, thumbnail=thumbnail)

    monkeypatch.setattr(worker, "ask", counting)
    return counted


def halves(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """An image that is red on the left and blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image.convert(mode)


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int = 1, thumbnail: bytes = b"", order: str = "<") -> bytes:
    """Exif data: a directory with the orientation, one with the thumbnail, the thumbnail."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    first = struct.pack(f"{order}HHHIHxx", 1, 0x0112, 3, 1, orientation)
    second_at = 8 + len(first) + 4 if thumbnail else 0
    second = struct.pack(
        f"{order}HHHIIHHIII", 2, 0x0201, 4, 1, second_at + 30, 0x0202, 4, 1, len(thumbnail), 0
    )
    return b"Exif\0\0" + head + first + struct.pack(f"{order}I", second_at) + second + thumbnail


def opened(picture: Picture) -> Image.Image:
    """A thumbnail as a PC sees it."""
    assert len(picture.data) <= 64 << 10
    image = Image.open(io.BytesIO(picture.data), formats=["JPEG"])
    image.load()
    assert image.size == (picture.width, picture.height)
    assert not image.getexif()
    return image


def about(pixel: Any, color: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 40 for one, other in zip(pixel, color, strict=True))


def thumbnail(store: Catalogue, root: Path, data: bytes, name: str = "image") -> Image.Image:
    (root / name).write_bytes(data)
    return opened(store.thumbnail(find(store, name)))


def none_of(store: Catalogue, root: Path, data: bytes, name: str = "image") -> None:
    (root / name).write_bytes(data)
    with refused(Code.NO_THUMBNAIL_PRESENT):
        store.thumbnail(find(store, name))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_an_image(store: Catalogue, root: Path, kind: str) -> None:
    image = thumbnail(store, root, saved(halves(640, 320), kind))
    assert image.size == (160, 80)
    assert about(image.getpixel((20, 40)), RED)
    assert about(image.getpixel((140, 40)), BLUE)
    assert store.image_size(find(store, "image")) == (640, 320)


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((640, 480), (160, 120)),
        ((480, 640), (90, 120)),
        ((6000, 10), (160, 1)),
        ((10, 6000), (1, 120)),
        ((20, 10), (20, 10)),
        ((1, 1), (1, 1)),
    ],
)
def test_it_fits_into_the_box(
    store: Catalogue, root: Path, size: tuple[int, int], small: tuple[int, int]
) -> None:
    assert thumbnail(store, root, saved(halves(*size))).size == small


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", "JPEG"), ("CMYK", "JPEG"), ("1", "PNG"), ("L", "PNG"), ("P", "PNG"), ("P", "GIF"),
     ("I;16", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"), ("CMYK", "TIFF"), ("F", "TIFF")],
)  # fmt: skip
def test_every_kind_of_pixel(store: Catalogue, root: Path, mode: str, kind: str) -> None:
    image = Image.new(mode, (300, 300)) if mode == "I;16" else halves(300, 300, mode)
    assert thumbnail(store, root, saved(image, kind)).size == (120, 120)


def test_what_can_be_seen_through_lies_on_white(store: Catalogue, root: Path) -> None:
    clear = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    palette = Image.new("P", (300, 300), 0)
    for number, data in enumerate(
        (saved(clear, "PNG"), saved(clear, "WEBP"), saved(palette, "GIF", transparency=0))
    ):
        image = thumbnail(store, root, data, f"{number}")
        assert image.getpixel((60, 60)) == (255, 255, 255)


def test_sixteen_bits_of_grey(store: Catalogue, root: Path) -> None:
    image = Image.new("I;16", (300, 300), 0x8000)
    found = thumbnail(store, root, saved(image, "PNG")).getpixel((60, 60))
    assert about(found, (128, 128, 128))


# Exif


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_cameras_own_thumbnail_is_taken(store: Catalogue, root: Path, order: str) -> None:
    small = saved(Image.new("RGB", (160, 120), BLUE))
    data = saved(Image.new("RGB", (640, 480), RED), exif=exif(1, small, order))
    assert about(thumbnail(store, root, data).getpixel((80, 60)), BLUE)


@pytest.mark.parametrize(
    ("orientation", "size", "red"),
    [
        (1, (160, 80), (10, 40)),
        (2, (160, 80), (150, 40)),
        (3, (160, 80), (150, 40)),
        (4, (160, 80), (10, 40)),
        (5, (60, 120), (30, 10)),
        (6, (60, 120), (30, 10)),
        (7, (60, 120), (30, 110)),
        (8, (60, 120), (30, 110)),
        (9, (160, 80), (10, 40)),
    ],
)
@pytest.mark.parametrize("embedded", [True, False], ids=["Exif", "scaled"])
def test_it_stands_upright(
    store: Catalogue,
    root: Path,
    *,
    orientation: int,
    size: tuple[int, int],
    red: tuple[int, int],
    embedded: bool,
) -> None:
    small = saved(halves(160, 80)) if embedded else b""
    data = saved(halves(640, 320), exif=exif(orientation, small))
    image = thumbnail(store, root, data)
    assert image.size == size
    assert about(image.getpixel(red), RED)
    assert store.image_size(find(store, "image")) == (640, 320)


@pytest.mark.parametrize(
    "small",
    [
        b"not at all",
        saved(Image.new("RGB", (160, 120), BLUE))[:300],
        saved(Image.new("RGB", (160, 120), BLUE), "PNG"),
        saved(Image.new("RGB", (120, 160), BLUE)),
        saved(Image.new("RGB", (1600, 1200), BLUE)),
    ],
    ids=["no image", "cut", "PNG", "another shape", "too large"],
)
def test_a_bad_embedded_thumbnail_is_not_taken(store: Catalogue, root: Path, small: bytes) -> None:
    data = saved(Image.new("RGB", (640, 480), RED), exif=exif(1, small))
    assert about(thumbnail(store, root, data).getpixel((80, 60)), RED)


def test_bad_exif_data_hinders_nothing(store: Catalogue, root: Path) -> None:
    good = exif(6, saved(halves(160, 120)))
    for length in (0, 5, 6, 10, 14, 20, 30, 50, 60):
        data = saved(Image.new("RGB", (640, 480), RED), exif=good[:length])
        thumbnail(store, root, data, f"{length}")
    endless = b"Exif\0\0II*\0" + struct.pack("<IHI", 8, 0, 8)
    thumbnail(store, root, saved(halves(640, 480), exif=endless), "endless")


def huge_jpeg(thumbnail: bytes = b"") -> bytes:
    """A JPEG of 100 megapixels, as its header says; what follows is missing."""
    data = bytearray(saved(Image.new("RGB", (64, 64), RED), exif=exif(1, thumbnail)))
    at = data.rindex(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 10_000, 10_000)
    return bytes(data)


def test_a_photo_of_a_hundred_megapixels(store: Catalogue, root: Path) -> None:
    small = saved(Image.new("RGB", (120, 120), BLUE))
    image = thumbnail(store, root, huge_jpeg(small))
    assert about(image.getpixel((60, 60)), BLUE)
    assert store.image_size(find(store, "image")) == (10_000, 10_000)


def test_a_large_photo_is_decoded_small(store: Catalogue, root: Path) -> None:
    image = thumbnail(store, root, saved(halves(8000, 6000), quality=30))
    assert image.size == (160, 120)


# What is no image, or a bad one


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def endless_gif(frames: int) -> bytes:
    still = saved(Image.new("P", (16, 16)), "GIF")
    frame = still[still.index(b"\x2c") : -1]
    return still[: still.index(b"\x2c")] + frame * frames + b";"


BAD = {
    "empty": b"",
    "text": b"no image at all",
    "zeros": bytes(100_000),
    "cut JPEG": saved(halves(640, 480))[:800],
    "cut PNG": saved(halves(640, 480), "PNG")[:300],
    "huge PNG": png(60_000, 60_000, bytes(1 << 20)),
    "largest PNG": png(0x7FFFFFFF, 0x7FFFFFFF, b""),
    "huge GIF": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\x02L\x01\0;",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
}


@pytest.mark.parametrize("name", BAD)
def test_there_is_none(store: Catalogue, root: Path, asked: list[bool], name: str) -> None:
    none_of(store, root, BAD[name])
    with refused(Code.NO_THUMBNAIL_PRESENT):
        store.thumbnail(find(store, "image"))
    assert len(asked) == (name != "empty")
    store.image_size(find(store, "image"))
    thumbnail(store, root, saved(halves(64, 64)), "good")


def test_a_moving_image_costs_its_first_frame(store: Catalogue, root: Path) -> None:
    started = time.monotonic()
    assert thumbnail(store, root, endless_gif(500_000)).size == (16, 16)
    assert time.monotonic() - started < 5


def test_random_files(store: Catalogue, root: Path) -> None:
    generator = random.Random(1)
    for number, kind in enumerate(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "JPEG2000"] * 6):
        data = bytearray(saved(halves(200, 150), kind))
        for _ in range(generator.randint(1, 30)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        (root / f"{number}").write_bytes(data[: generator.randint(1, len(data))])
        try:
            opened(store.thumbnail(find(store, f"{number}")))
        except MtpError as error:
            assert error.code is Code.NO_THUMBNAIL_PRESENT
    thumbnail(store, root, saved(halves(64, 64)), "good")


def test_a_folder_and_what_is_gone(store: Catalogue, root: Path) -> None:
    (root / "folder").mkdir()
    with refused(Code.NO_THUMBNAIL_PRESENT):
        store.thumbnail(find(store, "folder"))
    assert store.image_size(find(store, "folder")) == (0, 0)
    (root / "gone").write_bytes(saved(halves(64, 64)))
    handle = find(store, "gone")
    (root / "gone").unlink()
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.thumbnail(handle)
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.image_size(999)


def test_a_link_is_not_followed(store: Catalogue, root: Path, canary: Path) -> None:
    (root / "image").write_bytes(saved(halves(64, 64)))
    handle = find(store, "image")
    (root / "image").unlink()
    (root / "image").symlink_to(canary / "secret.txt")
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.thumbnail(handle)


# Remembering


def test_it_is_made_once(store: Catalogue, root: Path, asked: list[bool]) -> None:
    (root / "image").write_bytes(saved(halves(640, 480)))
    handle = find(store, "image")
    assert store.image_size(handle) == store.image_size(handle) == (640, 480)
    assert store.thumbnail(handle) is store.thumbnail(handle)
    assert store.image_size(handle) == (640, 480)
    assert asked == [False, True]


def test_another_image_under_the_name(store: Catalogue, root: Path) -> None:
    assert thumbnail(store, root, saved(halves(640, 320))).size == (160, 80)
    assert thumbnail(store, root, saved(halves(320, 640))).size == (60, 120)


def test_what_changes_while_it_is_read_is_not_remembered(
    store: Catalogue, root: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "image").write_bytes(saved(halves(640, 320)))
    ask = worker.ask

    def late(fd: int, *, thumbnail: bool) -> Answer:
        answer = ask(fd, thumbnail=thumbnail)
        os.utime(root / "image", (1, 1))
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(worker, "ask", late)
        store.thumbnail(find(store, "image"))
    assert not store._on_demand.thumbnails._known


def test_memory_is_bounded(
    store: Catalogue, root: Path, asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "_MEMORY", 5000)
    for number in range(20):
        thumbnail(store, root, saved(halves(300, 300)), f"{number}")
    kept = store._on_demand.thumbnails
    assert 0 < kept._weight <= 5000
    assert kept._weight == sum(each.weight for each in kept._known.values())
    store.thumbnail(find(store, "19"))
    assert len(asked) == 20
    store.thumbnail(find(store, "0"))
    assert len(asked) == 21


# The process


def test_a_process_that_dies_is_started_again(store: Catalogue, root: Path, worker: Worker) -> None:
    thumbnail(store, root, saved(halves(64, 64)), "first")
    assert worker._process
    worker._process.kill()
    worker._process.wait()
    thumbnail(store, root, saved(halves(64, 64)), "second")


def test_a_process_that_dies_over_a_file_is_not_asked_again(
    store: Catalogue, root: Path, tmp_path: Path, asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import socket; s = socket.socket(fileno=0); s.send(b'!'); socket.recv_fds(s, 1, 1)"
    )
    with monkeypatch.context() as patch:
        patch.setattr(thumbnailing, "_PROGRAM", program)
        none_of(store, root, saved(halves(65, 65)), "deadly")
    with refused(Code.NO_THUMBNAIL_PRESENT):
        store.thumbnail(find(store, "deadly"))
    assert len(asked) == 1
    thumbnail(store, root, saved(halves(64, 64)), "good")


def test_a_process_that_takes_too_long_is_killed(
    store: Catalogue, root: Path, worker: Worker, asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbnail(store, root, saved(halves(64, 64)), "first")
    process = worker._process
    assert process
    os.kill(process.pid, 19)
    assert worker._channel
    worker._channel.settimeout(0.2)
    none_of(store, root, saved(halves(65, 65)), "slow")
    assert process.wait() == -9
    with refused(Code.NO_THUMBNAIL_PRESENT):
        store.thumbnail(find(store, "slow"))
    assert len(asked) == 2
    thumbnail(store, root, saved(halves(64, 64)), "second")


def test_a_process_that_does_not_start(
    store: Catalogue, root: Path, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text("raise SystemExit")
    with monkeypatch.context() as patch:
        patch.setattr(thumbnailing, "_PROGRAM", program)
        none_of(store, root, saved(halves(64, 64)))
    with pytest.raises(BusyError, match="a moment ago"):
        worker.ask(0, thumbnail=True)
    worker._not_before = 0
    opened(store.thumbnail(find(store, "image")))


@pytest.mark.parametrize(
    "packet",
    [
        "b''", "b'x'", "b'x' * 70000", "struct.pack('<IIII', 9, 9, 161, 9) + b'x'",
        "struct.pack('<IIII', 9, 9, 9, 0) + b'x'", "struct.pack('<IIII', 9, 9, 9, 9)",
    ],
)  # fmt: skip
def test_a_process_that_talks_nonsense(
    store: Catalogue, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packet: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import socket, struct; s = socket.socket(fileno=0); s.send(b'!'); s.recv(1)\n"
        f"s.send({packet})"
    )
    monkeypatch.setattr(thumbnailing, "_PROGRAM", program)
    none_of(store, root, saved(halves(64, 64)))


def limits_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[1] for line in lines}


def test_the_process_has_limits(store: Catalogue, root: Path, worker: Worker) -> None:
    thumbnail(store, root, saved(halves(64, 64)))
    assert worker._process
    limits = limits_of(worker._process.pid)
    assert int(limits["Max address space"]) <= 256 << 20
    assert int(limits["Max open files"]) <= 64
    for what in ("Max core file size", "Max file size", "Max processes"):
        assert limits[what] == "0"


def test_the_process_has_nothing_open(store: Catalogue, root: Path, worker: Worker) -> None:
    thumbnail(store, root, saved(halves(64, 64)))
    assert worker._process
    held = Path(f"/proc/{worker._process.pid}/fd").iterdir()
    where = {each.name: str(each.readlink()) for each in held}
    assert where.pop("0").startswith("socket:")
    assert set(where.values()) <= {"/dev/null"}


def test_it_ends_with_the_store(root: Path) -> None:
    before = open_descriptors()
    with Catalogue([Folder(root, "Card")]) as store:
        thumbnail(store, root, saved(halves(64, 64)))
        process = store._on_demand.thumbnails._worker._process
        assert process
    assert process.wait() == -9
    assert open_descriptors() == before


def test_it_ends_when_nobody_asks(tmp_path: Path) -> None:
    code = "import appliance.thumbnailer as t; t._IDLE = 0.2; t.main()"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, "-c", code], stdin=theirs.fileno(), cwd=PROJECT, timeout=20, check=True
        )
        assert done.returncode == 0
        assert ours.recv(10) == b"!"


# Who waits


def test_others_wait_no_longer_than_a_while(
    store: Catalogue, root: Path, asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "_PATIENCE", 0.1)
    turn = store._on_demand.thumbnails._turn
    with turn:
        none_of(store, root, saved(halves(64, 64)))
    assert not asked
    opened(store.thumbnail(find(store, "image")))


def test_only_who_asks_waits(
    store: Catalogue, root: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "image").write_bytes(saved(halves(64, 64)))
    handle = find(store, "image")
    asking, done = threading.Event(), threading.Event()

    def slow(_: int, *, thumbnail: bool) -> Answer:
        asking.set()
        assert done.wait(10)
        return Answer()

    monkeypatch.setattr(worker, "ask", slow)
    thread = threading.Thread(target=store.image_size, args=(handle,))
    thread.start()
    assert asking.wait(10)
    assert store.record(handle).size
    assert len(store.children(FIRST, 0)) == 1
    done.set()
    thread.join()


def test_many_at_once(store: Catalogue, root: Path) -> None:
    for number in range(8):
        (root / f"{number}").write_bytes(saved(halves(64 + number, 64)))
    handles = {number: find(store, f"{number}") for number in range(8)}
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for number, handle in handles.items():
                assert opened(store.thumbnail(handle)).width == 64 + number
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


# Without Pillow


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(thumbnails, "_is_possible", None)
    yield


@pytest.mark.usefixtures("without_pillow")
def test_without_pillow_there_are_none(
    store: Catalogue, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert not store.makes_thumbnails
    none_of(store, root, saved(halves(64, 64)))
    none_of(store, root, saved(halves(64, 64)), "other")
    assert store.image_size(find(store, "image")) == (0, 0)
    hints = [record for record in caplog.records if "pip install pillow" in record.message]
    assert len(hints) == 1


def test_with_pillow_there_are(store: Catalogue) -> None:
    assert store.makes_thumbnails


def test_pillow_stays_out_of_our_process(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(saved(halves(640, 480)))
    code = (
        "import sys; from pathlib import Path; from appliance.storage import Catalogue, Folder\n"
        "with Catalogue([Folder(Path(sys.argv[1]), 'Card')]) as store:\n"
        "    handle = store.children(0x10001, 0)[0]\n"
        "    assert 'subprocess' not in sys.modules\n"
        "    assert store.thumbnail(handle).data\n"
        "print([name for name in sys.modules if name.startswith('PIL')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
