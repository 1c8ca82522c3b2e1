# SPDX-License-Identifier: GPL-3.0-or-later
"""Object properties one by one (MTP 1.1 appendix D.2.28 to D.2.31).

The properties of every format are the same, so a format that DeviceInfo does not list is answered
too: a widespread client refuses to upload a file otherwise.
"""

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.operations.context import Context, DatasetSink, data_reply, decode_only
from appliance.mtp.properties import OBJECT_PROPERTIES, object_property
from appliance.mtp.transaction import Reply, Request, Sink
from appliance.mtp.wire import Writer, encode_value


def get_object_props_supported(context: Context, request: Request) -> Reply:
    """List the properties that objects of the format in parameter 1 have."""
    return data_reply(bytes(Writer().u16_array(OBJECT_PROPERTIES)))


def get_object_prop_desc(context: Context, request: Request) -> Reply:
    """Describe the property in parameter 1."""
    return data_reply(object_property(request.parameter(0)).describe().encode())


def get_object_prop_value(context: Context, request: Request) -> Reply:
    """Send the value of a property (parameter 2) of an object (parameter 1)."""
    handle, code = request.parameter(0), request.parameter(1)
    context.store.entry(handle)
    item = object_property(code)
    return data_reply(encode_value(item.data_type, item.get(context.store, handle)))


def set_object_prop_value(context: Context, request: Request) -> Sink:
    """Set a property (parameter 2) of an object (parameter 1); the file name renames it."""
    handle, code = request.parameter(0), request.parameter(1)
    context.store.entry(handle)
    item = object_property(code)
    change = item.set
    if change is None:
        raise MtpError(ResponseCode.ACCESS_DENIED, f"{item.code.name} cannot be set")

    def finish(data: bytes) -> Reply:
        refusal = ResponseCode.INVALID_OBJECT_PROP_FORMAT
        change(context.store, handle, decode_only(item.data_type, data, refusal=refusal))
        return Reply()

    return DatasetSink(finish, too_large=ResponseCode.INVALID_OBJECT_PROP_VALUE)
