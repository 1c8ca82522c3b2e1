# SPDX-License-Identifier: GPL-3.0-or-later
"""Data phases over PTP/IP, in both directions, whole and torn."""

import os
import random
import time
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.transaction import BytesSource, Reply, Request
from appliance.storage.source import FileContent
from appliance.transports import ptpip_commands
from appliance.transports.ptpip import PtpIpServer
from appliance.transports.ptpip_channel import PIECE_SIZE, Channel
from appliance.transports.ptpip_commands import is_whole
from appliance.transports.ptpip_data import FILE_PIECE_SIZE, SMALL
from tests.fakes.ptpip_client import (
    DATA,
    END_DATA,
    PONG,
    PROBE,
    RESPONSE,
    START_DATA,
    PtpIpClient,
)
from tests.fakes.responder import PatternSource, RecordingSink, ScriptedResponder

GET, PUT = 0x1009, 0x100D
OK, INCOMPLETE = ResponseCode.OK, ResponseCode.INCOMPLETE_TRANSFER
UNKNOWN = 0xFFFFFFFFFFFFFFFF
SIZES = [0, 1, SMALL - 1, SMALL, SMALL + 1, PIECE_SIZE, PIECE_SIZE + 1, 2 * FILE_PIECE_SIZE + 3]


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def file_source(path: Path, offset: int = 0, length: int | None = None) -> FileContent:
    fd = os.open(path, os.O_RDONLY)
    return FileContent(fd, os.fstat(fd).st_size, offset, length)


# To the initiator


@pytest.mark.parametrize("size", SIZES)
def test_bytes_arrive(client: PtpIpClient, responder: ScriptedResponder, size: int) -> None:
    responder.operations[GET] = lambda _: Reply(source=BytesSource(content(size)))
    client.request(GET)
    assert client.received() == (size, content(size))
    assert client.response() == (OK, ())


@pytest.mark.parametrize("size", SIZES)
def test_files_arrive(
    client: PtpIpClient, responder: ScriptedResponder, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before" + content(size) + b"after")
    sources = []

    def get(request: Request) -> Reply:
        sources.append(file_source(path, 6, size))
        return Reply(OK, (size,), sources[-1])

    responder.operations[GET] = get
    for _ in range(2):
        client.request(GET)
        assert client.received() == (size, content(size))
        assert client.response() == (OK, (size,))
    assert [source.fileno() for source in sources] == [-1, -1]  # closed


@pytest.mark.parametrize("ends_at", [0, 1, PIECE_SIZE, PIECE_SIZE + 1])
@pytest.mark.parametrize("code", [None, ResponseCode.OBJECT_TOO_LARGE])
def test_a_source_that_ends_early(
    client: PtpIpClient, responder: ScriptedResponder, ends_at: int, code: ResponseCode | None
) -> None:
    length = 3 * PIECE_SIZE
    error = None if code is None else MtpError(code)
    source = PatternSource(length, ends_at=ends_at, error=error)
    responder.operations[GET] = lambda _: Reply(source=source)
    client.request(GET)
    assert client.received() == (length, b"p" * ends_at)
    assert client.response() == (code or INCOMPLETE, ())
    assert source.closed.is_set()
    assert client.call(GET + 1).code == ResponseCode.OPERATION_NOT_SUPPORTED


@pytest.mark.parametrize("kept", [0, 5, FILE_PIECE_SIZE, FILE_PIECE_SIZE + 5])
def test_a_file_that_becomes_shorter(
    client: PtpIpClient, responder: ScriptedResponder, tmp_path: Path, kept: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content(3 * FILE_PIECE_SIZE))

    def get(request: Request) -> Reply:
        source = file_source(path)
        os.truncate(path, kept)
        return Reply(source=source)

    responder.operations[GET] = get
    client.request(GET)
    assert client.received() == (3 * FILE_PIECE_SIZE, content(3 * FILE_PIECE_SIZE)[:kept])
    assert client.response() == (INCOMPLETE, ())


@pytest.mark.parametrize("pieces", [2, 3])
def test_a_file_that_cannot_be_read_in_the_middle_of_a_packet(
    client: PtpIpClient,
    responder: ScriptedResponder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pieces: int,
) -> None:
    path, size = tmp_path / "file", pieces * FILE_PIECE_SIZE
    path.write_bytes(content(size))
    responder.operations[GET] = lambda _: Reply(source=file_source(path))
    real, good = os.sendfile, FILE_PIECE_SIZE + 1000

    def broken(out: int, fd: int, offset: int, count: int) -> int:
        if offset >= good:
            raise OSError(5, "Input/output error")
        return real(out, fd, offset, min(count, good - offset))

    def unreadable(fd: int, size: int, offset: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "sendfile", broken)
    monkeypatch.setattr(os, "pread", unreadable)
    client.request(GET)
    total, data = client.received()
    assert (total, len(data)) == (size, 2 * FILE_PIECE_SIZE)  # the packet that was begun is filled
    assert data[:good] == content(size)[:good]
    assert not any(data[good:])
    assert client.response() == (INCOMPLETE, ())


def test_a_file_without_sendfile(
    client: PtpIpClient,
    responder: ScriptedResponder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content(FILE_PIECE_SIZE + 7))

    def missing(*_: int) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sendfile", missing)
    responder.operations[GET] = lambda _: Reply(source=file_source(path))
    assert client.call(GET).data == content(FILE_PIECE_SIZE + 7)


def test_more_than_4_gib_are_announced_and_begun(
    client: PtpIpClient, responder: ScriptedResponder, tmp_path: Path
) -> None:
    path, size = tmp_path / "file", (5 << 30) + 1
    with path.open("wb") as file:
        file.truncate(size)
    responder.operations[GET] = lambda _: Reply(source=file_source(path))
    client.request(GET)
    start = client.command.expect(START_DATA)
    assert start.payload[4:] == size.to_bytes(8, "little")
    assert len(client.command.expect(DATA).payload) == 4 + FILE_PIECE_SIZE


def test_small_data_comes_with_its_response(
    client: PtpIpClient, responder: ScriptedResponder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    connection = type(client.command.socket)
    real = connection.sendall

    def counted(self: object, data: bytes, *flags: int) -> None:
        if self is not client.command.socket:
            sent.append(len(data))
        real(self, data, *flags)  # type: ignore[arg-type]

    responder.operations[GET] = lambda _: Reply(source=BytesSource(b"x" * 100))
    monkeypatch.setattr(connection, "sendall", counted)
    assert client.call(GET).data == b"x" * 100
    assert len(sent) == 1


# From the initiator


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("known", [True, False])
def test_data_is_taken(
    client: PtpIpClient, responder: ScriptedResponder, size: int, *, known: bool
) -> None:
    sink = RecordingSink(Reply(OK, (7,)))
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.start_data(size if known else UNKNOWN)
    client.data(content(size)[: size // 2])
    client.data(b"")
    client.data(content(size)[size // 2 :], last=True)
    assert client.response() == (OK, (7,))
    assert (bytes(sink.data), sink.end) == (content(size), "finished")
    assert sink.largest <= PIECE_SIZE
    assert client.call(PUT + 1).code == ResponseCode.OPERATION_NOT_SUPPORTED


def test_what_has_come_is_acknowledged_at_once(
    client: PtpIpClient, responder: ScriptedResponder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an initiator with Nagle's algorithm waits 40 ms after each small packet."""
    times: list[Channel] = []

    def acknowledge(channel: Channel) -> None:
        times.append(channel)

    monkeypatch.setattr(Channel, "acknowledge", acknowledge)
    responder.operations[PUT] = lambda _: RecordingSink()
    assert client.call(PUT, data=b"data").ok
    assert len(times) == 2  # after the request, and after the announcement


def test_no_data_needs_no_end(client: PtpIpClient, responder: ScriptedResponder) -> None:
    sinks = [RecordingSink(), RecordingSink()]
    coming = iter(sinks)
    responder.operations[PUT] = lambda _: next(coming)
    for sink in sinks:
        client.request(PUT, phase=2)
        client.start_data(0)
        assert client.response() == (OK, ())
        assert (bytes(sink.data), sink.end) == (b"", "finished")
        client.data(b"", last=True)  # and an end that comes late is harmless


@pytest.mark.parametrize("is_all", [True, False])
def test_data_that_was_announced_as_none(
    client: PtpIpClient,
    responder: ScriptedResponder,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_all: bool,
) -> None:
    """As 4 GiB are by libgphoto2; it takes a while to begin, and may be asked meanwhile."""
    monkeypatch.setattr(ptpip_commands, "BEGINS_IN", 20.0)
    if is_all:  # as if it were 4 GiB
        monkeypatch.setattr(ptpip_commands, "is_whole", lambda *_: True)
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.start_data(0)
    time.sleep(0.02)
    client.command.send(PROBE)
    client.command.expect(PONG)
    client.data(content(100))
    client.data(content(50), last=True)
    assert client.response() == (OK if is_all else INCOMPLETE, ())
    assert bytes(sink.data) == content(100) + content(50)
    assert sink.end == ("finished" if is_all else "aborted")


@pytest.mark.parametrize(
    ("total", "sent"), [(10, 0), (10, 9), (10, 11), (1 << 32, 10), (5 << 32, 10), (UNKNOWN - 1, 1)]
)
def test_data_that_is_not_what_was_announced(
    client: PtpIpClient, responder: ScriptedResponder, total: int, sent: int
) -> None:
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.start_data(total)
    client.data(b"x" * sent, last=True)
    assert client.response() == (INCOMPLETE, ())
    assert sink.end == "aborted"
    assert client.call(PUT + 1).code == ResponseCode.OPERATION_NOT_SUPPORTED


@pytest.mark.parametrize(
    ("received", "total", "whole"),
    [
        (0, None, True),
        (5, None, True),
        (5, 5, True),
        (4, 5, False),
        (6, 5, False),
        ((1 << 32) + 5, 5, True),  # libgphoto2 sends the low 32 bits
        ((3 << 32) + 5, 5, True),
        (1 << 32, 0, True),
        ((1 << 32) + 4, 5, False),
        (5, (1 << 32) + 5, False),
        ((2 << 32) + 5, (1 << 32) + 5, False),
    ],
)
def test_is_whole(received: int, total: int | None, *, whole: bool) -> None:
    assert is_whole(received, total) is whole


def test_the_sink_refuses_and_the_rest_is_drained(
    client: PtpIpClient, responder: ScriptedResponder
) -> None:
    class Full(RecordingSink):
        def write(self, data: memoryview) -> None:
            raise MtpError(ResponseCode.STORE_FULL)

    sink = Full()
    responder.operations[PUT] = lambda _: sink
    assert client.call(PUT, data=content(1 << 20)).code == ResponseCode.STORE_FULL
    assert sink.end == "aborted"
    assert client.call(PUT + 1).code == ResponseCode.OPERATION_NOT_SUPPORTED


def test_data_for_an_operation_that_is_refused_is_drained(client: PtpIpClient) -> None:
    assert client.call(PUT, data=content(1 << 20)).code == ResponseCode.OPERATION_NOT_SUPPORTED
    assert client.call(PUT).code == ResponseCode.OPERATION_NOT_SUPPORTED


def test_data_that_was_not_spoken_of_is_drained(
    client: PtpIpClient, responder: ScriptedResponder
) -> None:
    responder.operations[GET] = lambda _: Reply()
    client.request(GET, phase=1)
    client.start_data(1 << 20)
    client.data(content(1 << 20), last=True)
    assert client.response() == (OK, ())
    assert client.call(GET).ok


@pytest.mark.parametrize("tail", [b"\1", b"\1" * 24])
@pytest.mark.parametrize("phase", [0, 1, 2])
def test_a_request_with_bad_parameters_is_answered(
    client: PtpIpClient, responder: ScriptedResponder, tail: bytes, phase: int
) -> None:
    client.transaction_id += 1
    head = phase.to_bytes(4, "little") + GET.to_bytes(2, "little")
    client.command.send(6, head + client.transaction_id.to_bytes(4, "little") + tail)
    if phase == 2:
        client.start_data(4)
        client.data(b"1234", last=True)
    assert client.response() == (ResponseCode.INVALID_PARAMETER, ())
    assert client.call(GET).code == ResponseCode.OPERATION_NOT_SUPPORTED


@pytest.mark.parametrize("data", [None, b"data"])
def test_a_defect_in_an_operation_is_answered(
    client: PtpIpClient,
    responder: ScriptedResponder,
    caplog: pytest.LogCaptureFixture,
    data: bytes | None,
) -> None:
    def broken(_: Request) -> Reply:
        raise RuntimeError("a defect")

    responder.operations[PUT] = broken
    assert client.call(PUT, data=data).code == ResponseCode.GENERAL_ERROR
    assert client.call(GET).code == ResponseCode.OPERATION_NOT_SUPPORTED
    assert "DEFECT" in caplog.text


def test_a_defect_in_a_source_ends_the_connection_and_no_other(
    server: PtpIpServer,
    client: PtpIpClient,
    responder: ScriptedResponder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(PatternSource):
        def read_into(self, buffer: memoryview) -> int:
            raise RuntimeError("a defect")

    source = Broken(SMALL + 1)
    responder.operations[GET] = lambda _: Reply(source=source)
    client.request(GET)
    client.command.expect(START_DATA)
    assert client.command.is_over()
    assert client.event.is_over()
    assert source.closed.is_set()
    with PtpIpClient(client.address) as other:
        assert other.call(0x1002, 1).ok
    server.close()
    assert "DEFECT" in caplog.text


# Out of turn


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (1, bytes(30)),
        (5, bytes(4)),
        (RESPONSE, bytes(6)),
        (8, bytes(6)),
        (99, b""),
        (6, b"\1\2"),
        (6, bytes(2000)),
        (11, b"\1"),
    ],
)
@pytest.mark.parametrize("during_data", [False, True])
def test_a_packet_that_may_not_come_ends_the_connection(
    client: PtpIpClient,
    responder: ScriptedResponder,
    kind: int,
    payload: bytes,
    *,
    during_data: bool,
) -> None:
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    if during_data:
        client.request(PUT, phase=2)
        client.start_data(100)
        client.data(b"some")
    client.command.send(kind, payload)
    assert client.command.is_over()
    assert client.event.is_over()
    assert not during_data or sink.wait() == "aborted"


@pytest.mark.parametrize("kind", [START_DATA, DATA, END_DATA])
def test_data_of_another_transaction_ends_the_connection(
    client: PtpIpClient, responder: ScriptedResponder, kind: int
) -> None:
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    if kind != START_DATA:
        client.start_data(10)
    client.command.send(kind, (99).to_bytes(4, "little") + bytes(8))
    assert client.command.is_over()
    assert sink.wait() == "aborted"


def test_a_request_instead_of_data_ends_the_connection(
    client: PtpIpClient, responder: ScriptedResponder
) -> None:
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    client.request(PUT, phase=2)
    assert client.command.is_over()
    assert sink.wait() == "aborted"


def test_probes_are_answered_at_any_time(client: PtpIpClient, responder: ScriptedResponder) -> None:
    sink = RecordingSink()
    responder.operations[PUT] = lambda _: sink
    client.request(PUT, phase=2)
    for wire in (client.command, client.event):
        wire.send(PROBE)
        assert wire.expect(PONG).payload == b""
    client.start_data(4)
    client.command.send(PONG)
    client.command.send(PROBE)
    client.command.expect(PONG)
    client.data(b"1234", last=True)
    assert client.response() == (OK, ())
    client.event.send(PONG)
    client.event.send(PROBE)
    client.event.expect(PONG)
    assert sink.data == b"1234"


def test_the_next_request_may_come_before_the_data_is_over(
    client: PtpIpClient, responder: ScriptedResponder
) -> None:
    responder.operations[GET] = lambda _: Reply(source=PatternSource(8 * PIECE_SIZE))
    client.request(GET)
    client.request(GET)
    client.transaction_id -= 1
    assert client.received() == (8 * PIECE_SIZE, b"p" * (8 * PIECE_SIZE))
    assert client.response() == (OK, ())
    client.transaction_id += 1
    assert client.received() == (8 * PIECE_SIZE, b"p" * (8 * PIECE_SIZE))
    assert client.response() == (OK, ())
