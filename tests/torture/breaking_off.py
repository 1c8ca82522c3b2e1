# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that gives up in the middle of sending, as its road has it."""

from appliance.mtp.codes import OperationCode
from appliance.mtp.transaction import Reply, Request
from tests.fakes.client import Client
from tests.fakes.memory_client import MemoryClient
from tests.fakes.ptpip_client import TcpClient


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
    return False
