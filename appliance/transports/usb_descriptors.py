# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device says of itself where no kernel says it: descriptors of USB 2.0. Pure.

The names and numbers at the top are those of the gadget's function too.

Spec: USB 2.0 section 9.6; Microsoft OS 1.0 Descriptors.
"""

import struct

from appliance.values import dataclass

#: The name by which most programs on a PC recognise the interface.
INTERFACE_NAME = "MTP"
#: bInterfaceClass, bInterfaceSubClass, bInterfaceProtocol of Still Image.
INTERFACE_CLASS = (6, 1, 1)
#: The driver's name for Windows.
COMPATIBLE_ID = b"MTP"
ENGLISH = 0x0409
BULK_IN, BULK_OUT, INTERRUPT_IN = 0x81, 0x02, 0x83
#: bInterval: a host asks for an event every 2^(n-1) eighths of a millisecond.
EVENT_INTERVAL = 4
#: Bytes of a packet of events: more than the longest, a header and three parameters (24), so that
#: each ends its transfer.
EVENT_SIZE = 28
#: Bytes of a bulk packet at high speed.
BULK_SIZE = 512
CONFIGURATION = 1
#: bRequest by which Windows asks for the compatible ids.
VENDOR_CODE = 0xCD

_DEVICE = struct.Struct("<BBHBBBBHHHBBBB")
_CONFIGURATION = struct.Struct("<BBHBBBBB")
_INTERFACE = struct.Struct("<BBBBBBBBB")
_ENDPOINT = struct.Struct("<BBBBHB")
_COMPATIBLE = struct.Struct("<IHHB7xBB8s8x6x")
_BULK, _INTERRUPT = 2, 3
_CONTROL_SIZE = 64
#: bmAttributes of a device with its own power, which a virtual machine has no say in.
_SELF_POWERED = 0xC0
_OS_STRING = 0xEE
_COMPATIBLE_INDEX = 4


@dataclass(frozen=True, slots=True)
class Description:
    """Who the device is; `release` is bcdDevice."""

    manufacturer: str
    product: str
    serial_number: str
    vendor_id: int = 0x1D6B
    product_id: int = 0x0104
    release: int = 0x0100


def device(description: Description) -> bytes:
    """Build the device descriptor."""
    return _DEVICE.pack(
        *(_DEVICE.size, 1, 0x0200, 0, 0, 0, _CONTROL_SIZE),
        *(description.vendor_id, description.product_id, description.release),
        *(1, 2, 3, 1),
    )


def configuration() -> bytes:
    """Build the configuration descriptor with all that is in it."""
    interface = _INTERFACE.pack(_INTERFACE.size, 4, 0, 0, 3, *INTERFACE_CLASS, 4)
    endpoints = (
        _ENDPOINT.pack(_ENDPOINT.size, 5, BULK_IN, _BULK, BULK_SIZE, 0),
        _ENDPOINT.pack(_ENDPOINT.size, 5, BULK_OUT, _BULK, BULK_SIZE, 0),
        _ENDPOINT.pack(_ENDPOINT.size, 5, INTERRUPT_IN, _INTERRUPT, EVENT_SIZE, EVENT_INTERVAL),
    )
    rest = interface + b"".join(endpoints)
    size = _CONFIGURATION.size + len(rest)
    head = _CONFIGURATION.pack(_CONFIGURATION.size, 2, size, 1, CONFIGURATION, 0, _SELF_POWERED, 0)
    return head + rest


def string(description: Description, index: int) -> bytes | None:
    """Build a string descriptor; None where there is none of that index."""
    if index == 0:
        return struct.pack("<BBH", 4, 3, ENGLISH)
    if index == _OS_STRING:
        return _string("MSFT100".encode("utf-16-le") + bytes([VENDOR_CODE, 0]))
    names = (description.manufacturer, description.product, description.serial_number)
    strings = dict(enumerate((*names, INTERFACE_NAME), 1))
    return _string(strings[index].encode("utf-16-le")[:252]) if index in strings else None


def _string(content: bytes) -> bytes:
    return bytes([2 + len(content), 3]) + content


def compatible_ids(index: int) -> bytes | None:
    """Build what Windows asks for by `VENDOR_CODE`: which driver interface 0 wants."""
    if index != _COMPATIBLE_INDEX:
        return None
    return _COMPATIBLE.pack(_COMPATIBLE.size, 0x0100, _COMPATIBLE_INDEX, 1, 0, 1, COMPATIBLE_ID)
