# SPDX-License-Identifier: GPL-3.0-or-later
"""PTP/IP at one interface; the loopback stands for the Wi-Fi."""

import socket
import time
from collections.abc import Callable

import pytest

from appliance.errors import ApplianceError
from appliance.services import wifi
from appliance.services.wifi import WifiServer
from appliance.transports.ptpip_listen import Address, listen
from tests.fakes.ptpip_client import PATIENCE, PtpIpClient
from tests.fakes.responder import ScriptedResponder


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wifi, "_LOOK", 0.01)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_served_at_that_interface() -> None:
    with WifiServer(ScriptedResponder(), "lo", 0) as server:
        addresses = server.wait(PATIENCE)
        assert addresses
        with PtpIpClient(Address("127.0.0.1", addresses[0].port)) as pc:
            pc.call(0x1001)
    with pytest.raises(ConnectionRefusedError):
        PtpIpClient(Address("127.0.0.1", addresses[0].port))


def test_the_socket_is_tied_to_the_interface() -> None:
    (listener,) = listen([Address("0.0.0.0", 0)], "lo")
    with listener:
        name = listener.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        assert name.rstrip(b"\0") == b"lo"


def test_an_interface_that_is_not_there_is_no_place_to_listen() -> None:
    with pytest.raises(ApplianceError, match="cannot listen at"):
        listen([Address("0.0.0.0", 0)], "no-such-wifi")


def test_an_interface_that_goes_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives one that comes back another number."""
    index = [0]
    monkeypatch.setattr(wifi, "interface_index", lambda _: index[0])
    with WifiServer(ScriptedResponder(), "lo", 0) as server:
        assert server.wait(0.05) == []
        index[0] = 7
        first = server.wait(PATIENCE)
        assert first
        index[0] = 0
        wait_until(lambda: server.wait(0) == [])
        with pytest.raises(ConnectionRefusedError):
            PtpIpClient(Address("127.0.0.1", first[0].port))
        index[0] = 8
        assert server.wait(PATIENCE)


def test_a_port_in_use_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        with WifiServer(ScriptedResponder(), "lo", other.getsockname()[1]) as server:
            wait_until(lambda: "cannot listen" in caplog.text)
            assert server.wait(0.1) == []
            assert sum("cannot listen" in each for each in caplog.messages) == 1
            other.close()
            assert server.wait(PATIENCE)
