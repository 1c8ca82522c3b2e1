# SPDX-License-Identifier: GPL-3.0-or-later
"""ObjectPropList: many properties of many objects in one dataset.

| offset | size | field                                     |
|--------|------|-------------------------------------------|
| 0      | 4    | number of elements                        |
|        | 4    | of each element: object handle            |
|        | 2    | property code                             |
|        | 2    | data type                                 |
|        | any  | value                                     |

The number of elements and the length of all stand before the first of them. So what is going to be
told is fixed first: which objects there are and their names, from the table alone. All else has a
length of its own, and is asked for while the list is sent: no more of it is in memory than a piece.

Spec: MTP 1.1 appendix E.2.1 (ObjectPropList), D.2.32 to D.2.34.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from appliance.mtp.codes import DataType
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Entry, ObjectRecord, ObjectStore
from appliance.mtp.properties import GROUP_IDENTITY, ObjectProperty, needs_full_record
from appliance.mtp.wire import (
    Reader,
    Value,
    WireError,
    decode_value,
    encode_string,
    encoder_of,
    size_of,
)
from appliance.values import dataclass, replace

_HANDLE = struct.Struct("<I")
_HEAD = struct.Struct("<HH")
_PREFIX = _HANDLE.size + _HEAD.size
#: A date of 15 characters with its count and NUL.
_DATE_SIZE = 1 + 2 * 16
#: For what has no date that a PC can read: 1970.
_NO_DATE = encode_string("19700101T000000")
#: Objects whose elements are made at a time.
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a list that an initiator sent."""

    handle: int
    code: int
    data_type: DataType
    value: Value


def decode_prop_list(data: bytes) -> list[Element]:
    """Read a list; WireError where it is none."""
    reader = Reader(data)
    count = reader.u32()
    if count > reader.rest // _PREFIX:
        raise WireError(f"list of {count} elements in {reader.rest} bytes")
    elements = [_decode_element(reader) for _ in range(count)]
    if reader.rest:
        raise WireError(f"{reader.rest} bytes too many")
    return elements


def _decode_element(reader: Reader) -> Element:
    handle, code, data_type = reader.u32(), reader.u16(), DataType(reader.u16())
    return Element(handle, code, data_type, decode_value(reader, data_type))


def encode_single(
    store: ObjectStore, record: ObjectRecord, items: Sequence[ObjectProperty]
) -> bytes:
    """Build the list of one object's properties, of any length each."""
    handle = _HANDLE.pack(record.handle)
    parts = [_HANDLE.pack(len(items))]
    for item in items:
        value = encoder_of(item.data_type)(item.get(store, record))
        parts += (handle, _HEAD.pack(item.code, item.data_type), value)
    return b"".join(parts)


class Subjects:
    """The objects of a list as the table knows them when it begins; about 100 bytes each."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.handles = array("I")
        self._names: list[str] = []
        self._storages = array("I")
        self._parents = array("I")
        self._folders = bytearray()
        for each in entries:
            self.handles.append(each.handle)
            self._names.append(each.name)
            self._storages.append(each.storage_id)
            self._parents.append(each.parent)
            self._folders.append(each.is_folder)

    def __len__(self) -> int:
        return len(self.handles)

    def names(self) -> Sequence[str]:
        """Names in order."""
        return self._names

    def record(self, index: int, record: ObjectRecord | None) -> ObjectRecord:
        """Give a record the name that was promised; make one up for what is gone meanwhile."""
        name = self._names[index]
        if record is None:
            return ObjectRecord(
                self.handles[index],
                self._storages[index],
                self._parents[index],
                name,
                bool(self._folders[index]),
                size=0,
                modified=0,
                created=0,
                added=0,
                protected=False,
            )
        return record if record.name == name else replace(record, name=name)


class _Column:
    """One property, prepared for many objects; `nothing`: what cannot be found out any more."""

    def __init__(self, item: ObjectProperty) -> None:
        self.head = _HEAD.pack(item.code, item.data_type)
        self.get = item.get
        self.is_name = item.data_type is DataType.STRING and item.group == GROUP_IDENTITY
        size = size_of(item.data_type)
        is_date = size is None and not self.is_name
        self.encode = _encode_date if is_date else encoder_of(item.data_type)
        self.nothing = _NO_DATE if is_date else bytes(size or 0)
        self.size = _PREFIX + len(self.nothing)


@lru_cache(maxsize=64)
def _encode_date(value: Value) -> bytes:
    """Encode a date in its one length; files that were made together have the same."""
    data = encode_string(str(value))
    return data if len(data) == _DATE_SIZE else _NO_DATE


class PropListSource:
    """The list of some properties of many objects, made while it is sent.

    Of properties that all objects have, which are all but the slow ones.
    """

    def __init__(
        self, store: ObjectStore, subjects: Subjects, items: Sequence[ObjectProperty]
    ) -> None:
        self._store = store
        self._subjects = subjects
        self._columns = [_Column(item) for item in items]
        self._asks_disk = any(item.group != GROUP_IDENTITY for item in items)
        self._in_full = needs_full_record(item.code for item in items)
        self._count, self._length = self._measure()
        self._pieces = self._make()
        self._rest = memoryview(b"")

    @property
    def length(self) -> int:
        """Bytes in all."""
        return self._length

    def read_into(self, buffer: memoryview) -> int:
        """Copy what of the next piece fits into `buffer`, and no more: the disk may be slow."""
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        part = self._rest[: len(buffer)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)

    def close(self) -> None:
        """Make no more."""
        self._pieces = iter(())
        self._rest = memoryview(b"")

    def _measure(self) -> tuple[int, int]:
        """Count elements, and their bytes with the number before them."""
        objects, columns = len(self._subjects), self._columns
        sizes = objects * sum(column.size for column in columns)
        names = sum(len(encode_string(name)) for name in self._subjects.names())
        return objects * len(columns), _HANDLE.size + sizes + names * self._name_columns

    @property
    def _name_columns(self) -> int:
        return sum(column.is_name for column in self._columns)

    def _make(self) -> Iterator[bytes]:
        yield _HANDLE.pack(self._count)
        parts: list[bytes] = []
        for index, record in enumerate(self._records()):
            self._append(parts, self._subjects.record(index, record))
            if index % _BATCH == _BATCH - 1:
                yield b"".join(parts)
                parts.clear()
        if parts:
            yield b"".join(parts)

    def _records(self) -> Iterable[ObjectRecord | None]:
        if self._asks_disk:
            return self._store.records(self._subjects.handles, in_full=self._in_full)
        return (None for _ in range(len(self._subjects)))

    def _append(self, parts: list[bytes], record: ObjectRecord) -> None:
        handle, name = _HANDLE.pack(record.handle), encode_string(record.name)
        store = self._store
        for column in self._columns:
            if column.is_name:
                value = name
            else:
                try:
                    value = column.encode(column.get(store, record))
                except MtpError:
                    value = column.nothing
            parts += (handle, column.head, value)
