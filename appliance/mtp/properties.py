# SPDX-License-Identifier: GPL-3.0-or-later
"""The properties that objects have: one table, from which every operation on properties works.

Spec: MTP 1.1 sections 5.3.2 and appendix B. Kept short on purpose: a widespread client asks for the
description of each property before each upload.
"""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.mtp.codes import DataType, ObjectPropertyCode, ProtectionStatus, ResponseCode
from appliance.mtp.datasets import DATE_FORM, NO_FORM, Form, ObjectPropDesc, enumeration_form
from appliance.mtp.errors import MtpError
from appliance.mtp.formats import format_of
from appliance.mtp.ports import ObjectStore
from appliance.mtp.wire import Value, encode_date


@dataclass(frozen=True, slots=True)
class ObjectProperty:
    """One object property: how to read it and, where it can be set, how to set it."""

    code: ObjectPropertyCode
    data_type: DataType
    get: Callable[[ObjectStore, int], Value]
    set: Callable[[ObjectStore, int, Value], None] | None = None
    form: Form = NO_FORM

    def describe(self) -> ObjectPropDesc:
        """Describe the property; its default is what the type has for "nothing"."""
        default: Value = "" if self.data_type is DataType.STRING else 0
        return ObjectPropDesc(
            self.code, self.data_type, self.set is not None, default, form=self.form
        )


def _format(store: ObjectStore, handle: int) -> int:
    entry = store.entry(handle)
    return format_of(entry.name, is_folder=entry.is_folder)


def _protection(store: ObjectStore, handle: int) -> int:
    return ProtectionStatus.READ_ONLY if store.record(handle).protected else ProtectionStatus.NONE


def _rename(store: ObjectStore, handle: int, value: Value) -> None:
    if not isinstance(value, str):
        raise MtpError(ResponseCode.INVALID_OBJECT_PROP_FORMAT)
    store.rename(handle, value)


_PROTECTION_FORM = enumeration_form(
    DataType.UINT16, (ProtectionStatus.NONE, ProtectionStatus.READ_ONLY)
)
_Code = ObjectPropertyCode
_TABLE = (
    ObjectProperty(_Code.STORAGE_ID, DataType.UINT32, lambda s, h: s.entry(h).storage_id),
    ObjectProperty(_Code.OBJECT_FORMAT, DataType.UINT16, _format),
    ObjectProperty(_Code.PROTECTION_STATUS, DataType.UINT16, _protection, form=_PROTECTION_FORM),
    ObjectProperty(_Code.OBJECT_SIZE, DataType.UINT64, lambda s, h: s.record(h).size),
    ObjectProperty(
        _Code.OBJECT_FILE_NAME, DataType.STRING, lambda s, h: s.entry(h).name, set=_rename
    ),
    ObjectProperty(
        _Code.DATE_CREATED,
        DataType.STRING,
        lambda s, h: encode_date(s.record(h).created),
        form=DATE_FORM,
    ),
    ObjectProperty(
        _Code.DATE_MODIFIED,
        DataType.STRING,
        lambda s, h: encode_date(s.record(h).modified),
        form=DATE_FORM,
    ),
    ObjectProperty(_Code.PARENT_OBJECT, DataType.UINT32, lambda s, h: s.entry(h).parent),
    ObjectProperty(
        _Code.PERSISTENT_UNIQUE_OBJECT_IDENTIFIER,
        DataType.UINT128,
        lambda s, h: s.unique_id(h),
    ),
    ObjectProperty(_Code.NAME, DataType.STRING, lambda s, h: s.entry(h).name),
)

OBJECT_PROPERTIES = {item.code: item for item in _TABLE}


def object_property(code: int) -> ObjectProperty:
    """Find a property; the error tells a number that is no property from one we do not have."""
    known = OBJECT_PROPERTIES.get(ObjectPropertyCode(code)) if code <= 0xFFFF else None
    if known is not None:
        return known
    if 0xD800 <= code <= 0xDFFF:
        raise MtpError(ResponseCode.OBJECT_PROP_NOT_SUPPORTED, f"property {code:04X}")
    raise MtpError(ResponseCode.INVALID_OBJECT_PROP_CODE, f"property {code:04X}")
