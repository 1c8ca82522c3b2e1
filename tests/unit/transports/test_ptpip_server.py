# SPDX-License-Identifier: GPL-3.0-or-later
"""Several PTP/IP initiators at once: nobody waits for another; and what is left when they go."""

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import EMFILE
from pathlib import Path

import pytest

from appliance.mtp.codes import EventCode, ResponseCode
from appliance.mtp.transaction import BytesSource, Event, Reply, Request
from appliance.transports import ptpip_channel
from appliance.transports.event_queue import MOST, AudibleQueue
from appliance.transports.ptpip import PtpIpServer
from appliance.transports.ptpip_channel import Channel, PeerGoneError
from appliance.transports.ptpip_events import EventConnection
from appliance.transports.ptpip_listen import Address
from tests.fakes.ptpip_client import (
    DATA,
    EVENT,
    INIT_COMMAND,
    INIT_FAIL,
    PATIENCE,
    START_DATA,
    PtpIpClient,
    Wire,
    init_command,
)
from tests.fakes.responder import STORAGE_IDS, PatternSource, RecordingSink, ScriptedResponder

GET, PUT, ASK = 0x1009, 0x100D, 0x1004
ENDLESS = 1 << 40
BUSY = 2


@pytest.fixture
def other(server: PtpIpServer) -> Iterator[PtpIpClient]:
    with PtpIpClient(server.addresses[0]) as client:
        client.call(0x1002, 2)
        yield client


def event(number: int) -> Event:
    return Event(EventCode.OBJECT_ADDED, (number,))


def packet(number: int) -> bytes:
    return bytes.fromhex("0240 ffffffff") + number.to_bytes(4, "little")


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Make two sockets that are connected, with buffers as small as can be."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        theirs.connect(listener.getsockname())
        return listener.accept()[0], theirs


# Side by side


def test_transactions_go_on_side_by_side(
    client: PtpIpClient, other: PtpIpClient, responder: ScriptedResponder
) -> None:
    sinks = [RecordingSink(), RecordingSink()]
    coming = iter(sinks)
    responder.operations[PUT] = lambda _: next(coming)
    for each in (client, other):
        each.request(PUT, phase=2)
        each.start_data(6)
        each.data(b"abc")
    for each in (other, client):
        each.data(b"def", last=True)
        assert each.response() == (ResponseCode.OK, ())
    assert [bytes(sink.data) for sink in sinks] == [b"abcdef"] * 2


def test_an_operation_that_takes_long_holds_up_nobody(
    client: PtpIpClient, other: PtpIpClient, responder: ScriptedResponder
) -> None:
    released = threading.Event()

    def slow(request: Request) -> Reply:
        assert released.wait(PATIENCE)
        return Reply(ResponseCode.OK, (1,))

    responder.operations[GET] = slow
    responder.operations[ASK] = lambda _: Reply(source=BytesSource(b"quick"))
    client.request(GET)
    assert other.call(ASK).data == b"quick"
    released.set()
    assert client.response() == (ResponseCode.OK, (1,))


def test_a_slow_reader_holds_up_nobody_and_gets_everything(
    server: PtpIpServer, other: PtpIpClient, responder: ScriptedResponder
) -> None:
    size = 24 << 20
    source = PatternSource(size)
    responder.operations[GET] = lambda _: Reply(source=source)
    responder.operations[ASK] = lambda _: Reply(source=BytesSource(b"quick"))
    with PtpIpClient(server.addresses[0], receive_buffer=4096) as slow:
        slow.request(GET)
        slow.command.expect(START_DATA)
        assert other.call(ASK).data == b"quick"
        assert not source.closed.is_set()
        received, kind = 0, DATA
        while kind == DATA:
            part = slow.command.receive()
            assert part is not None
            received, kind = received + len(part.payload) - 4, part.kind
        assert received == size
        assert slow.response() == (ResponseCode.OK, ())


# Ends


@pytest.mark.parametrize("how", ["close", "kill"])
def test_who_vanishes_in_an_upload_leaves_nothing(
    client: PtpIpClient, responder: ScriptedResponder, how: str
) -> None:
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.start_data(100)
    client.data(b"some")
    sink.wait_for_data()
    getattr(client, how)()
    assert sink.wait() == "aborted"
    assert responder.connections[0].closed.wait(PATIENCE)
    assert not responder.connections[0].session_open


@pytest.mark.parametrize("how", ["close", "kill"])
def test_who_vanishes_in_a_download_leaves_nothing(
    client: PtpIpClient, responder: ScriptedResponder, how: str
) -> None:
    source = PatternSource(ENDLESS)
    responder.operations[GET] = lambda _: Reply(source=source)
    client.request(GET)
    client.command.expect(START_DATA)
    getattr(client, how)()
    assert source.closed.wait(PATIENCE)
    assert responder.connections[0].closed.wait(PATIENCE)


def test_who_vanishes_in_the_middle_of_a_packet_leaves_nothing(
    client: PtpIpClient, responder: ScriptedResponder
) -> None:
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.start_data(100)
    client.command.raw((100).to_bytes(4, "little") + b"\x0a\0\0\0\2\0")
    client.kill()
    assert sink.wait() == "aborted"


@pytest.mark.parametrize("first", ["command", "event"])
def test_both_connections_end_together(client: PtpIpClient, first: str) -> None:
    ending, left = client.command, client.event
    if first == "event":
        ending, left = left, ending
    ending.close()
    assert left.is_over()


def test_dead_peers_are_noticed() -> None:
    ours, theirs = tcp_pair()
    with ours, theirs:
        Channel(ours)
        tcp = socket.IPPROTO_TCP
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert ours.getsockopt(tcp, socket.TCP_NODELAY)
        assert 0 < ours.getsockopt(tcp, socket.TCP_KEEPIDLE) <= 60
        assert 0 < ours.getsockopt(tcp, socket.TCP_USER_TIMEOUT) <= 60_000


# Closing the server


def test_closing_ends_everything(responder: ScriptedResponder) -> None:
    sink, source = RecordingSink(), PatternSource(ENDLESS)
    responder.operations.update({PUT: lambda _: sink, GET: lambda _: Reply(source=source)})
    threads = set(threading.enumerate())
    server = PtpIpServer(responder, [Address("127.0.0.1", 0), Address("::1", 0)])
    server.start()
    address = server.addresses[0]
    with ExitStack() as stack:
        idle, sender, reader = (stack.enter_context(PtpIpClient(address)) for _ in range(3))
        silent = Wire(address)
        sender.request(PUT, phase=2)
        sender.start_data(100)
        reader.request(GET)
        reader.command.expect(START_DATA)
        server.close()
        assert sink.end == "aborted"
        assert source.closed.is_set()
        assert all(connection.closed.is_set() for connection in responder.connections)
        assert silent.is_over()
        assert idle.command.is_over()
        assert idle.event.is_over()
        with pytest.raises(ConnectionRefusedError):
            Wire(address)
    assert set(threading.enumerate()) <= threads
    server.close()
    responder.tell(event(1))


@contextmanager
def no_descriptor_lost() -> Iterator[None]:
    before = sorted(Path("/proc/self/fd").iterdir())
    yield
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_no_descriptor_is_lost(responder: ScriptedResponder) -> None:
    responder.operations[GET] = lambda _: Reply(source=PatternSource(ENDLESS))
    with no_descriptor_lost():
        server = PtpIpServer(responder, [Address("127.0.0.1", 0)])
        server.start()
        for begin in (b"", b"garbage garbage", b"\x0c\0\0\0\3\0\0\0\x63\0\0\0"):
            wire = Wire(server.addresses[0])
            wire.raw(begin)
            wire.close()
        for how in ("close", "kill"):
            client = PtpIpClient(server.addresses[0])
            client.request(GET)
            getattr(client, how)()
        server.close()


@pytest.mark.parametrize("there", [0, 1], ids=["none", "one too few"])
def test_no_descriptor_is_lost_where_they_run_out(
    there: int, responder: ScriptedResponder, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([True] * there)
    real = os.eventfd

    def eventfd(count: int, flags: int) -> int:
        if next(left, False):
            return real(count, flags)
        raise OSError(EMFILE, os.strerror(EMFILE))

    with no_descriptor_lost(), PtpIpServer(responder, [Address("127.0.0.1", 0)]) as server:
        with monkeypatch.context() as patched:
            patched.setattr(os, "eventfd", eventfd)
            wire = Wire(server.addresses[0])
            wire.send(INIT_COMMAND, init_command())
            assert wire.expect(INIT_FAIL).number == BUSY
            wire.close()
        with PtpIpClient(server.addresses[0]) as client:
            assert client.call(0x1002, 1).ok


# Events


def test_events_reach_all_but_the_one_that_knows(
    server: PtpIpServer, client: PtpIpClient, other: PtpIpClient, responder: ScriptedResponder
) -> None:
    responder.tell(event(1), except_for=responder.connections[0])
    responder.tell(event(2))
    assert client.event.expect(EVENT).payload == packet(2)
    assert other.event.expect(EVENT).payload == packet(1)
    assert other.event.expect(EVENT).payload == packet(2)


def test_events_are_for_those_with_a_session(
    server: PtpIpServer, responder: ScriptedResponder
) -> None:
    with PtpIpClient(server.addresses[0]) as client:
        responder.tell(event(1))
        client.call(0x1002, 1)
        responder.tell(event(2))
        assert client.event.expect(EVENT).payload == packet(2)


def test_an_event_comes_in_the_middle_of_a_transfer(
    server: PtpIpServer, client: PtpIpClient, responder: ScriptedResponder
) -> None:
    responder.operations[GET] = lambda _: Reply(source=PatternSource(ENDLESS))
    client.request(GET)
    client.command.expect(START_DATA)
    responder.tell(event(7))
    assert client.event.expect(EVENT).payload == packet(7)


@pytest.mark.parametrize("many", [10000, MOST + 3])
def test_events_wait_for_the_event_connection(
    server: PtpIpServer, responder: ScriptedResponder, many: int
) -> None:
    """Where there are too many, what has to be told is that there is all to be listed."""
    with PtpIpClient(server.addresses[0], events=False) as client:
        client.call(0x1002, 1)
        for number in range(many):
            responder.tell(event(number))
        client.connect_events()
        expected = [packet(number) for number in range(many)]
        if many > MOST:
            pairs = [(code, each) for each in STORAGE_IDS for code in (0x4005, 0x4004)]
            expected = [struct.pack("<HII", code, 0xFFFFFFFF, each) for code, each in pairs]
            expected += [packet(number) for number in range(MOST + 1, many)]
        for each in expected:
            assert client.event.expect(EVENT).payload == each
        responder.tell(event(999))
        assert client.event.expect(EVENT).payload == packet(999)


def test_a_cancel_is_heard_though_events_are_not_read() -> None:
    ours, theirs = tcp_pair()
    queue = AudibleQueue(ScriptedResponder().connect("peer"))
    channel, cancelled = Channel(ours), threading.Event()
    connection = EventConnection(channel, queue, lambda _: cancelled.set())
    filled = 0
    while count := channel.send_some(bytes(1000)):
        filled += count

    def serve() -> None:
        with suppress(PeerGoneError):
            connection.serve()

    thread = threading.Thread(target=serve)
    thread.start()
    queue.put(event(5))
    theirs.sendall(bytes.fromhex("0c000000 0b000000 01000000"))
    assert cancelled.wait(PATIENCE)
    assert theirs.recv(filled, socket.MSG_WAITALL) == bytes(filled)
    assert theirs.recv(18, socket.MSG_WAITALL)[8:] == packet(5)
    theirs.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    channel.close()
    queue.close()


def test_who_does_not_read_events_stays_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long: the kernel gives up what waits for a minute in the other connections."""
    monkeypatch.setattr(ptpip_channel, "_USER_TIMEOUT", 1)
    ours, theirs = tcp_pair()
    queue, channel = AudibleQueue(ScriptedResponder().connect("peer")), Channel(ours)
    connection = EventConnection(channel, queue, lambda _: None)
    ended: list[PeerGoneError] = []

    def serve() -> None:
        try:
            connection.serve()
        except PeerGoneError as error:
            ended.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    filled = 0
    while count := channel.send_some(bytes(1000)):
        filled += count
    queue.put(event(5))
    time.sleep(3)
    assert not ended
    assert theirs.recv(filled, socket.MSG_WAITALL) == bytes(filled)
    assert theirs.recv(18, socket.MSG_WAITALL)[8:] == packet(5)
    theirs.close()
    thread.join(PATIENCE)
    channel.close()
    queue.close()


def test_who_does_not_read_events_holds_up_nobody(
    server: PtpIpServer, other: PtpIpClient, responder: ScriptedResponder
) -> None:
    with PtpIpClient(server.addresses[0], receive_buffer=4096) as deaf:
        deaf.call(0x1002, 1)
        count, seen = 3000, -1
        for number in range(count):
            responder.tell(event(number))
            if number % 100 == 99:  # the other one reads now and then
                while seen < number:
                    seen = int.from_bytes(other.event.expect(EVENT).payload[6:], "little")
        assert deaf.call(0x1002, 1).code == ResponseCode.SESSION_ALREADY_OPEN
