# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancelling over PTP/IP."""

import struct
import time
from pathlib import Path
from typing import cast

import pytest

from appliance.mtp.codes import ResponseCode
from appliance.mtp.transaction import BytesSource, Reply, Request
from appliance.storage import Catalogue, TrashPolicy
from appliance.transports import ptpip_commands
from appliance.transports.ptpip import PtpIpServer
from appliance.transports.ptpip_cancel import Cancellation, CancelledError
from appliance.transports.ptpip_channel import PIECE_SIZE
from appliance.transports.ptpip_listen import Address
from tests.fakes.device import responder_for
from tests.fakes.ptpip_client import (
    CANCEL,
    DATA,
    PATIENCE,
    PONG,
    PROBE,
    REQUEST,
    START_DATA,
    PtpIpClient,
    Wire,
)
from tests.fakes.responder import PatternSource, RecordingSink, ScriptedResponder

GET, PUT = 0x1009, 0x100D
OK, CANCELLED = (ResponseCode.OK, ()), (ResponseCode.TRANSACTION_CANCELLED, ())
ENDLESS = 1 << 40
ROADS = ["command", "event", "both"]


def wires(client: PtpIpClient, road: str) -> list[Wire]:
    by_name = {"command": [client.command], "event": [client.event]}
    return by_name.get(road, [client.command, client.event])


@pytest.mark.parametrize("road", ROADS)
def test_data_to_the_initiator_is_cancelled(
    client: PtpIpClient, responder: ScriptedResponder, road: str
) -> None:
    source = PatternSource(ENDLESS)
    responder.operations[GET] = lambda _: Reply(source=source)
    client.request(GET)
    client.command.expect(START_DATA)
    client.command.expect(DATA)
    client.cancel(*wires(client, road))
    while (packet := client.command.receive()) is not None and packet.kind == DATA:
        pass
    assert packet is not None
    assert len(packet.payload) == 4  # the end, with no data
    assert client.response() == CANCELLED
    assert source.closed.is_set()
    responder.operations[GET] = lambda _: Reply(source=BytesSource(b"next"))
    assert client.call(GET).data == b"next"


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("ending", [True, False])
def test_data_from_the_initiator_is_cancelled(
    client: PtpIpClient, responder: ScriptedResponder, road: str, *, ending: bool
) -> None:
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.start_data(ENDLESS)
    client.data(b"some")
    sink.wait_for_data()
    client.cancel(*wires(client, road))
    assert sink.wait() == "aborted"
    if ending:
        client.data(b"more")
        client.data(b"", last=True)
    assert client.response() == CANCELLED
    second = RecordingSink()
    responder.operations[PUT] = lambda _: second
    assert client.call(PUT, data=b"next").ok
    assert bytes(sink.data + second.data) == b"somenext"


def test_the_end_of_cancelled_data_is_awaited(
    client: PtpIpClient, responder: ScriptedResponder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ptpip_commands, "SETTLE", 20.0)
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.start_data(100)
    client.data(b"some")
    sink.wait_for_data()
    client.cancel(client.event)
    assert sink.wait() == "aborted"
    client.command.send(PROBE)
    client.command.expect(PONG)  # and no response yet
    client.data(b"x" * 96, last=True)
    assert client.response() == CANCELLED
    client.request(PUT + 1)
    assert client.response() == (ResponseCode.OPERATION_NOT_SUPPORTED, ())


def test_a_cancel_with_the_last_data(client: PtpIpClient, responder: ScriptedResponder) -> None:
    class Cancelling(RecordingSink):
        def write(self, data: memoryview) -> None:
            client.cancel(client.event)
            client.event.send(PROBE)
            client.event.expect(PONG)  # so the cancel was heard

    sink = Cancelling()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.start_data(4)
    client.data(b"data", last=True)
    assert client.response() == CANCELLED
    assert sink.end == "aborted"


def test_a_cancel_while_it_is_finished(client: PtpIpClient, responder: ScriptedResponder) -> None:
    class Finishing(RecordingSink):
        def finish(self) -> Reply:
            client.cancel(client.event)
            client.event.send(PROBE)
            client.event.expect(PONG)
            responder.connections[0]._session.heed()
            return super().finish()

    sink = Finishing()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.start_data(4)
    client.data(b"data", last=True)
    assert client.response() == CANCELLED
    assert sink.end == "aborted"
    client.request(PUT + 1)
    assert client.response() == (ResponseCode.OPERATION_NOT_SUPPORTED, ())


def test_a_slow_source_is_cancelled(client: PtpIpClient, responder: ScriptedResponder) -> None:
    class Trickle(PatternSource):
        reads = 0

        def read_into(self, buffer: memoryview) -> int:
            self.reads += 1
            if self.reads == 3:
                client.cancel(client.command)
            return super().read_into(buffer[:1])

    source = Trickle(ENDLESS)
    responder.operations[GET] = lambda _: Reply(source=source)
    client.request(GET)
    assert client.received() == (ENDLESS, b"")
    assert client.response() == CANCELLED
    assert source.reads < PIECE_SIZE  # it ended before a buffer was full


@pytest.mark.parametrize("is_gone", [False, True])
def test_an_operation_that_takes_long_sees_that_nobody_waits_for_it(
    client: PtpIpClient, responder: ScriptedResponder, *, is_gone: bool
) -> None:
    def slow(_: Request) -> Reply:
        look = responder.connections[0]._session.look
        look()
        if is_gone:
            client.close()
        else:
            client.cancel(client.command)
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:  # it may be on its way for a moment
            look()
        return Reply()

    responder.operations[GET] = slow
    client.request(GET)
    if is_gone:
        assert responder.connections[0].closed.wait(PATIENCE / 2)
    else:
        assert client.response() == CANCELLED


def test_a_cancel_before_the_data_phase(client: PtpIpClient, responder: ScriptedResponder) -> None:
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.cancel(client.command)
    assert client.response() == CANCELLED
    assert sink.end == "aborted"


def test_a_cancel_during_the_operation(client: PtpIpClient, responder: ScriptedResponder) -> None:
    """It comes while the operation runs, before its data could begin."""
    source = PatternSource(ENDLESS)

    def get(request: Request) -> Reply:
        client.cancel(client.command)
        return Reply(source=source)

    responder.operations[GET] = get
    client.request(GET)
    total, data = client.received()
    assert (total, data) == (ENDLESS, b"")
    assert client.response() == CANCELLED


@pytest.mark.parametrize("road", ROADS)
def test_a_late_cancel_is_ignored(
    client: PtpIpClient, responder: ScriptedResponder, road: str
) -> None:
    responder.operations[GET] = lambda _: Reply(source=BytesSource(b"data"))
    assert client.call(GET).data == b"data"
    client.cancel(*wires(client, road))
    assert client.call(GET).data == b"data"


def test_a_cancel_of_another_transaction_is_ignored(
    client: PtpIpClient, responder: ScriptedResponder
) -> None:
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.start_data(4)
    client.transaction_id += 5
    client.cancel(client.command, client.event)
    client.transaction_id -= 5
    client.data(b"1234", last=True)
    assert client.response() == OK
    assert sink.data == b"1234"


def is_cancelled(cancellation: Cancellation) -> bool:
    try:
        cancellation.check()
    except CancelledError:
        return True
    return False


@pytest.mark.parametrize("length", [7, 8])
def test_what_is_no_packet_ends_a_deletion_before_anything_goes(
    tmp_path: Path, length: int
) -> None:
    """A cancel without a number comes with the request, so before the deletion first looks."""
    (tmp_path / "folder").mkdir()
    for number in range(3):
        (tmp_path / "folder" / f"{number}").write_bytes(b"precious")
    with (
        responder_for([tmp_path]) as responder,
        PtpIpServer(responder, [Address("127.0.0.1", 0)]) as server,
        PtpIpClient(server.addresses[0]) as client,
    ):
        cast(Catalogue, responder.store).set_trash(TrashPolicy())
        client.call(0x1002, 1)
        (folder,) = responder.store.children(responder.store.storage_ids()[0], 0)
        head = struct.pack("<IHI", 1, 0x100B, client.transaction_id + 1)
        request = head + struct.pack("<I", folder)
        begun = struct.pack("<II", 8 + len(request), REQUEST) + request
        client.command.raw(begun + struct.pack("<II", length, CANCEL))
        assert client.command.is_over()
    assert len(list((tmp_path / "folder").iterdir())) == 3


@pytest.mark.parametrize(
    ("steps", "cancelled"),
    [
        ("begin 1, ask 1", True),
        ("ask 1, begin 1", True),
        ("begin 1, ask 2", False),
        ("begin 1, ask 1, end, begin 2", False),
        ("begin 1, ask 2, end, begin 2", True),
        ("begin 1, ask 1, end, begin 1", False),
        ("begin 1, end, ask 1, begin 1", False),
        ("begin 1, end, ask 1, begin 2, ask 2", True),
        ("ask 1, begin 2, end, begin 1", False),
        ("ask 1, ask 2, begin 2", True),
        ("begin 1, end, ask 1", False),
        ("begin 1, end, ask 2, begin 2", True),
    ],
)
def test_which_transaction_is_cancelled(steps: str, *, cancelled: bool) -> None:
    cancellation = Cancellation()
    for step in steps.split(", "):
        verb, _, number = step.partition(" ")
        if verb == "end":
            cancellation.end()
        else:
            getattr(cancellation, verb)(int(number))
    assert is_cancelled(cancellation) is cancelled
    cancellation.close()
