# SPDX-License-Identifier: GPL-3.0-or-later
"""MTP with a network beside it: who is interface 0, and what Windows is told."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.usb.appliance import load_controller
from tests.usb.host import OK, Host

pytestmark = pytest.mark.guest

SERVER = """
import sys
from pathlib import Path
from appliance.gadget.identity import device_identity
from appliance.mtp.device import Device
from appliance.mtp.responder import Responder
from appliance.services.host import LinuxHost
from appliance.services.usb import UsbOptions, usb_transport
from appliance.settings.schema import Settings
from appliance.settings.state import State
from appliance.storage import Catalogue, Folder

folder = Path(sys.argv[1])
identity = device_identity()
with Catalogue([Folder(folder, "Card")]) as store:
    state = State(folder, default_name="")
    responder = Responder(Device(identity, state, LinuxHost(clock_settable=False)), store)
    options = UsbOptions(settings=Settings(network_function=sys.argv[2]))
    with usb_transport(responder, identity, options) as transport:
        print("ready", flush=True)
        transport.serve()
"""


@pytest.fixture(autouse=True)
def device_log() -> None:
    """The device of these tests is their own."""


@pytest.fixture(params=["ncm", "ecm", "rndis"])
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    load_controller("high")
    argv = [sys.executable, "-c", SERVER, str(tmp_path), request.param]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield str(request.param)
        process.kill()


def test_composite(network: str) -> None:
    host = Host().open()
    device = host.device
    assert (device.bDeviceClass, device.bDeviceSubClass, device.bDeviceProtocol) == (0xEF, 2, 1)
    faces = {face.bInterfaceNumber: face for face in device.get_active_configuration()}
    assert faces[0].bInterfaceClass == 6
    assert faces[1].bInterfaceClass == 2
    assert faces[1].bInterfaceSubClass == {"ncm": 0x0D, "ecm": 6, "rndis": 2}[network]
    vendor_code = device.ctrl_transfer(0x80, 6, 0x03EE, 0, 18, 5000)[16]
    ids = bytes(device.ctrl_transfer(0xC0, vendor_code, 0, 4, 128, 5000))
    assert ids[18:26].rstrip(b"\0") == b"MTP"
    assert (b"WINNCM" in ids) == (network == "ncm")
    assert (b"RNDIS\0\0\x005162001\0" in ids) == (network == "rndis")
    assert host.ask(0x1004).code == OK
    host.die()
