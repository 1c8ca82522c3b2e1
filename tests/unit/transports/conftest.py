# SPDX-License-Identifier: GPL-3.0-or-later
"""A PTP/IP server whose operations a test scripts, and an initiator."""

from collections.abc import Iterator

import pytest

from appliance.transports.ptpip import PtpIpServer
from appliance.transports.ptpip_listen import Address
from tests.fakes.ptpip_client import PtpIpClient
from tests.fakes.responder import ScriptedResponder


@pytest.fixture
def responder() -> ScriptedResponder:
    return ScriptedResponder()


@pytest.fixture
def server(responder: ScriptedResponder) -> Iterator[PtpIpServer]:
    with PtpIpServer(responder, [Address("127.0.0.1", 0)]) as server:
        yield server


@pytest.fixture
def client(server: PtpIpServer) -> Iterator[PtpIpClient]:
    with PtpIpClient(server.addresses[0]) as client:
        client.call(0x1002, 1)
        yield client
