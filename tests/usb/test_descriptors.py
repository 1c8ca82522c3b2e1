# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PC sees before the first MTP transaction, at each speed."""

import pytest
import usb.core
import usb.util

from tests.usb.appliance import Appliance
from tests.usb.host import Host

pytestmark = pytest.mark.guest

PACKETS = {"full": 64, "high": 512, "super": 1024}


@pytest.fixture(scope="module", params=list(PACKETS))
def usb_speed(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_interface(host: Host) -> None:
    """Clients look for this class, this string and just these endpoints, on interface 0."""
    face = host.interface
    numbers = (face.bInterfaceNumber, face.bAlternateSetting, face.bNumEndpoints)
    assert numbers == (0, 0, 3)
    kind = (face.bInterfaceClass, face.bInterfaceSubClass, face.bInterfaceProtocol)
    assert kind == (6, 1, 1)
    assert usb.util.get_string(host.device, face.iInterface) == "MTP"


def test_endpoints(host: Host, usb_speed: str) -> None:
    """Bulk IN, bulk OUT, interrupt IN, in this order, with the speed's packet size."""
    seen = [(e.bmAttributes & 3, e.bEndpointAddress >> 7, e.wMaxPacketSize) for e in host.interface]
    assert seen == [(2, 1, PACKETS[usb_speed]), (2, 0, PACKETS[usb_speed]), (3, 1, 28)]
    assert host.interrupt.bInterval > 0


def test_device(host: Host) -> None:
    device = host.device
    assert device.bNumConfigurations == 1
    assert (device.bDeviceClass, device.bDeviceSubClass, device.bDeviceProtocol) == (0, 0, 0)
    for index in (device.iManufacturer, device.iProduct, device.iSerialNumber):
        assert usb.util.get_string(device, index)
    assert len(usb.util.get_string(device, device.iSerialNumber)) >= 8


def test_windows_is_told_that_it_is_mtp(host: Host) -> None:
    """Microsoft's OS descriptors 1.0: string 0xEE, then the compatible ids."""
    string = bytes(host.device.ctrl_transfer(0x80, 6, 0x03EE, 0, 18, 5000))
    assert string[2:16].decode("utf-16-le") == "MSFT100"
    ids = bytes(host.device.ctrl_transfer(0xC0, string[16], 0, 4, 64, 5000))
    assert len(ids) == int.from_bytes(ids[:4], "little") == 40
    assert (ids[8], ids[16], ids[18:26]) == (1, 0, b"MTP\0\0\0\0\0")


def test_the_gadget_goes_with_the_process(appliance_device: Appliance) -> None:
    assert appliance_device.gadget().name == "mtp-appliance"
