# SPDX-License-Identifier: GPL-3.0-or-later
"""GetDeviceInfo and device properties (MTP 1.1 appendix D.2.1, D.2.20 to D.2.23)."""

from collections.abc import Callable, Mapping

from appliance.mtp.audience import EVENTS
from appliance.mtp.codes import ALL, DevicePropertyCode, EventCode, OperationCode, ResponseCode
from appliance.mtp.datasets import DeviceInfo
from appliance.mtp.device import DeviceProperty
from appliance.mtp.errors import MtpError
from appliance.mtp.formats import PLAYBACK_FORMATS
from appliance.mtp.operations.context import (
    Context,
    DatasetSink,
    Operation,
    data_reply,
    decode_only,
)
from appliance.mtp.transaction import Reply, Request, Sink
from appliance.mtp.wire import Value, encode_value


def get_device_info(
    registry: Callable[[], Mapping[OperationCode, Operation]],
) -> Callable[[Context, Request], Reply]:
    """Make the operation; what it lists is what the registry holds and offers."""

    def run(context: Context, request: Request) -> Reply:
        identity = context.device.identity
        info = DeviceInfo(
            operations=[code for code, item in registry().items() if item.offered(context)],
            events=EVENTS,
            device_properties=list(context.device.properties),
            playback_formats=PLAYBACK_FORMATS,
            manufacturer=identity.manufacturer,
            model=identity.model,
            device_version=identity.version,
            serial_number=identity.serial_number,
        )
        return data_reply(info.encode())

    return run


def get_device_prop_desc(context: Context, request: Request) -> Reply:
    """Describe the property in parameter 1."""
    return data_reply(context.device.property(request.parameter(0)).describe().encode())


def get_device_prop_value(context: Context, request: Request) -> Reply:
    """Send the value of the property in parameter 1."""
    item = context.device.property(request.parameter(0))
    return data_reply(encode_value(item.data_type, item.get()))


def set_device_prop_value(context: Context, request: Request) -> Sink:
    """Set the property in parameter 1."""
    item = context.device.property(request.parameter(0))

    def finish(data: bytes) -> Reply:
        refusal = ResponseCode.INVALID_DEVICE_PROP_FORMAT
        _set(context, item, decode_only(item.data_type, data, refusal=refusal))
        return Reply()

    return DatasetSink(finish, too_large=ResponseCode.INVALID_DEVICE_PROP_VALUE)


def reset_device_prop_value(context: Context, request: Request) -> Reply:
    """Return the property in parameter 1 to its default; all of them by 0xFFFFFFFF."""
    code = request.parameter(0)
    if code != ALL:
        _set(context, context.device.property(code), None)
        return Reply()
    for item in context.device.properties.values():
        if item.set is not None and item.resettable:
            _set(context, item, None)
    return Reply()


def _set(context: Context, item: DeviceProperty, value: Value | None) -> None:
    if item.set is None or (value is None and not item.resettable):
        raise MtpError(ResponseCode.ACCESS_DENIED, f"{item.code.name} cannot be set")
    item.set(value)
    if item.code is DevicePropertyCode.SESSION_INITIATOR_INFO:
        context.session.client = str(value or "")
    context.tell_others_of(EventCode.DEVICE_PROP_CHANGED, item.code)
