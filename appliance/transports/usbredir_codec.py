# SPDX-License-Identifier: GPL-3.0-or-later
"""The stream of usbredir: packets are made, and cut out of what comes. Pure.

A packet is a header, the fields of its type, and data where its type has any.

| offset | size   | field                                                                |
|--------|--------|----------------------------------------------------------------------|
| 0      | 4      | type                                                                 |
| 4      | 4      | length of what follows this header                                   |
| 8      | 4 or 8 | id; 8 bytes once both sides have said that they can (not in a hello) |

Spec: usbredir-protocol.txt, version 0.7 (freedesktop.org, spice/usbredir).
"""

import struct
from collections.abc import Iterator

from appliance.transports.usbredir_packets import (
    BULK,
    CONTROL,
    HIGH,
    MAX_DATA,
    OURS,
    VERSION,
    Bulk,
    Capability,
    Control,
    Packet,
    PacketError,
    PacketType,
    Status,
)

_NARROW = struct.Struct("<III")
_WIDE = struct.Struct("<IIQ")
_NOTHING = memoryview(b"")
_BUFFERED_BULK = struct.Struct("<IIBB")
#: Bytes that are received at once while it is not known how much belongs together.
_SCRATCH = 32 * 1024

#: Bytes of fields of each type that a usb-guest may send; `Packet.fields` has them unread.
_FIELDS = {
    PacketType.HELLO: 64,
    PacketType.RESET: 0,
    PacketType.SET_CONFIGURATION: 1,
    PacketType.GET_CONFIGURATION: 0,
    PacketType.SET_ALT_SETTING: 2,
    PacketType.GET_ALT_SETTING: 1,
    PacketType.START_ISO_STREAM: 3,
    PacketType.STOP_ISO_STREAM: 1,
    PacketType.START_INTERRUPT_RECEIVING: 1,
    PacketType.STOP_INTERRUPT_RECEIVING: 1,
    PacketType.ALLOC_BULK_STREAMS: 8,
    PacketType.FREE_BULK_STREAMS: 4,
    PacketType.CANCEL_DATA_PACKET: 0,
    PacketType.FILTER_REJECT: 0,
    PacketType.FILTER_FILTER: 0,
    PacketType.DEVICE_DISCONNECT_ACK: 0,
    PacketType.START_BULK_RECEIVING: 10,
    PacketType.STOP_BULK_RECEIVING: 5,
    PacketType.CONTROL_PACKET: 10,
    PacketType.BULK_PACKET: 8,
    PacketType.ISO_PACKET: 4,
    PacketType.INTERRUPT_PACKET: 4,
}
#: By number, for they are asked for with every packet.
_KINDS = {int(kind): kind for kind in _FIELDS}
_BULK = PacketType.BULK_PACKET
_MAX_SMALL_DATA = 64 * 1024
#: Bytes of data at most, of each type that has any.
_MOST = {
    PacketType.BULK_PACKET: MAX_DATA,
    PacketType.HELLO: _MAX_SMALL_DATA,
    PacketType.FILTER_FILTER: _MAX_SMALL_DATA,
    PacketType.CONTROL_PACKET: _MAX_SMALL_DATA,
    PacketType.ISO_PACKET: _MAX_SMALL_DATA,
    PacketType.INTERRUPT_PACKET: _MAX_SMALL_DATA,
}


class Codec:
    """Makes packets, and takes them apart as they come; what both sides can do decides how.

    To receive, put bytes into `space()`, then say how many to `received()`.
    """

    def __init__(self) -> None:
        self.common = Capability(0)
        #: Whether the peer goes on with a conversation that it had with somebody else.
        self.resumed = False
        self._greeted = self._is_wide = self._is_long = False
        self._scratch = memoryview(bytearray(_SCRATCH))
        self._filled = 0
        self._large: memoryview | None = None
        self._head: tuple[PacketType, int, bytes] = PacketType.HELLO, 0, b""

    def agree(self, theirs: Capability) -> None:
        """Use from now on what both sides can."""
        self.common = OURS & theirs
        self._is_wide = bool(self.common & Capability.IDS_OF_64_BITS)
        self._is_long = bool(self.common & Capability.BULK_LENGTH_OF_32_BITS)

    # To the peer

    def encode(self, kind: PacketType, number: int, fields: bytes = b"", size: int = 0) -> bytes:
        """Build a packet up to its data, of which `size` bytes follow."""
        wide = self._is_wide and kind is not PacketType.HELLO
        return (_WIDE if wide else _NARROW).pack(kind, len(fields) + size, number) + fields

    def encode_bulk(self, number: int, bulk: Bulk, status: Status, length: int, size: int) -> bytes:
        """Build the answer to a bulk transfer of which `length` bytes went; `size` follow."""
        fields = BULK.pack(bulk.endpoint, status, length & 0xFFFF, bulk.stream)
        if self._is_long:
            fields += HIGH.pack(length >> 16)
        return self.encode(PacketType.BULK_PACKET, number, fields, size)

    def encode_control(self, number: int, control: Control, status: Status, data: bytes) -> bytes:
        """Build the answer to a control transfer; to the device, all of its data has gone."""
        to_host = control.request_type & 0x80
        length = len(data) if to_host or status is not Status.SUCCESS else control.length
        fields = CONTROL.pack(
            control.endpoint,
            control.request,
            control.request_type,
            status,
            control.value,
            control.index,
            length,
        )
        return self.encode(PacketType.CONTROL_PACKET, number, fields, len(data)) + data

    def encode_interrupt(self, number: int, endpoint: int, data: bytes) -> bytes:
        """Build a packet of an interrupt endpoint."""
        fields = struct.pack("<BBH", endpoint, Status.SUCCESS, len(data))
        return self.encode(PacketType.INTERRUPT_PACKET, number, fields, len(data)) + data

    def encode_buffered_bulk(self, number: int, endpoint: int, stream: int, size: int) -> bytes:
        """Build a packet of data that nobody has asked for by a transfer; `size` bytes follow."""
        fields = _BUFFERED_BULK.pack(stream, size, endpoint, Status.SUCCESS)
        return self.encode(PacketType.BUFFERED_BULK_PACKET, number, fields, size)

    # From the peer

    def space(self) -> memoryview:
        """Lend room for the next bytes; never empty."""
        return self._scratch[self._filled :] if self._large is None else self._large[self._filled :]

    def received(self, count: int) -> Iterator[Packet]:
        """Take `count` bytes that were put into `space()`; gives the packets that they complete.

        PacketError where they are none; then there is nothing more to be had from this peer.
        """
        self._filled += count
        if self._large is not None:
            if self._filled < len(self._large):
                return
            data, self._large, self._filled = self._large, None, 0
            yield Packet(*self._head, data)
            return
        yield from self._split()

    def _split(self) -> Iterator[Packet]:
        """Cut the scratch room into packets; what is begun moves to its front."""
        start = 0
        while (head := self._begin(start)) is not None:
            kind, number, fields, body, size = head
            start = body + size
            if start > self._filled:
                self._enlarge(kind, number, fields, body, size)
                return
            data = memoryview(bytes(self._scratch[body:start])) if size else _NOTHING
            yield Packet(kind, number, fields, data)
        self._filled -= start
        if start and self._filled:
            self._scratch[: self._filled] = bytes(self._scratch[start : start + self._filled])

    def _enlarge(self, kind: PacketType, number: int, fields: bytes, body: int, size: int) -> None:
        """Go on receiving the data of a packet where it is to stay."""
        room = memoryview(bytearray(size))
        here = self._filled - body
        room[:here] = self._scratch[body : self._filled]
        self._head, self._large, self._filled = (kind, number, fields), room, here

    def _begin(self, start: int) -> tuple[PacketType, int, bytes, int, int] | None:
        """Read all of a packet but its data; None where that is not there yet.

        Gives type, id, fields, where its data begins, and how many bytes that are.
        """
        if self._filled - start < _NARROW.size:
            return None
        number, length, identifier = _NARROW.unpack_from(self._scratch, start)
        kind = _KINDS.get(number)
        if kind is None:
            raise PacketError(f"a packet of type {number}, which is none for this side")
        if not self._greeted:
            self._expect(kind)
        size = _FIELDS[kind] + (HIGH.size if self._is_long and kind is _BULK else 0)
        if not size <= length <= size + _MOST.get(kind, 0):
            raise PacketError(f"a packet {kind.name} of {length} bytes")
        wide = self._is_wide and kind is not PacketType.HELLO
        begin = start + (_WIDE if wide else _NARROW).size
        body = begin + size
        if self._filled < body:
            return None
        if wide:
            _, _, identifier = _WIDE.unpack_from(self._scratch, start)
        return kind, identifier, bytes(self._scratch[begin:body]), body, length - size

    def _expect(self, kind: PacketType) -> None:
        """See whether the peer begins by a hello; one that has been migrated here does not.

        It knows our answer from before, and can what every version that can be migrated can.
        """
        if kind is not PacketType.HELLO:
            self.resumed = True
            self.agree(OURS)
        self._greeted = True


def encode_hello(name: str) -> bytes:
    """Build the first packet that this side sends."""
    fields = VERSION.pack(name.encode("ascii", "replace")[:63]) + struct.pack("<I", OURS)
    return Codec().encode(PacketType.HELLO, 0, fields)
