# SPDX-License-Identifier: GPL-3.0-or-later
"""What a QEMU and a maker of updates may send: targets, and what real ones do send."""

import lzma
import struct
from collections.abc import Iterator
from contextlib import suppress

from appliance.errors import ApplianceError
from appliance.transports.usb_descriptors import Description
from appliance.transports.usbredir_codec import Codec, encode_hello
from appliance.transports.usbredir_device import RedirectedDevice
from appliance.transports.usbredir_packets import OURS, PacketError, PacketType
from appliance.update import archive, bundle, manifest, signature
from appliance.update.keys import PublicKey, SecretKey
from tests.unit.update.helpers import manifest_of

_SECRET = SecretKey(bytes(range(32)), "the maker")
_KEY = PublicKey(signature.public_of(_SECRET.raw), "the maker")
_PROGRAM = {"appliance/__init__.py": b'__version__ = "9.1.0"\n', "webui/page.html": b"<p>"}
_MOST_OUT = 1 << 20


class _Nothing:
    """The class requests of a device that does nothing."""

    def cancel(self, data: bytes) -> None:
        assert len(data) <= 1 << 16

    def reset(self) -> None:
        return None

    def status(self, halted: list[int]) -> bytes:
        return struct.pack("<HH", 4, 0x2001)

    def last_event(self) -> bytes:
        return b""


def redirection(data: bytes) -> None:
    """The stream of a usb-guest, in pieces as long as the bytes say, to the whole device."""
    device = RedirectedDevice(
        Description("Maker", "Model", "1"), _Nothing(), lambda: None, lambda: None
    )
    rest = memoryview(data)
    with suppress(PacketError):
        while rest:
            space = device.codec.space()
            assert len(space)
            count = min(len(space), len(rest), 1 + rest[0] * 7)
            space[:count], rest = rest[:count], rest[count:]
            device.received(count)
            _converse(device)


def _converse(device: RedirectedDevice) -> None:
    """Take what has come, as the worker does, and give something back."""
    device.bulk_out.post(512)
    while (transfer := device.bulk_out.take()) is not None:
        assert transfer is not None
    if device.bulk_in.segments < 4:
        device.bulk_in.send(memoryview(b"answer"))
    device.gather()
    assert sum(map(len, device.out)) < _MOST_OUT
    device.out.clear()


def update(data: bytes) -> None:
    """A bundle; and what a signed one may hold: a manifest, an archive, and a tar in it."""
    with suppress(ApplianceError):
        bundle.decode(data, [_KEY])
    with suppress(ApplianceError):
        manifest.decode(data)
    for payload in (data, lzma.compress(data, preset=0)):
        with suppress(ApplianceError):
            _check(archive.unpack(payload, manifest_of(_PROGRAM, payload)))


def _check(files: dict[str, bytes]) -> None:
    assert len(files) == len(_PROGRAM)
    for name in files:
        assert all(part.strip(".") and part.isascii() for part in name.split("/")), name


def guests() -> Iterator[bytes]:
    """What QEMU says when it begins, and then of each kind."""
    codec = Codec()
    head = encode_hello("qemu 7.2")
    codec.agree(OURS)
    control = struct.pack("<BBBBHHH", 0x80, 6, 0x80, 0, 0x100, 0, 18)
    container = struct.pack("<IHHI", 12, 1, 0x1001, 1)
    bulk = struct.pack("<BBHIH", 2, 0, len(container), 0, 0)
    said = [
        head,
        codec.encode(PacketType.SET_CONFIGURATION, 1, b"\1"),
        codec.encode(PacketType.CONTROL_PACKET, 2, control),
        codec.encode(PacketType.START_INTERRUPT_RECEIVING, 3, b"\x83"),
        codec.encode(PacketType.BULK_PACKET, 4, bulk, len(container)) + container,
        codec.encode(PacketType.BULK_PACKET, 5, struct.pack("<BBHIH", 0x81, 0, 512, 0, 0)),
        codec.encode(PacketType.START_BULK_RECEIVING, 6, struct.pack("<IIBB", 0, 512, 0x81, 5)),
        codec.encode(PacketType.CANCEL_DATA_PACKET, 5),
        codec.encode(PacketType.RESET, 7),
    ]
    yield b"".join(said)
    yield from (head + each for each in said[1:])
    yield b"".join(said[1:])


def updates() -> Iterator[bytes]:
    """A good bundle and its parts."""
    payload = archive.pack(_PROGRAM)
    described = manifest_of(_PROGRAM, payload)
    yield bundle.encode(described, payload, _SECRET)
    yield manifest.encode(described)
    yield payload
    yield lzma.decompress(payload)
