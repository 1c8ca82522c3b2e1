# SPDX-License-Identifier: GPL-3.0-or-later
"""References between objects, as in playlists (MTP 1.1 appendix D.2.36, D.2.37)."""

from appliance.mtp.codes import DataType, EventCode, ResponseCode
from appliance.mtp.operations.context import Context, DatasetSink, data_reply, decode_only
from appliance.mtp.transaction import Reply, Request, Sink
from appliance.mtp.wire import encode_u32_array


def get_object_references(context: Context, request: Request) -> Reply:
    """List what the object in parameter 1 refers to."""
    return data_reply(encode_u32_array(context.store.references(request.parameter(0))))


def set_object_references(context: Context, request: Request) -> Sink:
    """Set what the object in parameter 1 refers to."""
    handle = request.parameter(0)
    context.store.entry(handle)

    def finish(data: bytes) -> Reply:
        value = decode_only(DataType.AUINT32, data, refusal=ResponseCode.INVALID_DATASET)
        references = value if isinstance(value, tuple) else ()
        context.store.set_references(handle, references)
        listed = context.store.current(handle)
        context.tell_others_of(EventCode.OBJECT_REFERENCES_CHANGED, listed)
        return Reply()

    return DatasetSink(finish, too_large=ResponseCode.INVALID_DATASET)
