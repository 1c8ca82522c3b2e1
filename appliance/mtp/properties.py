# SPDX-License-Identifier: GPL-3.0-or-later
"""The properties that objects have: one table, from which every operation on properties works.

A property's value comes from a record of the object, or from the store where that is slow; slow
ones are in the group 0xFFFFFFFF, which "all properties" leaves out. The others are in one of two
groups: what an object is, and what the disk says of it.

Spec: MTP 1.1 section 5.3.2 and appendix B. Kept short on purpose: a widespread client asks for the
description of each property before each upload.
"""

from collections.abc import Callable, Iterable, Iterator

from appliance.mtp.codes import (
    ALL,
    DataType,
    FormatCode,
    ObjectPropertyCode,
    ProtectionStatus,
    ResponseCode,
)
from appliance.mtp.descriptions import (
    DATE_FORM,
    NO_FORM,
    Form,
    ObjectPropDesc,
    byte_array_form,
    enumeration_form,
)
from appliance.mtp.errors import MtpError
from appliance.mtp.formats import format_of, is_image
from appliance.mtp.ports import ObjectRecord, ObjectStore, Picture
from appliance.mtp.wire import Value, WireError, decode_date, encode_date, is_array
from appliance.values import dataclass

#: What an object is: the table knows it.
GROUP_IDENTITY = 1
#: What the disk says of it.
GROUP_STATE = 2
#: What takes long to find out.
GROUP_SLOW = ALL
GROUPS = (GROUP_IDENTITY, GROUP_STATE, GROUP_SLOW)

#: Bytes that a representative sample has at most.
MAX_SAMPLE_SIZE = 1 << 16


@dataclass(frozen=True, slots=True)
class ObjectProperty:
    """One object property: how to read it and, where it can be set, how to set it."""

    code: ObjectPropertyCode
    data_type: DataType
    get: Callable[[ObjectStore, ObjectRecord], Value]
    group: int = GROUP_STATE
    set: Callable[[ObjectStore, int, Value], None] | None = None
    form: Form = NO_FORM
    images_only: bool = False

    def describe(self) -> ObjectPropDesc:
        """Describe the property; its default is what the type has for "nothing"."""
        default: Value = 0
        if self.data_type is DataType.STRING:
            default = ""
        elif is_array(self.data_type):
            default = ()
        settable = self.set is not None
        return ObjectPropDesc(
            self.code, self.data_type, settable, default, group=self.group, form=self.form
        )

    def applies_to(self, form: int) -> bool:
        """Whether objects of a format have the property."""
        return not self.images_only or is_image(form)


def format_of_record(record: ObjectRecord) -> FormatCode:
    """Return the format that an object is reported with."""
    return format_of(record.name, is_folder=record.is_folder)


def protection_of(record: ObjectRecord) -> ProtectionStatus:
    """Return the protection that an object is reported with."""
    return ProtectionStatus.READ_ONLY if record.protected else ProtectionStatus.NONE


def _rename(store: ObjectStore, handle: int, value: Value) -> None:
    if not isinstance(value, str):
        raise MtpError(ResponseCode.INVALID_OBJECT_PROP_FORMAT)
    store.rename(handle, value)


def _set_modified(store: ObjectStore, handle: int, value: Value) -> None:
    store.set_modified(handle, date_of(value))


def date_of(value: Value) -> float:
    """Read a property's value that is a date (Unix seconds); InvalidObjectPropValue for none."""
    try:
        moment = decode_date(value) if isinstance(value, str) else None
    except WireError:
        moment = None
    if moment is None:
        raise MtpError(ResponseCode.INVALID_OBJECT_PROP_VALUE, f"no date: {value!a}")
    return moment


def _sample(store: ObjectStore, record: ObjectRecord) -> Picture:
    try:
        return store.thumbnail(record.handle)
    except MtpError as error:
        if error.code is not ResponseCode.NO_THUMBNAIL_PRESENT:
            raise
        return Picture(b"", 0, 0)


_Code = ObjectPropertyCode
_PROTECTION_FORM = enumeration_form(
    DataType.UINT16, (ProtectionStatus.NONE, ProtectionStatus.READ_ONLY)
)
_YES_OR_NO_16 = enumeration_form(DataType.UINT16, (0, 1))
_YES_OR_NO_8 = enumeration_form(DataType.UINT8, (0, 1))
_SAMPLE_FORM = enumeration_form(DataType.UINT16, (FormatCode.JFIF,))


def _identity() -> Iterator[ObjectProperty]:
    number, text = DataType.UINT32, DataType.STRING
    group = GROUP_IDENTITY
    yield ObjectProperty(_Code.STORAGE_ID, number, lambda s, r: r.storage_id, group)
    yield ObjectProperty(
        _Code.OBJECT_FORMAT, DataType.UINT16, lambda s, r: format_of_record(r), group
    )
    yield ObjectProperty(_Code.OBJECT_FILE_NAME, text, lambda s, r: r.name, group, _rename)
    yield ObjectProperty(_Code.PARENT_OBJECT, number, lambda s, r: r.parent, group)
    yield ObjectProperty(_Code.NAME, text, lambda s, r: r.name, group)
    yield ObjectProperty(_Code.DISPLAY_NAME, text, lambda s, r: r.name, group)
    yield ObjectProperty(
        _Code.HIDDEN,
        DataType.UINT16,
        lambda s, r: int(r.name.startswith(".")),
        group,
        form=_YES_OR_NO_16,
    )
    yield ObjectProperty(
        _Code.NON_CONSUMABLE, DataType.UINT8, lambda s, r: 0, group, form=_YES_OR_NO_8
    )


def _state() -> Iterator[ObjectProperty]:
    text = DataType.STRING
    yield ObjectProperty(
        _Code.PROTECTION_STATUS,
        DataType.UINT16,
        lambda s, r: protection_of(r),
        form=_PROTECTION_FORM,
    )
    yield ObjectProperty(_Code.OBJECT_SIZE, DataType.UINT64, lambda s, r: r.size)
    yield ObjectProperty(
        _Code.DATE_CREATED, text, lambda s, r: encode_date(r.created), form=DATE_FORM
    )
    yield ObjectProperty(
        _Code.DATE_MODIFIED,
        text,
        lambda s, r: encode_date(r.modified),
        set=_set_modified,
        form=DATE_FORM,
    )
    yield ObjectProperty(_Code.DATE_ADDED, text, lambda s, r: encode_date(r.added), form=DATE_FORM)
    yield ObjectProperty(
        _Code.PERSISTENT_UNIQUE_OBJECT_IDENTIFIER,
        DataType.UINT128,
        lambda s, r: r.unique_id or s.unique_id(r.handle),
    )


def _slow() -> Iterator[ObjectProperty]:
    number = DataType.UINT32

    def slow(
        code: ObjectPropertyCode,
        data_type: DataType,
        get: Callable[[ObjectStore, ObjectRecord], Value],
        form: Form = NO_FORM,
    ) -> ObjectProperty:
        return ObjectProperty(code, data_type, get, GROUP_SLOW, form=form, images_only=True)

    yield slow(_Code.WIDTH, number, lambda s, r: s.image_size(r.handle)[0])
    yield slow(_Code.HEIGHT, number, lambda s, r: s.image_size(r.handle)[1])
    yield slow(
        _Code.REPRESENTATIVE_SAMPLE_FORMAT,
        DataType.UINT16,
        lambda s, r: FormatCode.JFIF,
        _SAMPLE_FORM,
    )
    yield slow(_Code.REPRESENTATIVE_SAMPLE_SIZE, number, lambda s, r: len(_sample(s, r).data))
    yield slow(_Code.REPRESENTATIVE_SAMPLE_WIDTH, number, lambda s, r: _sample(s, r).width)
    yield slow(_Code.REPRESENTATIVE_SAMPLE_HEIGHT, number, lambda s, r: _sample(s, r).height)
    yield slow(
        _Code.REPRESENTATIVE_SAMPLE_DATA,
        DataType.AUINT8,
        lambda s, r: _sample(s, r).data,
        byte_array_form(MAX_SAMPLE_SIZE),
    )


OBJECT_PROPERTIES = {
    item.code: item for item in sorted((*_identity(), *_state(), *_slow()), key=lambda p: p.code)
}


#: What only a record in full has.
_IN_FULL = frozenset({_Code.DATE_ADDED, _Code.PERSISTENT_UNIQUE_OBJECT_IDENTIFIER})


def needs_full_record(codes: Iterable[int]) -> bool:
    """Whether any of these properties is told by a record in full alone."""
    return not _IN_FULL.isdisjoint(codes)


def object_property(code: int) -> ObjectProperty:
    """Find a property; the error tells a number that is no property from one we do not have."""
    known = OBJECT_PROPERTIES.get(ObjectPropertyCode(code)) if code <= 0xFFFF else None
    if known is not None:
        return known
    if 0xD800 <= code <= 0xDFFF:
        raise MtpError(ResponseCode.OBJECT_PROP_NOT_SUPPORTED, f"property {code:04X}")
    raise MtpError(ResponseCode.INVALID_OBJECT_PROP_CODE, f"property {code:04X}")


def property_of(form: int, code: int) -> ObjectProperty:
    """Find a property of objects of a format; ObjectPropNotSupported where they have it not."""
    item = object_property(code)
    if not item.applies_to(form):
        raise MtpError(ResponseCode.OBJECT_PROP_NOT_SUPPORTED, f"{item.code.name} of {form:04X}")
    return item
