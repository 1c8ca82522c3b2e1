# SPDX-License-Identifier: GPL-3.0-or-later
"""Simple types on the wire: little-endian integers, strings, arrays and dates.

Spec: MTP 1.1 sections 3.2.1 (integers), 3.2.2 (arrays), 3.2.3 (strings), 3.2.5 (dates).
"""

import re
import struct
import sys
from array import array
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, lru_cache
from typing import cast

from appliance.mtp.codes import DataType

#: UTF-16 units of a string on the wire, without its terminating NUL.
MAX_STRING_UNITS = 254

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class WireError(ValueError):
    """Bytes that are not what the specification says stands there, or values that do not fit."""


class Reader:
    """A cursor over received bytes; every method raises WireError where they end too soon."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytes(data)
        self._at = 0

    @property
    def rest(self) -> int:
        """Bytes that have not been read."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes as they are."""
        if count > self.rest:
            raise WireError(f"{count} bytes wanted at offset {self._at}, {self.rest} are left")
        start, self._at = self._at, self._at + count
        return self._data[start : self._at]

    def integer(self, size: int, *, signed: bool = False) -> int:
        """Read an integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def u8(self) -> int:
        """Read a UINT8."""
        return self.integer(1)

    def u16(self) -> int:
        """Read a UINT16."""
        return self.integer(2)

    def u32(self) -> int:
        """Read a UINT32."""
        return self.integer(4)

    def u64(self) -> int:
        """Read a UINT64."""
        return self.integer(8)

    def string(self) -> str:
        """Read a string: a count of UTF-16 units with the NUL, then the units; 0 is empty.

        Units after a NUL do not count, and a missing NUL is forgiven, as clients differ.
        """
        units = self.u8()
        raw = self.take(2 * units)
        try:
            text = raw.decode("utf-16-le")
        except UnicodeDecodeError as error:
            raise WireError(f"string with an unpaired surrogate: {error.reason}") from None
        return text.partition("\0")[0]

    def array(self, read: Callable[[], int]) -> tuple[int, ...]:
        """Read an array: a UINT32 count, then the elements by `read`."""
        count = self.u32()
        if count > self.rest:
            raise WireError(f"array of {count} elements in {self.rest} bytes")
        return tuple(read() for _ in range(count))


class Writer:
    """Builds bytes; a value that does not fit raises WireError."""

    def __init__(self) -> None:
        self._data = bytearray()

    def __bytes__(self) -> bytes:
        return bytes(self._data)

    def raw(self, data: bytes) -> "Writer":
        """Append bytes as they are."""
        self._data += data
        return self

    def integer(self, value: int, size: int, *, signed: bool = False) -> "Writer":
        """Append an integer of `size` bytes."""
        try:
            self._data += value.to_bytes(size, "little", signed=signed)
        except OverflowError:
            raise WireError(f"{value} does not fit into {size} bytes") from None
        return self

    def u8(self, value: int) -> "Writer":
        """Append a UINT8."""
        return self.integer(value, 1)

    def u16(self, value: int) -> "Writer":
        """Append a UINT16."""
        return self.raw(_U16.pack(value))

    def u32(self, value: int) -> "Writer":
        """Append a UINT32."""
        return self.raw(_U32.pack(value))

    def u64(self, value: int) -> "Writer":
        """Append a UINT64."""
        return self.raw(_U64.pack(value))

    def string(self, text: str) -> "Writer":
        """Append a string; longer than 254 UTF-16 units or with a lone surrogate is an error."""
        return self.raw(encode_string(text))

    def u16_array(self, values: Iterable[int]) -> "Writer":
        """Append an AUINT16."""
        packed = [_U16.pack(value) for value in values]
        return self.u32(len(packed)).raw(b"".join(packed))

    def u32_array(self, values: Iterable[int]) -> "Writer":
        """Append an AUINT32."""
        return self.raw(encode_u32_array(values))


def encode_string(text: str) -> bytes:
    """Encode a string; empty is one zero byte."""
    if not text:
        return b"\0"
    try:
        raw = text.encode("utf-16-le")
    except UnicodeEncodeError:
        raise WireError(f"string with an unpaired surrogate: {text!a}") from None
    units = len(raw) // 2
    if units > MAX_STRING_UNITS:
        raise WireError(f"string of {units} UTF-16 units, at most {MAX_STRING_UNITS} fit")
    return bytes((units + 1,)) + raw + b"\0\0"


def encode_u32_array(values: Iterable[int]) -> bytes:
    """Encode an AUINT32, at the speed of `array` (10,000 handles take well under a millisecond)."""
    elements = array("I", values)
    if sys.byteorder == "big":
        elements.byteswap()
    return _U32.pack(len(elements)) + elements.tobytes()


_INTEGER_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 8, 8: 8, 9: 16, 10: 16}
_ARRAY = 0x4000

#: A value of any `DataType`; an AUINT8 may be bytes.
Value = int | str | bytes | tuple[int, ...]


def _integer_type(code: int) -> tuple[int, bool]:
    try:
        return _INTEGER_SIZES[code], bool(code & 1)
    except KeyError:
        raise WireError(f"no data type {code:04X}") from None


def encode_value(data_type: DataType, value: Value) -> bytes:
    """Encode a value of a given type."""
    writer = Writer()
    if isinstance(value, str):
        if data_type is not DataType.STRING:
            raise WireError(f"a string is no {data_type.name}")
        writer.string(value)
    elif isinstance(value, bytes):
        if data_type is not DataType.AUINT8:
            raise WireError(f"bytes are no {data_type.name}")
        writer.u32(len(value)).raw(value)
    elif isinstance(value, int):
        size, signed = _integer_type(data_type)
        writer.integer(value, size, signed=signed)
    else:
        size, signed = _integer_type(data_type ^ _ARRAY)
        writer.u32(len(value))
        for element in value:
            writer.integer(element, size, signed=signed)
    return bytes(writer)


def is_array(data_type: DataType) -> bool:
    """Whether values of a type are arrays."""
    return data_type is not DataType.STRING and data_type & _ARRAY != 0


@cache
def encoder_of(data_type: DataType) -> Callable[[Value], bytes]:
    """Find the quickest way to encode many values of one type; they are known to fit."""
    if data_type is DataType.STRING:
        return cast("Callable[[Value], bytes]", encode_string)
    if not is_array(data_type) and data_type in _STRUCTS:
        return cast("Callable[[Value], bytes]", _STRUCTS[data_type].pack)
    if data_type is DataType.UINT128:
        return lambda value: cast("int", value).to_bytes(16, "little")
    return lambda value: encode_value(data_type, value)


_STRUCTS = {
    DataType.UINT8: struct.Struct("<B"),
    DataType.UINT16: _U16,
    DataType.UINT32: _U32,
    DataType.UINT64: _U64,
}


def size_of(data_type: DataType) -> int | None:
    """Bytes of each value of a type; None for strings and arrays."""
    if data_type is DataType.STRING or is_array(data_type):
        return None
    return _integer_type(data_type)[0]


def decode_value(reader: Reader, data_type: DataType) -> Value:
    """Read a value of a given type."""
    if data_type is DataType.STRING:
        return reader.string()
    size, signed = _integer_type(data_type & ~_ARRAY)
    if data_type & _ARRAY:
        return reader.array(lambda: reader.integer(size, signed=signed))
    return reader.integer(size, signed=signed)


_DATE = r"(?a)(\d{8})T(\d{6})(?:\.\d+)?(Z|[+-]\d{4})?"


def encode_date(timestamp: float) -> str:
    """Format Unix seconds as `YYYYMMDDThhmmss` in local time, the form that all clients read.

    Dates outside the years 1 to 9999 become an empty string, which means "unknown".
    """
    try:
        return _format_second(timestamp // 1)
    except (ValueError, OverflowError, OSError):
        return ""


@lru_cache(maxsize=64)
def _format_second(second: float) -> str:
    """Format a whole second; one file has several dates, and often the same ones."""
    moment = datetime.fromtimestamp(second)
    return f"{moment.year:04}{moment:%m%dT%H%M%S}"


def decode_date(text: str) -> float | None:
    """Read a date with optional fraction and zone; Unix seconds, None for an empty string."""
    if not text:
        return None
    match = re.fullmatch(_DATE, text)
    if match is None:
        raise WireError(f"no date: {text!a}")
    day, clock, zone = match.groups()
    try:
        moment = datetime.strptime(day + clock, "%Y%m%d%H%M%S")
        return moment.replace(tzinfo=_zone(zone)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise WireError(f"no date: {text!a}") from None


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
