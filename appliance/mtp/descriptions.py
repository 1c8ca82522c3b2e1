# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of properties: of what type they are, and which values they may have.

Each `encode` gives its table of fields and the section of MTP 1.1 that defines it.
"""

from collections.abc import Sequence

from appliance.mtp.codes import DataType
from appliance.mtp.wire import Value, Writer, encode_value
from appliance.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Form:
    """The form field of a property description (section 5.1.2.1): flag and content."""

    flag: int = 0
    content: bytes = b""


NO_FORM = Form()
DATE_FORM = Form(0x03)


def enumeration_form(data_type: DataType, values: Sequence[Value]) -> Form:
    """Build the form that lists all values that a property may have."""
    body = b"".join(encode_value(data_type, value) for value in values)
    return Form(0x02, bytes(Writer().u16(len(values)).raw(body)))


def range_form(data_type: DataType, least: int, most: int, step: int = 1) -> Form:
    """Build the form of whole numbers between two, both included."""
    values = (least, most, step)
    return Form(0x01, b"".join(encode_value(data_type, value) for value in values))


def byte_array_form(most: int) -> Form:
    """Build the form of an array of at most so many bytes (section 5.3.2.3: ByteArray)."""
    return Form(0x06, bytes(Writer().u32(most)))


@dataclass(frozen=True, slots=True)
class DevicePropDesc:
    """DevicePropDesc (section 5.1.2.1).

    | field               | type                     |
    |---------------------|--------------------------|
    | DevicePropertyCode  | UINT16                   |
    | Datatype            | UINT16                   |
    | GetSet              | UINT8, 1: can be set     |
    | FactoryDefaultValue | Datatype                 |
    | CurrentValue        | Datatype                 |
    | FormFlag            | UINT8                    |
    | form                | by FormFlag              |
    """

    code: int
    data_type: DataType
    writable: bool
    default: Value
    current: Value
    form: Form = NO_FORM

    def encode(self) -> bytes:
        """Build the dataset."""
        writer = Writer().u16(self.code).u16(self.data_type).u8(self.writable)
        writer.raw(encode_value(self.data_type, self.default))
        writer.raw(encode_value(self.data_type, self.current))
        return bytes(writer.u8(self.form.flag).raw(self.form.content))


@dataclass(frozen=True, slots=True)
class ObjectPropDesc:
    """ObjectPropDesc (section 5.3.2.3).

    | field              | type                 |
    |--------------------|----------------------|
    | ObjectPropertyCode | UINT16               |
    | Datatype           | UINT16               |
    | GetSet             | UINT8, 1: can be set |
    | DefaultValue       | Datatype             |
    | GroupCode          | UINT32               |
    | FormFlag           | UINT8                |
    | form               | by FormFlag          |
    """

    code: int
    data_type: DataType
    writable: bool
    default: Value
    group: int = 0
    form: Form = field(default=NO_FORM)

    def encode(self) -> bytes:
        """Build the dataset."""
        writer = Writer().u16(self.code).u16(self.data_type).u8(self.writable)
        writer.raw(encode_value(self.data_type, self.default)).u32(self.group)
        return bytes(writer.u8(self.form.flag).raw(self.form.content))
