# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets of usbredir, by which a USB device is redirected into a virtual machine. Pure.

We are the *usb-host* of that protocol: the side that has the device. The peer is the *usb-guest*,
as QEMU's `usb-redir` is. All numbers are little-endian.
`appliance/transports/usbredir_codec.py` cuts a stream into packets.

Spec: usbredir-protocol.txt, version 0.7 (freedesktop.org, spice/usbredir).
"""

import struct
from collections.abc import Sequence
from enum import IntFlag
from typing import NamedTuple

from appliance.enums import IntEnum
from appliance.values import dataclass

VERSION = struct.Struct("<64s")
BULK = struct.Struct("<BBHI")
HIGH = struct.Struct("<H")
CONTROL = struct.Struct("<BBBBHHH")
_START_BULK = struct.Struct("<IIBB")

#: Endpoints in the tables of `encode_ep_info`: 0 to 15 out, then 0 to 15 in.
ENDPOINTS = 32
#: Bytes of data in one packet at most; a guest's largest USB transfer is smaller.
MAX_DATA = 32 << 20


class PacketError(Exception):
    """Bytes that are no packet which may come from a usb-guest."""


class PacketType(IntEnum):
    """Type of a packet; those that only a usb-host sends among them."""

    HELLO = 0
    DEVICE_CONNECT = 1
    DEVICE_DISCONNECT = 2
    RESET = 3
    INTERFACE_INFO = 4
    EP_INFO = 5
    SET_CONFIGURATION = 6
    GET_CONFIGURATION = 7
    CONFIGURATION_STATUS = 8
    SET_ALT_SETTING = 9
    GET_ALT_SETTING = 10
    ALT_SETTING_STATUS = 11
    START_ISO_STREAM = 12
    STOP_ISO_STREAM = 13
    ISO_STREAM_STATUS = 14
    START_INTERRUPT_RECEIVING = 15
    STOP_INTERRUPT_RECEIVING = 16
    INTERRUPT_RECEIVING_STATUS = 17
    ALLOC_BULK_STREAMS = 18
    FREE_BULK_STREAMS = 19
    BULK_STREAMS_STATUS = 20
    CANCEL_DATA_PACKET = 21
    FILTER_REJECT = 22
    FILTER_FILTER = 23
    DEVICE_DISCONNECT_ACK = 24
    START_BULK_RECEIVING = 25
    STOP_BULK_RECEIVING = 26
    BULK_RECEIVING_STATUS = 27
    CONTROL_PACKET = 100
    BULK_PACKET = 101
    ISO_PACKET = 102
    INTERRUPT_PACKET = 103
    BUFFERED_BULK_PACKET = 104


class Status(IntEnum):
    """How a transfer or a request ended."""

    SUCCESS = 0
    CANCELLED = 1
    INVALID = 2
    IO_ERROR = 3
    STALL = 4
    TIMEOUT = 5
    BABBLE = 6


class Speed(IntEnum):
    """Speed of the device."""

    LOW = 0
    FULL = 1
    HIGH = 2
    SUPER = 3


class TransferType(IntEnum):
    """What an endpoint is for, as in its descriptor."""

    CONTROL = 0
    ISO = 1
    BULK = 2
    INTERRUPT = 3
    NONE = 255


class Capability(IntFlag):
    """What a side can do beyond the first version of the protocol."""

    BULK_STREAMS = 1 << 0
    CONNECT_DEVICE_VERSION = 1 << 1
    FILTER = 1 << 2
    DEVICE_DISCONNECT_ACK = 1 << 3
    EP_INFO_MAX_PACKET_SIZE = 1 << 4
    IDS_OF_64_BITS = 1 << 5
    BULK_LENGTH_OF_32_BITS = 1 << 6
    BULK_RECEIVING = 1 << 7


#: What this side can do.
OURS = (
    Capability.CONNECT_DEVICE_VERSION
    | Capability.FILTER
    | Capability.DEVICE_DISCONNECT_ACK
    | Capability.EP_INFO_MAX_PACKET_SIZE
    | Capability.IDS_OF_64_BITS
    | Capability.BULK_LENGTH_OF_32_BITS
    | Capability.BULK_RECEIVING
)


class Packet(NamedTuple):
    """A packet as it came: its fields unread, and its data. A tuple is made the fastest."""

    type: PacketType
    id: int
    fields: bytes
    data: memoryview


@dataclass(frozen=True, slots=True)
class Control:
    """A control transfer: the set-up stage, and the data that goes to the device."""

    request_type: int
    request: int
    value: int
    index: int
    length: int
    endpoint: int


class Bulk(NamedTuple):
    """A bulk transfer; `length` is what is sent, or what may be sent back."""

    endpoint: int
    stream: int
    length: int


def decode_hello(packet: Packet) -> tuple[str, Capability]:
    """Read the program's name and what it can do.

    | offset | size | field                                            |
    |--------|------|--------------------------------------------------|
    | 0      | 64   | program and version, ended by a zero             |
    | 64     | 4·n  | a bit for each capability; n may be 0            |
    """
    name = packet.fields.partition(b"\0")[0].decode("ascii", "replace")
    name = "".join(each if each.isprintable() else "?" for each in name)
    bits = struct.unpack_from("<I", packet.data)[0] if len(packet.data) >= 4 else 0
    return name, Capability(bits & 0xFF)


def decode_control(packet: Packet) -> Control:
    """Read a control transfer.

    | offset | size | field                 | offset | size | field  |
    |--------|------|-----------------------|--------|------|--------|
    | 0      | 1    | endpoint              | 4      | 2    | wValue |
    | 1      | 1    | bRequest              | 6      | 2    | wIndex |
    | 2      | 1    | bmRequestType         | 8      | 2    | length |
    | 3      | 1    | status (in an answer) |        |      |        |
    """
    endpoint, request, kind, _, value, index, length = CONTROL.unpack(packet.fields)
    if len(packet.data) != (0 if kind & 0x80 else length):
        raise PacketError(f"a control transfer of {length} bytes with {len(packet.data)}")
    return Control(kind, request, value, index, length, endpoint)


def decode_bulk(packet: Packet) -> Bulk:
    """Read a bulk transfer.

    | offset | size | field                                           |
    |--------|------|-------------------------------------------------|
    | 0      | 1    | endpoint                                        |
    | 1      | 1    | status (in an answer)                           |
    | 2      | 2    | length, its lower half                          |
    | 4      | 4    | stream                                          |
    | 8      | 2    | length, its upper half; where both sides can it |
    """
    endpoint, _, length, stream = BULK.unpack_from(packet.fields)
    if len(packet.fields) > BULK.size:
        length |= HIGH.unpack_from(packet.fields, BULK.size)[0] << 16
    if len(packet.data) != (0 if endpoint & 0x80 else length):
        raise PacketError(f"a bulk transfer of {length} bytes with {len(packet.data)}")
    if length > MAX_DATA:
        raise PacketError(f"a bulk transfer of {length} bytes")
    return Bulk(endpoint, stream, length)


def decode_start_bulk(packet: Packet) -> tuple[int, int, int]:
    """Read where buffered receiving is to begin: endpoint, stream, bytes of each transfer.

    | offset | size | field              | offset | size | field                     |
    |--------|------|--------------------|--------|------|---------------------------|
    | 0      | 4    | stream             | 8      | 1    | endpoint                  |
    | 4      | 4    | bytes a transfer   | 9      | 1    | transfers under way       |
    """
    stream, size, endpoint, _ = _START_BULK.unpack(packet.fields)
    return endpoint, stream, size


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint of interface 0, as its descriptor has it."""

    address: int
    type: TransferType
    max_packet_size: int
    interval: int = 0


def fields_of_device_connect(
    speed: Speed, vendor: int, product: int, release: int, common: Capability
) -> bytes:
    """Lay out who the device is; its class is its interface's.

    | offset | size | field                    | offset | size | field                        |
    |--------|------|--------------------------|--------|------|------------------------------|
    | 0      | 1    | speed                    | 4      | 2    | idVendor                     |
    | 1      | 3    | class, subclass,         | 6      | 2    | idProduct                    |
    |        |      | protocol                 | 8      | 2    | bcdDevice, if the peer knows |
    """
    fields = struct.pack("<BBBBHH", speed, 0, 0, 0, vendor, product)
    if common & Capability.CONNECT_DEVICE_VERSION:
        fields += struct.pack("<H", release)
    return fields


def fields_of_interface_info(interface_class: tuple[int, int, int]) -> bytes:
    """Lay out the one interface: a count, then four columns of 32 bytes."""
    columns = [struct.pack("<32B", value, *bytes(31)) for value in (0, *interface_class)]
    return struct.pack("<I", 1) + b"".join(columns)


def fields_of_ep_info(endpoints: Sequence[Endpoint], common: Capability) -> bytes:
    """Lay out all endpoints: columns of type, interval, interface and, if known, packet size."""
    types, intervals, sizes = [TransferType.NONE] * ENDPOINTS, [0] * ENDPOINTS, [0] * ENDPOINTS
    types[0] = types[16] = TransferType.CONTROL
    for each in endpoints:
        row = (each.address & 0x80) >> 3 | each.address & 0x0F
        types[row], intervals[row], sizes[row] = each.type, each.interval, each.max_packet_size
    fields = struct.pack("<32B32B32x", *types, *intervals)
    if common & Capability.EP_INFO_MAX_PACKET_SIZE:
        fields += struct.pack("<32H", *sizes)
    return fields
