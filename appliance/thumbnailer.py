# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes small pictures, in a process of its own: decoders of images are where hostile files bite.

`appliance.storage.thumbnails` starts it with a socket as file descriptor 0, and hands it one open
file after the other; it gets no path, and does nothing else. It knows its own limits: memory, time,
descriptors, no files to write, no children. It ends when nobody has asked for a while.

A packet there: one letter, `t` for a thumbnail or `s` for the image's size, with the descriptor.
A packet back, little-endian:

| offset | bytes | what                                                        |
|--------|-------|-------------------------------------------------------------|
| 0      | 8     | width and height of the image in pixels; zeros: not known   |
| 8      | 8     | width and height of the thumbnail; zeros: there is none     |
| 16     |       | the thumbnail: JPEG                                         |

A packet `!` says, at the beginning, that it is ready.
"""

import io
import os
import resource
import signal
import socket
import struct
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

#: Exif and DCF say 160 x 120 for thumbnails, which is what PCs expect and cameras store.
BOX = (160, 120)
ANSWER = struct.Struct("<IIII")
_QUALITY = 80
_MAX_BYTES = (64 << 10) - ANSWER.size
_IDLE = 30.0
_MEMORY = 256 << 20
_CPU_SECONDS = 5
_FILES = 32
#: More is not decoded, with four bytes each. A JPEG counts as what it is scaled to while decoding.
_MAX_PIXELS = 32_000_000
_ORIENTATION = 0x0112
#: What makes an image upright, for each orientation (Exif 2.3, 4.6.4).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: A thumbnail in the file that is more distorted than this shows something else, or black bars.
_DISTORTION = 0.1
_PLUGINS = ("Bmp", "Gif", "Jpeg", "Png", "Tiff", "WebP", "Mpo", "Jpeg2K", "Avif", "Ico", "Ppm")
#: What Pillow raises for files that are no images, or bad ones.
_BAD = (
    *(OSError, ValueError, SyntaxError, LookupError, ArithmeticError, TypeError, AttributeError),
    *(EOFError, MemoryError, RuntimeError, struct.error, UnidentifiedImageError),
)


def main() -> None:
    """Serve until nobody asks any more."""
    limit()
    formats = load_plugins()
    with socket.socket(fileno=0) as channel:
        channel.settimeout(_IDLE)
        channel.send(b"!")
        with suppress(TimeoutError, ConnectionError):
            while serve(channel, formats):
                pass


def limit() -> None:
    """Give up what is not needed."""
    os.nice(5)
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_NPROC, 0),
    ):
        with suppress(ValueError, OSError):  # it is less already
            resource.setrlimit(what, (most, most))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)


def load_plugins() -> list[str]:
    """Load what reads the usual images, and nothing that starts programs; the formats' names."""
    Image.MAX_IMAGE_PIXELS = None  # we have our own limit
    for name in _PLUGINS:
        with suppress(ImportError):
            plugin: Any = import_module(f"PIL.{name}ImagePlugin")
            if hasattr(plugin, "DEFAULT_MAX_THREADS"):
                plugin.DEFAULT_MAX_THREADS = 1
    return sorted(Image.OPEN)


def serve(channel: socket.socket, formats: list[str]) -> bool:
    """Answer one request; False when there are no more."""
    request, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    if not request or not descriptors:
        return False
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + _CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    with os.fdopen(descriptors[0], "rb") as file:
        packet = answer(file, formats, thumbnail=request == b"t")
    channel.send(packet)
    return True


def answer(file: BinaryIO, formats: list[str], *, thumbnail: bool) -> bytes:
    """Say what there is to say of a file."""
    size = small_size = (0, 0)
    data = b""
    try:
        with Image.open(file, formats=formats) as image:
            size = image.size
            if thumbnail:
                data, small_size = encode(small(image))
    except _BAD:
        data, small_size = b"", (0, 0)
    return ANSWER.pack(*size, *small_size) + data


def small(image: ImageFile.ImageFile) -> Image.Image:
    """Make a small image, upright, from the one in the Exif data or by scaling."""
    orientation = image.getexif().get(_ORIENTATION)
    found = embedded(image.info.get("exif", b""), image.size) or scaled(image)
    if orientation in _UPRIGHT:
        found = found.transpose(_UPRIGHT[orientation])
    found.thumbnail(BOX)
    return on_white(found)


def embedded(exif: bytes, size: tuple[int, int]) -> Image.Image | None:
    """Find the thumbnail that a camera has put into the file, unless it shows something else."""
    try:
        image = Image.open(io.BytesIO(embedded_data(exif)), formats=["JPEG"])
        width, height = image.size
        is_distorted = abs(width * size[1] / (height * size[0]) - 1) > _DISTORTION
        if width * height > 1 << 20 or (is_distorted and size[0] * size[1] <= _MAX_PIXELS):
            return None
        image.load()
    except _BAD:
        return None
    return image


def embedded_data(exif: bytes) -> bytes:
    """Find a thumbnail's bytes in Exif data: the second directory says where they are.

    A TIFF header (byte order, 42, offset of a directory); a directory: a count, 12 bytes for each
    entry (tag, type, count, value), the offset of the next. Exif 2.3, 4.5.2 and 4.6.8.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}[tiff[:2]]
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, first)
    (second,) = struct.unpack_from(f"{order}I", tiff, first + 2 + 12 * count)
    if not second:
        return b""
    (count,) = struct.unpack_from(f"{order}H", tiff, second)
    entries = (struct.unpack_from(f"{order}HHII", tiff, second + 2 + 12 * n) for n in range(count))
    values = {tag: value for tag, _, _, value in entries}
    return tiff[values[0x0201] : values[0x0201] + values[0x0202]]


def scaled(image: ImageFile.ImageFile) -> Image.Image:
    """Decode an image, as small as its decoder can, and scale it into the box."""
    image.draft("RGB", (BOX[0] * 2, BOX[1] * 2))
    if image.width * image.height > _MAX_PIXELS:
        raise ValueError("too many pixels")
    image.load()
    result: Image.Image = image
    if image.mode.startswith("I"):  # 16 bits of grey
        result = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif image.mode in ("1", "P", "PA"):
        result = image.convert("RGBA" if has_transparency(image) else "RGB")
    result.thumbnail((max(BOX), max(BOX)), reducing_gap=2.0)
    return result


def has_transparency(image: Image.Image) -> bool:
    """Whether something behind an image would be seen."""
    return "A" in image.mode or "a" in image.mode or "transparency" in image.info


def on_white(image: Image.Image) -> Image.Image:
    """Put an image on white paper, if it can be seen through."""
    if not has_transparency(image):
        return image.convert("RGB")
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image.convert("RGBA"))
    return paper.convert("RGB")


def encode(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    """Encode as JPEG, with nothing but the picture."""
    image.info.clear()
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    data = file.getvalue()
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{len(data)} bytes")
    return data, image.size


if __name__ == "__main__":
    main()
