# SPDX-License-Identifier: GPL-3.0-or-later
"""GetDeviceInfo and device properties (MTP 1.1 appendix D.2.1, D.2.20 to D.2.23)."""

from collections.abc import Callable, Sequence

from appliance.mtp.codes import ALL, OperationCode, ResponseCode
from appliance.mtp.datasets import DeviceInfo
from appliance.mtp.device import DeviceProperty
from appliance.mtp.errors import MtpError
from appliance.mtp.formats import PLAYBACK_FORMATS
from appliance.mtp.operations.context import Context, DatasetSink, data_reply, decode_only
from appliance.mtp.transaction import Reply, Request, Sink
from appliance.mtp.wire import Value, encode_value


def get_device_info(
    supported: Callable[[], Sequence[OperationCode]],
) -> Callable[[Context, Request], Reply]:
    """Make the operation; `supported` names what the registry holds."""

    def run(context: Context, request: Request) -> Reply:
        identity = context.device.identity
        info = DeviceInfo(
            operations=supported(),
            events=(),
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
        _set(item, decode_only(item.data_type, data, refusal=refusal))
        return Reply()

    return DatasetSink(finish, too_large=ResponseCode.INVALID_DEVICE_PROP_VALUE)


def reset_device_prop_value(context: Context, request: Request) -> Reply:
    """Return the property in parameter 1 to its default; all of them by 0xFFFFFFFF."""
    code = request.parameter(0)
    if code != ALL:
        _set(context.device.property(code), None)
        return Reply()
    for item in context.device.properties.values():
        if item.set is not None:
            item.set(None)
    return Reply()


def _set(item: DeviceProperty, value: Value | None) -> None:
    if item.set is None:
        raise MtpError(ResponseCode.ACCESS_DENIED, f"{item.code.name} cannot be set")
    item.set(value)
