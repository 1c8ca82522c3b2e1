# SPDX-License-Identifier: GPL-3.0-or-later
"""How PTP/IP connections begin, and how those that should not are refused."""

import socket
import struct
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from appliance.errors import ApplianceError
from appliance.transports import ptpip
from appliance.transports.ptpip import PtpIpServer, device_guid
from appliance.transports.ptpip_listen import Address
from tests.fakes.ptpip_client import (
    INIT_COMMAND,
    INIT_EVENT,
    INIT_EVENT_ACK,
    INIT_FAIL,
    PROBE,
    REQUEST,
    PtpIpClient,
    Wire,
    init_command,
)
from tests.fakes.responder import ScriptedResponder

HERE = Address("127.0.0.1", 0)
REJECTED, BUSY, UNSPECIFIED = 1, 2, 3
Started = Callable[..., PtpIpServer]


@pytest.fixture
def start() -> Iterator[Started]:
    """Start a server, with other limits than usual if wanted."""
    with ExitStack() as stack:

        def started(*addresses: Address, handshake_time: float = 20.0) -> PtpIpServer:
            server = PtpIpServer(
                ScriptedResponder(), addresses or [HERE], handshake_time=handshake_time
            )
            return stack.enter_context(server)

        yield started


@pytest.fixture
def address(start: Started) -> Address:
    return start().addresses[0]


def test_the_responder_says_who_it_is(address: Address) -> None:
    with PtpIpClient(address) as first, PtpIpClient(address) as second:
        assert first.responder_name == "Model"
        assert first.responder_guid == second.responder_guid == device_guid("0123456789")
        assert first.number != second.number
        assert first.call(0x1002, 1).ok


def test_the_guid_is_a_uuid_that_depends_on_the_serial_number() -> None:
    guid = uuid.UUID(bytes=device_guid("A"))
    assert (guid.version, guid.variant) == (8, uuid.RFC_4122)
    serial_numbers = [f"{number:x}" for number in range(1000)]
    assert len(set(map(device_guid, serial_numbers))) == 1000


def test_ipv6_and_ipv4_at_once(start: Started) -> None:
    server = start(Address("::1", 0), HERE)
    assert [each.host for each in server.addresses] == ["::1", "127.0.0.1"]
    for each in server.addresses:
        with PtpIpClient(each) as client:
            assert client.call(0x1002, 1).ok


def test_an_event_connection_is_not_needed_to_begin(address: Address) -> None:
    with PtpIpClient(address, events=False) as client:
        assert client.call(0x1002, 1).ok
        client.connect_events()
        assert client.call(0x1002, 1).code == 0x201E


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", id="a web browser"),
        pytest.param(bytes(8), id="length zero"),
        pytest.param(struct.pack("<II", 7, INIT_COMMAND), id="length seven"),
        pytest.param(struct.pack("<II", 8, INIT_COMMAND), id="no payload"),
        pytest.param(struct.pack("<II", 8 + 40, INIT_COMMAND) + b"\1" * 40, id="endless name"),
        pytest.param(struct.pack("<II", 1 << 31, INIT_COMMAND), id="2 GiB"),
        pytest.param(struct.pack("<II", 9, INIT_EVENT) + b"\0", id="short event request"),
        pytest.param(struct.pack("<II", 8, PROBE), id="probe"),
        pytest.param(struct.pack("<IIIHI", 18, REQUEST, 1, 0x1001, 0), id="operation"),
        pytest.param(struct.pack("<II", 8, 99), id="unknown type"),
        pytest.param(b"\xff" * 64, id="all ones"),
    ],
)
def test_who_begins_otherwise_is_refused(address: Address, first: bytes) -> None:
    wire = Wire(address)
    wire.raw(first)
    assert wire.expect(INIT_FAIL).number == UNSPECIFIED
    assert wire.is_over()
    wire.close()
    with PtpIpClient(address) as client:
        assert client.call(0x1002, 1).ok


@pytest.mark.parametrize("first", [b"", b"\x20\0\0", struct.pack("<II", 60, INIT_COMMAND) + b"abc"])
def test_who_leaves_in_the_middle_is_forgotten(address: Address, first: bytes) -> None:
    for end in (Wire.close, Wire.kill):
        wire = Wire(address)
        wire.raw(first)
        end(wire)
    with PtpIpClient(address) as client:
        assert client.call(0x1002, 1).ok


def test_who_says_nothing_is_not_waited_for(start: Started) -> None:
    silent, slow = (Wire(start(handshake_time=0.05).addresses[0]) for _ in range(2))
    slow.raw(b"\x20\0\0\0")
    assert silent.is_over()
    assert slow.is_over()
    silent.close()
    slow.close()


def test_the_limit_is_for_all_of_the_handshake(start: Started) -> None:
    wire = Wire(start(handshake_time=0.1).addresses[0])
    payload = init_command("x")
    request = struct.pack("<II", 8 + len(payload), INIT_COMMAND) + payload

    def trickle() -> None:
        for byte in request:
            wire.raw(bytes([byte]))
            threading.Event().wait(0.02)

    with pytest.raises(ConnectionError):
        trickle()
    wire.close()


def test_the_limit_is_for_the_handshake_only(start: Started) -> None:
    server = start(handshake_time=0.2)
    with PtpIpClient(server.addresses[0]) as client:
        silent = Wire(server.addresses[0])
        assert silent.is_over()  # so the time has passed
        assert client.call(0x1002, 1).ok
        client.event.send(PROBE)
        assert client.event.receive() is not None
        silent.close()


def test_an_event_connection_needs_a_command_connection(address: Address) -> None:
    wire = Wire(address)
    wire.send(INIT_EVENT, struct.pack("<I", 1))
    assert wire.expect(INIT_FAIL).number == REJECTED
    wire.close()


def test_an_initiator_has_one_event_connection(address: Address) -> None:
    with PtpIpClient(address) as client:
        second = Wire(address)
        second.send(INIT_EVENT, struct.pack("<I", client.number))
        assert second.expect(INIT_FAIL).number == REJECTED
        assert second.is_over()
        second.close()
        client.event.send(PROBE)
        assert client.event.receive() is not None
        assert client.call(0x1002, 1).ok


def test_one_initiator_too_many_is_told_so(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ptpip, "MAX_INITIATORS", 2)
    first, second = PtpIpClient(address), PtpIpClient(address)
    third = Wire(address)
    third.send(INIT_COMMAND, init_command())
    assert third.expect(INIT_FAIL).number == BUSY
    assert third.is_over()
    third.close()
    assert second.call(0x1002, 1).ok
    first.command.close()
    assert first.event.is_over()  # so its place is free
    first.close()
    with PtpIpClient(address) as client:
        assert client.call(0x1002, 1).ok
    second.close()


def test_a_flood_of_connections_is_turned_away(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ptpip, "MAX_CONNECTIONS", 3)
    with PtpIpClient(address) as client:
        waiting, refused = Wire(address), Wire(address)
        assert refused.expect(INIT_FAIL).number == BUSY
        assert refused.is_over()
        assert client.call(0x1002, 1).ok
        waiting.send(INIT_EVENT, struct.pack("<I", client.number))
        assert waiting.expect(INIT_FAIL).number == REJECTED
        waiting.close()
        refused.close()


def test_names_of_any_kind_are_only_logged(
    address: Address, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    wire = Wire(address)
    wire.send(INIT_COMMAND, init_command("evil\x1b[2J\nname"))
    assert wire.receive() is not None
    wire.close()
    lines = [record.getMessage() for record in caplog.records if "evil" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].isprintable()


def test_a_name_that_is_only_partly_here(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: RESOLVED)
    server = start(Address("name", 0))
    assert [each.host for each in server.addresses] == ["127.0.0.1"]


#: What a name may stand for: an address that this machine does not have, and one that it has.
RESOLVED = [
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (Address("192.0.2.1", 0), "192.0.2.1:0"),
        (Address("no-such-host.invalid", 0), "no-such-host.invalid:0"),
        (Address("a" * 70, 0), "a" * 70),
    ],
)
def test_a_bad_address_is_named(address: Address, words: str) -> None:
    with pytest.raises(ApplianceError, match=words) as caught:
        PtpIpServer(ScriptedResponder(), [HERE, address])
    assert caught.value.hint


def test_a_port_in_use_is_named(address: Address) -> None:
    with pytest.raises(ApplianceError, match=f"127.0.0.1:{address.port}") as caught:
        PtpIpServer(ScriptedResponder(), [address])
    assert "another" in caught.value.hint


@pytest.mark.parametrize(
    ("address", "text", "loopback"),
    [
        (Address("127.0.0.1"), "127.0.0.1:15740", True),
        (Address("::1", 1), "[::1]:1", True),
        (Address("0.0.0.0"), "0.0.0.0:15740", False),
        (Address("::"), "[::]:15740", False),
    ],
)
def test_addresses(address: Address, text: str, *, loopback: bool) -> None:
    assert str(address) == text
    assert address.is_loopback is loopback


def test_the_event_acknowledgement_comes_first(address: Address) -> None:
    with PtpIpClient(address, events=False) as client:
        wire = Wire(address)
        wire.send(INIT_EVENT, struct.pack("<I", client.number))
        assert wire.expect(INIT_EVENT_ACK).payload == b""
        wire.close()
        assert client.command.is_over()
