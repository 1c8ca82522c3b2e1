# SPDX-License-Identifier: GPL-3.0-or-later
"""The device as initiators see it: who it is, and the properties that it has.

Spec: MTP 1.1 section 5.1 and appendix C.
"""

from collections.abc import Callable, Iterator

from appliance.mtp.codes import DataType, DevicePropertyCode, ResponseCode
from appliance.mtp.descriptions import DATE_FORM, NO_FORM, DevicePropDesc, Form, range_form
from appliance.mtp.device_ports import DeviceIdentity, DeviceState, Host
from appliance.mtp.errors import MtpError
from appliance.mtp.wire import MAX_STRING_UNITS, Value, WireError, decode_date, encode_date
from appliance.values import dataclass


@dataclass(frozen=True, slots=True)
class DeviceProperty:
    """One device property: how to read it, and how to set it (None: back to the default).

    `default` is None where there is none but the value as it is, which then cannot be reset.
    """

    code: DevicePropertyCode
    data_type: DataType
    default: Value | None
    get: Callable[[], Value]
    set: Callable[[Value | None], None] | None = None
    form: Form = NO_FORM

    @property
    def resettable(self) -> bool:
        """Whether there is a default to return to."""
        return self.default is not None

    def describe(self) -> DevicePropDesc:
        """Describe the property with its value as it is now."""
        current = self.get()
        default = current if self.default is None else self.default
        settable = self.set is not None
        return DevicePropDesc(self.code, self.data_type, settable, default, current, self.form)


#: PerceivedDeviceType (appendix C.2.6): a generic device; 1 would be a still image camera.
_GENERIC_DEVICE = 0
_Code = DevicePropertyCode


class Device:
    """Identity and properties, shared by all connections."""

    def __init__(self, identity: DeviceIdentity, state: DeviceState, host: Host) -> None:
        self.identity = identity
        self._state = state
        self._host = host
        self._initiator = ""
        self.properties = {item.code: item for item in self._table()}

    @property
    def friendly_name(self) -> str:
        """The name that a person knows the device by."""
        return self._state.friendly_name or self.identity.model

    def _table(self) -> Iterator[DeviceProperty]:
        yield DeviceProperty(
            _Code.DEVICE_FRIENDLY_NAME,
            DataType.STRING,
            self.identity.model,
            lambda: self.friendly_name,
            self._set_friendly_name,
        )
        yield DeviceProperty(
            _Code.SYNCHRONIZATION_PARTNER,
            DataType.STRING,
            "",
            lambda: self._state.synchronization_partner,
            lambda value: self._state.set_synchronization_partner(_text(value)),
        )
        yield DeviceProperty(
            _Code.SESSION_INITIATOR_INFO,
            DataType.STRING,
            "",
            lambda: self._initiator,
            self._set_initiator,
        )
        icon = self._host.icon()
        yield DeviceProperty(_Code.DEVICE_ICON, DataType.AUINT8, icon, lambda: icon)
        yield DeviceProperty(
            _Code.PERCEIVED_DEVICE_TYPE,
            DataType.UINT32,
            _GENERIC_DEVICE,
            lambda: _GENERIC_DEVICE,
        )
        yield from self._of_the_host()

    def _of_the_host(self) -> Iterator[DeviceProperty]:
        yield DeviceProperty(
            _Code.DATE_TIME,
            DataType.STRING,
            None,
            lambda: encode_date(self._host.now()),
            self._set_clock if self._host.may_set_clock else None,
            DATE_FORM,
        )
        if self._host.battery_level() is not None:
            yield DeviceProperty(
                _Code.BATTERY_LEVEL,
                DataType.UINT8,
                None,
                lambda: self._host.battery_level() or 0,
                form=range_form(DataType.UINT8, 0, 100),
            )

    def property(self, code: int) -> DeviceProperty:
        """Find a property; DevicePropNotSupported where the device has none of that code."""
        try:
            return self.properties[DevicePropertyCode(code)]
        except (KeyError, ValueError):
            raise MtpError(
                ResponseCode.DEVICE_PROP_NOT_SUPPORTED, f"no property {code:04X}"
            ) from None

    def _set_friendly_name(self, value: Value | None) -> None:
        name = _text(value)
        if name is not None and not name.strip():
            raise MtpError(ResponseCode.INVALID_DEVICE_PROP_VALUE, "empty")
        self._state.set_friendly_name(name)

    def _set_initiator(self, value: Value | None) -> None:
        self._initiator = _text(value) or ""

    def _set_clock(self, value: Value | None) -> None:
        try:
            moment = decode_date(_text(value) or "")
        except WireError:
            moment = None
        if moment is None:
            raise MtpError(ResponseCode.INVALID_DEVICE_PROP_VALUE, f"no date: {value!a}")
        self._host.set_clock(moment)


def _text(value: Value | None) -> str | None:
    """Check a value that is to be a text; None stays None."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise MtpError(ResponseCode.INVALID_DEVICE_PROP_FORMAT)
    if len(value.encode("utf-16-le", "surrogatepass")) // 2 > MAX_STRING_UNITS:
        raise MtpError(ResponseCode.INVALID_DEVICE_PROP_VALUE, "too long")
    return value
