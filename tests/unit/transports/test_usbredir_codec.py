# SPDX-License-Identifier: GPL-3.0-or-later
"""The stream of usbredir: every packet a guest may send, cut anywhere, and what it may not send."""

import random
import struct

import pytest

from appliance.transports.usbredir_codec import Codec, encode_hello
from appliance.transports.usbredir_packets import (
    MAX_DATA,
    OURS,
    Bulk,
    Capability,
    Control,
    Endpoint,
    Packet,
    PacketError,
    PacketType,
    Speed,
    Status,
    TransferType,
    decode_bulk,
    decode_control,
    decode_hello,
    fields_of_device_connect,
    fields_of_ep_info,
    fields_of_interface_info,
)

OLD = Capability(0)


def packet(kind: int, fields: bytes = b"", number: int = 7, *, wide: bool = True) -> bytes:
    head = struct.pack("<II", kind, len(fields))
    return head + struct.pack("<Q" if wide else "<I", number) + fields


def hello(capabilities: int | None = OURS) -> bytes:
    words = b"" if capabilities is None else struct.pack("<I", capabilities)
    return packet(0, b"qemu 7.2".ljust(64, b"\0") + words, 0, wide=False)


def feed(codec: Codec, data: bytes, piece: int = 1 << 20) -> list[Packet]:
    """Let bytes come in pieces; a hello is acted on as the device does."""
    packets = []
    while data:
        space = codec.space()
        assert len(space)
        count = min(piece, len(space), len(data))
        space[:count] = data[:count]
        data = data[count:]
        for each in codec.received(count):
            packets.append(each)
            if each.type is PacketType.HELLO:
                codec.agree(decode_hello(each)[1])
    return packets


# (type, fields and data, bytes of fields) as a guest of today sends them
FROM_GUEST = [
    (PacketType.RESET, b"", 0),
    (PacketType.SET_CONFIGURATION, b"\1", 1),
    (PacketType.GET_CONFIGURATION, b"", 0),
    (PacketType.SET_ALT_SETTING, b"\0\1", 2),
    (PacketType.GET_ALT_SETTING, b"\0", 1),
    (PacketType.START_ISO_STREAM, b"\x84\1\2", 3),
    (PacketType.STOP_ISO_STREAM, b"\x84", 1),
    (PacketType.START_INTERRUPT_RECEIVING, b"\x83", 1),
    (PacketType.STOP_INTERRUPT_RECEIVING, b"\x83", 1),
    (PacketType.ALLOC_BULK_STREAMS, bytes(8), 8),
    (PacketType.FREE_BULK_STREAMS, bytes(4), 4),
    (PacketType.CANCEL_DATA_PACKET, b"", 0),
    (PacketType.FILTER_REJECT, b"", 0),
    (PacketType.FILTER_FILTER, b"-1,-1,-1,-1,1\0", 0),
    (PacketType.DEVICE_DISCONNECT_ACK, b"", 0),
    (PacketType.START_BULK_RECEIVING, struct.pack("<IIBB", 0, 512, 0x81, 5), 10),
    (PacketType.STOP_BULK_RECEIVING, struct.pack("<IB", 0, 0x81), 5),
    (PacketType.CONTROL_PACKET, struct.pack("<BBBBHHH", 0x80, 6, 0x80, 0, 0x100, 0, 18), 10),
    (PacketType.CONTROL_PACKET, struct.pack("<BBBBHHH", 0, 0x64, 0x21, 0, 0, 0, 6) + b"cancel", 10),
    (PacketType.BULK_PACKET, struct.pack("<BBHIH", 0x81, 0, 0, 0, 16), 10),
    (PacketType.BULK_PACKET, struct.pack("<BBHIH", 0x02, 0, 5, 0, 0) + b"12345", 10),
    (PacketType.ISO_PACKET, struct.pack("<BBH", 0x04, 0, 2) + b"ab", 4),
    (PacketType.INTERRUPT_PACKET, struct.pack("<BBH", 0x05, 0, 2) + b"ab", 4),
]


@pytest.mark.parametrize(("kind", "body", "size"), FROM_GUEST)
def test_each_packet_is_taken_apart(kind: PacketType, body: bytes, size: int) -> None:
    codec = Codec()
    first, second, third = feed(codec, hello() + packet(kind, body, 1 << 40) + packet(kind, body))
    assert first.type is PacketType.HELLO
    assert (second.type, second.id, second.fields) == (kind, 1 << 40, body[:size])
    assert bytes(second.data) == body[size:]
    assert third.id == 7
    assert not codec.resumed


def test_a_stream_may_be_cut_at_every_byte() -> None:
    stream = hello() + b"".join(packet(kind, body) for kind, body, _ in FROM_GUEST)
    whole = [(each.type, each.fields, bytes(each.data)) for each in feed(Codec(), stream)]
    assert len(whole) == 1 + len(FROM_GUEST)
    for cut in range(1, len(stream)):
        codec = Codec()
        packets = feed(codec, stream[:cut]) + feed(codec, stream[cut:])
        assert [(each.type, each.fields, bytes(each.data)) for each in packets] == whole
    assert [each.type for each in feed(Codec(), stream, piece=1)] == [kind for kind, _, _ in whole]


@pytest.mark.parametrize("size", [0, 1, 32 * 1024 - 40, 32 * 1024, 100_000, 3 << 20])
@pytest.mark.parametrize("piece", [4096, 100_000, 1 << 22])
def test_large_data_arrives_as_it_was_sent(size: int, piece: int) -> None:
    data = random.Random(size).randbytes(size)
    fields = struct.pack("<BBHIH", 0x02, 0, size & 0xFFFF, 0, size >> 16)
    _, one, two = feed(Codec(), hello() + 2 * packet(101, fields + data), piece)
    assert bytes(one.data) == bytes(two.data) == data
    assert decode_bulk(one) == Bulk(0x02, 0, size)


@pytest.mark.parametrize("theirs", [None, 0, OURS & ~Capability.IDS_OF_64_BITS])
def test_a_guest_of_old_has_narrow_packets(theirs: int | None) -> None:
    codec = Codec()
    long = bool(theirs)
    fields = struct.pack("<BBHI", 0x81, 0, 512, 3) + (b"\0\0" if long else b"")
    _, bulk = feed(codec, hello(theirs) + packet(101, fields, 9, wide=False))
    assert (bulk.id, decode_bulk(bulk)) == (9, Bulk(0x81, 3, 512))
    answer = codec.encode_bulk(9, Bulk(0x81, 3, 512), Status.SUCCESS, 2, 2)
    assert answer == packet(101, fields, 9, wide=False)[:4] + struct.pack(
        "<II", len(fields) + 2, 9
    ) + struct.pack("<BBHI", 0x81, 0, 2, 3) + (b"\0\0" if long else b"")


@pytest.mark.parametrize(
    "stream",
    [
        packet(28),
        packet(99),
        packet(0xFFFFFFFF),
        packet(PacketType.DEVICE_CONNECT, bytes(10)),
        packet(PacketType.INTERFACE_INFO, bytes(132)),
        packet(PacketType.CONFIGURATION_STATUS, bytes(2)),
        packet(PacketType.BUFFERED_BULK_PACKET, bytes(10)),
        packet(PacketType.RESET, b"\0"),
        packet(PacketType.SET_CONFIGURATION, b""),
        packet(PacketType.SET_CONFIGURATION, b"\1\1"),
        packet(PacketType.BULK_PACKET, bytes(9)),
        struct.pack("<IIQ", PacketType.BULK_PACKET, MAX_DATA + 11, 1),
        struct.pack("<IIQ", PacketType.BULK_PACKET, 0xFFFFFFFF, 1),
        struct.pack("<IIQ", PacketType.CONTROL_PACKET, 1 << 20, 1),
        struct.pack("<IIQ", PacketType.FILTER_FILTER, 1 << 20, 1),
    ],
    ids=lambda stream: stream[:8].hex(),
)
def test_what_is_no_packet_of_a_guest_is_refused(stream: bytes) -> None:
    with pytest.raises(PacketError):
        feed(Codec(), hello() + stream)


@pytest.mark.parametrize("seed", range(200))
def test_noise_is_refused_or_waited_for_and_takes_no_room(seed: int) -> None:
    noise = random.Random(seed)
    codec = Codec()
    stream = hello() if seed % 2 else b""
    for _ in range(20):
        kind = noise.choice([*PacketType, noise.randrange(1 << 32)])
        stream += struct.pack("<II", kind, noise.choice([0, 1, 10, noise.randrange(1 << 32)]))
        stream += noise.randbytes(noise.randrange(40))
    try:
        feed(codec, stream)
    except PacketError:
        return
    assert len(codec.space()) <= MAX_DATA


def test_a_guest_that_was_migrated_begins_without_a_hello() -> None:
    codec = Codec()
    (bulk,) = feed(codec, packet(101, struct.pack("<BBHIH", 0x81, 0, 512, 0, 0), 1 << 33))
    assert codec.resumed
    assert bulk.id == 1 << 33


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (PacketType.CONTROL_PACKET, struct.pack("<BBBBHHH", 0, 9, 0x21, 0, 0, 0, 6) + b"12345"),
        (PacketType.CONTROL_PACKET, struct.pack("<BBBBHHH", 0x80, 6, 0x80, 0, 0, 0, 6) + b"123456"),
    ],
)
def test_a_control_transfer_has_the_data_that_it_says(kind: PacketType, fields: bytes) -> None:
    _, control = feed(Codec(), hello() + packet(kind, fields))
    with pytest.raises(PacketError):
        decode_control(control)


@pytest.mark.parametrize(
    "fields",
    [
        struct.pack("<BBHIH", 0x02, 0, 5, 0, 0) + b"1234",
        struct.pack("<BBHIH", 0x02, 0, 5, 0, 1) + b"12345",
        struct.pack("<BBHIH", 0x81, 0, 5, 0, 0) + b"12345",
        struct.pack("<BBHIH", 0x81, 0, 0, 0, 0xFFFF),
    ],
)
def test_a_bulk_transfer_has_the_data_that_it_says(fields: bytes) -> None:
    _, bulk = feed(Codec(), hello() + packet(PacketType.BULK_PACKET, fields))
    with pytest.raises(PacketError):
        decode_bulk(bulk)


def test_a_name_cannot_break_the_log() -> None:
    name = b"qemu\n\x1b[31m\xff\0rest".ljust(64, b"\0")
    (first,) = feed(Codec(), packet(0, name, 0, wide=False))
    assert decode_hello(first)[0] == "qemu??[31m\ufffd"


def test_what_is_sent() -> None:
    assert encode_hello("mtp") == packet(
        0, b"mtp".ljust(64, b"\0") + struct.pack("<I", 0b1111_1110), 0, wide=False
    )
    codec = Codec()
    codec.agree(OURS)
    control = Control(0x80, 6, 0x100, 0, 18, 0x80)
    assert codec.encode_control(5, control, Status.SUCCESS, b"abc") == packet(
        100, struct.pack("<BBBBHHH", 0x80, 6, 0x80, 0, 0x100, 0, 3) + b"abc", 5
    )
    to_device = Control(0x21, 0x64, 0, 0, 6, 0)
    assert codec.encode_control(5, to_device, Status.SUCCESS, b"") == packet(
        100, struct.pack("<BBBBHHH", 0, 0x64, 0x21, 0, 0, 0, 6), 5
    )
    assert codec.encode_interrupt(2, 0x83, b"event") == packet(
        103, struct.pack("<BBH", 0x83, 0, 5) + b"event", 2
    )
    head = codec.encode_buffered_bulk(0, 0x81, 3, 512)
    assert head + bytes(512) == packet(104, struct.pack("<IIBB", 3, 512, 0x81, 0) + bytes(512), 0)


@pytest.mark.parametrize(("common", "size"), [(OURS, 10), (OLD, 8)])
def test_who_the_device_is(common: Capability, size: int) -> None:
    fields = fields_of_device_connect(Speed.HIGH, 0x1D6B, 0x0104, 0x0100, common)
    assert fields == struct.pack("<BBBBHHH", 2, 0, 0, 0, 0x1D6B, 0x0104, 0x0100)[:size]


def test_what_its_interface_and_endpoints_are() -> None:
    interface = fields_of_interface_info((6, 1, 1))
    assert len(interface) == 132
    assert struct.unpack_from("<I", interface) == (1,)
    assert [interface[4 + 32 * row] for row in range(4)] == [0, 6, 1, 1]
    endpoints = [
        Endpoint(0x83, TransferType.INTERRUPT, 28, 4),
        Endpoint(0x02, TransferType.BULK, 512),
    ]
    fields = fields_of_ep_info(endpoints, OURS)
    assert len(fields) == 96 + 64
    assert len(fields_of_ep_info(endpoints, OLD)) == 96
    types, sizes = fields[:32], struct.unpack_from("<32H", fields, 96)
    assert (types[0], types[16], types[2], types[19]) == (0, 0, 2, 3)
    assert set(types) == {0, 2, 3, 255}
    assert (fields[32 + 19], sizes[19], sizes[2]) == (4, 28, 512)
