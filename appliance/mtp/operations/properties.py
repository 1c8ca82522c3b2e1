# SPDX-License-Identifier: GPL-3.0-or-later
"""Object properties one by one (MTP 1.1 appendix D.2.28 to D.2.31).

A format that DeviceInfo does not list has the properties of any file: a widespread client refuses
to upload a file otherwise.
"""

from appliance.mtp.codes import EventCode, ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.operations.context import Context, DatasetSink, data_reply, decode_only
from appliance.mtp.ports import ChangeKind
from appliance.mtp.properties import (
    GROUP_IDENTITY,
    OBJECT_PROPERTIES,
    ObjectProperty,
    format_of_record,
    needs_full_record,
    object_property,
    property_of,
)
from appliance.mtp.transaction import Reply, Request, Sink
from appliance.mtp.wire import Value, Writer, encode_value


def get_object_props_supported(context: Context, request: Request) -> Reply:
    """List the properties that objects of the format in parameter 1 have."""
    form = request.parameter(0)
    codes = [item.code for item in OBJECT_PROPERTIES.values() if item.applies_to(form)]
    return data_reply(bytes(Writer().u16_array(codes)))


def get_object_prop_desc(context: Context, request: Request) -> Reply:
    """Describe the property in parameter 1 of objects of the format in parameter 2."""
    item = property_of(request.parameter(1), request.parameter(0))
    return data_reply(item.describe().encode())


def get_object_prop_value(context: Context, request: Request) -> Reply:
    """Send the value of a property (parameter 2) of an object (parameter 1)."""
    handle, code = request.parameter(0), request.parameter(1)
    record = context.store.record(handle, in_full=needs_full_record((code,)))
    item = property_of(format_of_record(record), code)
    return data_reply(encode_value(item.data_type, item.get(context.store, record)))


def set_object_prop_value(context: Context, request: Request) -> Sink:
    """Set a property (parameter 2) of an object (parameter 1); the file name renames it."""
    handle, code = request.parameter(0), request.parameter(1)
    context.store.entry(handle)
    item = object_property(code)
    if item.set is None:
        raise MtpError(ResponseCode.ACCESS_DENIED, f"{item.code.name} cannot be set")

    def finish(data: bytes) -> Reply:
        refusal = ResponseCode.INVALID_OBJECT_PROP_FORMAT
        value = decode_only(item.data_type, data, refusal=refusal)
        set_property(context, handle, item, value)
        return Reply()

    return DatasetSink(finish, too_large=ResponseCode.INVALID_OBJECT_PROP_VALUE)


def set_property(context: Context, handle: int, item: ObjectProperty, value: Value) -> None:
    """Set a property, and tell the others."""
    if item.set is None:
        raise MtpError(ResponseCode.ACCESS_DENIED, f"{item.code.name} cannot be set")
    item.set(context.store, handle, value)
    handle = context.store.current(handle)
    context.tell_others_of(EventCode.OBJECT_PROP_CHANGED, handle, item.code)
    is_place = item.group == GROUP_IDENTITY
    context.tell_others(ChangeKind.PLACE if is_place else ChangeKind.CONTENT, handle)
