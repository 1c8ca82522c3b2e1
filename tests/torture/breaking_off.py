# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that gives up in the middle of sending, as its road has it."""

import struct
import time

from appliance.mtp.codes import OperationCode, ResponseCode
from appliance.mtp.transaction import Reply, Request
from tests.fakes.client import Client
from tests.fakes.memory_client import MemoryClient
from tests.fakes.ptpip_client import TcpClient
from tests.fakes.usbredir_guest import PATIENCE, RedirectedClient

_PACKET = 512
#: Requests of the class: bmRequestType and bRequest (Still Image 1.0 section 5.2).
_CANCEL, _STATUS = (0x21, 0x64), (0xA1, 0x67)
_CODE_OF_CANCEL = 0x4001


def break_off(client: Client, code: OperationCode, data: bytes, announced: int) -> bool:
    """Send a part of what was announced, and cancel; False on a road that has no way to."""
    if isinstance(client, MemoryClient):
        connection = client._initiator._connection
        sink = connection.execute(Request(code, 0x1000, ()), sends_data=True)
        if not isinstance(sink, Reply):
            sink.write(memoryview(data))
        connection.abandon()
        return True
    if isinstance(client, TcpClient):
        wire = client._wire
        wire.request(code, phase=2)
        wire.start_data(announced)
        wire.data(data)
        wire.cancel(wire.command)
        wire.response()
        return True
    if isinstance(client, RedirectedClient):
        _break_off_by_usb(client, code, data, announced)
        return True
    return False


def _break_off_by_usb(
    client: RedirectedClient, code: OperationCode, data: bytes, announced: int
) -> None:
    """Send full packets, as a short one would be the end; cancel, and ask until all is well."""
    client.command(code)
    number = client._transaction_id
    sent = struct.pack("<IHHI", 12 + announced, 2, code, number) + data
    sent = sent[: len(sent) // _PACKET * _PACKET]
    if sent:
        client.guest.write(sent)
    client.guest.control(*_CANCEL, data=struct.pack("<HI", _CODE_OF_CANCEL, number))
    ready, deadline = struct.pack("<HH", 4, ResponseCode.OK), time.monotonic() + PATIENCE
    while (status := client.guest.control(*_STATUS, data=4)[1]) != ready:
        assert time.monotonic() < deadline, status.hex()
