# SPDX-License-Identifier: GPL-3.0-or-later
"""The device as initiators see it: who it is, and the properties that it has.

Spec: MTP 1.1 section 5.1 and appendix C.
"""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.mtp.codes import DataType, DevicePropertyCode, ResponseCode
from appliance.mtp.datasets import DevicePropDesc
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import DeviceIdentity, DeviceState
from appliance.mtp.wire import MAX_STRING_UNITS, Value


@dataclass(frozen=True, slots=True)
class DeviceProperty:
    """One device property: how to read it, and how to set it (None: back to the default)."""

    code: DevicePropertyCode
    data_type: DataType
    default: Value
    get: Callable[[], Value]
    set: Callable[[Value | None], None] | None = None

    def describe(self) -> DevicePropDesc:
        """Describe the property with its value as it is now."""
        return DevicePropDesc(
            self.code, self.data_type, self.set is not None, self.default, self.get()
        )


#: PerceivedDeviceType (appendix C.2.6): a generic device; 1 would be a still image camera.
_GENERIC_DEVICE = 0


class Device:
    """Identity and properties, shared by all connections."""

    def __init__(self, identity: DeviceIdentity, state: DeviceState) -> None:
        self.identity = identity
        self._state = state
        friendly_name = DeviceProperty(
            DevicePropertyCode.DEVICE_FRIENDLY_NAME,
            DataType.STRING,
            default=identity.model,
            get=lambda: self.friendly_name,
            set=self._set_friendly_name,
        )
        device_type = DeviceProperty(
            DevicePropertyCode.PERCEIVED_DEVICE_TYPE,
            DataType.UINT32,
            default=_GENERIC_DEVICE,
            get=lambda: _GENERIC_DEVICE,
        )
        self.properties = {item.code: item for item in (friendly_name, device_type)}

    @property
    def friendly_name(self) -> str:
        """The name that a person knows the device by."""
        return self._state.friendly_name or self.identity.model

    def property(self, code: int) -> DeviceProperty:
        """Find a property; DevicePropNotSupported where the device has none of that code."""
        try:
            return self.properties[DevicePropertyCode(code)]
        except (KeyError, ValueError):
            raise MtpError(
                ResponseCode.DEVICE_PROP_NOT_SUPPORTED, f"no property {code:04X}"
            ) from None

    def _set_friendly_name(self, value: Value | None) -> None:
        if value is not None and not isinstance(value, str):
            raise MtpError(ResponseCode.INVALID_DEVICE_PROP_FORMAT)
        if value is not None and (not value.strip() or _units(value) > MAX_STRING_UNITS):
            raise MtpError(ResponseCode.INVALID_DEVICE_PROP_VALUE, "empty or too long")
        self._state.set_friendly_name(value)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
