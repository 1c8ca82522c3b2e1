# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the device that depend on the machine."""

import pytest

from appliance.mtp.codes import DataType, DevicePropertyCode
from appliance.mtp.device import Device
from appliance.mtp.wire import Reader, decode_date, encode_date
from tests.fakes.device import IDENTITY, ForgetfulState, TestHost

Code = DevicePropertyCode


def device(host: TestHost) -> Device:
    return Device(IDENTITY, ForgetfulState(), host)


def test_a_battery_is_listed_only_where_there_is_one() -> None:
    assert Code.BATTERY_LEVEL not in device(TestHost()).properties
    host = TestHost(battery=42)
    level = device(host).properties[Code.BATTERY_LEVEL]
    host.battery = 41
    assert level.get() == 41
    assert level.describe().encode().hex() == "0150020000292901006401"
    host.battery = None
    assert level.get() == 0


def test_the_clock_is_told_and_set_only_where_it_may_be() -> None:
    host = TestHost()
    clock = device(host).properties[Code.DATE_TIME]
    assert clock.get() == encode_date(host.time)
    assert clock.set is None
    assert not clock.resettable
    host = TestHost(may_set_clock=True)
    clock = device(host).properties[Code.DATE_TIME]
    assert clock.set is not None
    clock.set("20300102T030405Z")
    assert host.time == decode_date("20300102T030405Z")
    for bad in ("", "noon", "20301302T030405", 5, None):
        with pytest.raises(Exception, match="INVALID_DEVICE_PROP"):
            clock.set(bad)
    assert host.time == decode_date("20300102T030405Z")


def test_the_icon_is_an_array_of_bytes() -> None:
    data = device(TestHost()).properties[Code.DEVICE_ICON].describe().encode()
    reader = Reader(data)
    assert (reader.u16(), reader.u16(), reader.u8()) == (0xD405, DataType.AUINT8, 0)
    assert reader.take(reader.u32()) == TestHost().icon()


@pytest.mark.parametrize("code", [Code.SYNCHRONIZATION_PARTNER, Code.SESSION_INITIATOR_INFO])
def test_texts_of_the_initiator_are_kept_and_reset(code: Code) -> None:
    item = device(TestHost()).properties[code]
    assert item.get() == ""
    assert item.set is not None
    item.set("Windows/10.0.26100 MTPClassDriver/10.0.26100.0")
    assert item.get() == "Windows/10.0.26100 MTPClassDriver/10.0.26100.0"
    with pytest.raises(Exception, match="INVALID_DEVICE_PROP_FORMAT"):
        item.set(5)
    with pytest.raises(Exception, match="INVALID_DEVICE_PROP_VALUE"):
        item.set("x" * 255)
    item.set(None)
    assert item.get() == ""
