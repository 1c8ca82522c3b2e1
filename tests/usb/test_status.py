# SPDX-License-Identifier: GPL-3.0-or-later
"""What the status says of the cable and of what goes over it."""

import time
from collections.abc import Callable

import pytest

from appliance import status as contract
from appliance.mtp.codes import OperationCode as Op
from appliance.status import Cable, Direction, Status, Usb
from tests.usb.appliance import UDC, Appliance
from tests.usb.host import OK, Host, data_header, program
from tests.usb.mtp import announce, pattern

pytestmark = pytest.mark.guest

_PATIENCE = 180.0
SIZE = 3_000_000
INITIATOR = 0xD406


def wait_for(appliance: Appliance, condition: Callable[[Status], bool]) -> Status:
    path = appliance.log_file.with_name("status.json")
    deadline = time.monotonic() + _PATIENCE
    while True:
        status = contract.read(path)
        if condition(status):
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.1)


def test_the_cable_as_it_comes_and_goes(appliance_device: Appliance) -> None:
    connected = Usb(UDC, Cable.CONFIGURED, "high-speed")
    status = wait_for(appliance_device, lambda status: status.usb == connected)
    assert status.ready
    appliance_device.unbind()
    wait_for(appliance_device, lambda status: status.usb.cable is Cable.UNBOUND)
    appliance_device.bind()
    wait_for(appliance_device, lambda status: status.usb == connected)


def test_a_program_on_the_pc_and_what_it_sends(appliance_device: Appliance, host: Host) -> None:
    name = "Tester/1.0"
    data = bytes([len(name) + 1]) + f"{name}\0".encode("utf-16-le")
    assert host.send(Op.SET_DEVICE_PROP_VALUE, INITIATOR, data=data).code == OK
    status = wait_for(
        appliance_device, lambda status: [each.client for each in status.sessions] == [name]
    )
    assert status.sessions[0].road == "usb"
    announce(host, "coming", SIZE)
    tid = host.send_command(Op.SEND_OBJECT)
    head = data_header(Op.SEND_OBJECT, tid, 12 + SIZE)
    host.write(head + pattern(SIZE)[: 1_048_576 - 12])
    status = wait_for(appliance_device, lambda status: any(t.done for t in status.transfers))
    (transfer,) = status.transfers
    assert (transfer.name, transfer.direction, transfer.total) == ("coming", Direction.OUT, SIZE)
    host.die()
    with program():
        wait_for(appliance_device, lambda status: not status.transfers)
