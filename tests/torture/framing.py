# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes over TCP, byte by byte, to a PTP/IP server: a target, and what initiators do send.

The server is a real one, with its threads; the operations behind it are a test's own.
"""

import functools
import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.transaction import Reply, Request
from appliance.transports.ptpip import PtpIpServer
from appliance.transports.ptpip_listen import Address
from tests.fakes.ptpip_client import (
    CANCEL,
    DATA,
    END_DATA,
    EVENT,
    INIT_COMMAND,
    INIT_EVENT,
    PROBE,
    REQUEST,
    START_DATA,
    PtpIpClient,
    Wire,
    init_command,
)
from tests.fakes.responder import PatternSource, RecordingSink, ScriptedResponder

_PREFIX = struct.Struct("<II")
#: Bytes of the answer to a download, and of a packet: a server says no longer ones.
_DOWNLOAD, _LONGEST = 70_000, 1 << 20
_KINDS = range(1, 15)
#: Where the bytes go: to a connection that has said nothing, or to one of those of an initiator.
_NEW, _COMMANDS, _EVENTS = range(3)


class Defects(logging.Handler):
    """Errors that the server has not foreseen."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage())


@functools.cache
def _served() -> tuple[PtpIpServer, ScriptedResponder, Defects]:
    """Start a server that stays while the process lives."""
    defects = Defects()
    logging.getLogger("appliance").addHandler(defects)
    responder = ScriptedResponder({Op.GET_OBJECT: _download, Op.SEND_OBJECT: _upload})
    server = PtpIpServer(responder, [Address("127.0.0.1", 0)])
    server.start()
    return server, responder, defects


def _download(_: Request) -> Reply:
    return Reply(source=PatternSource(_DOWNLOAD))


def _upload(_: Request) -> RecordingSink:
    return RecordingSink()


def framing(data: bytes) -> None:
    """Bytes to a connection, of which the first says to which; then nothing more comes.

    The server ends it, answers in packets that are some, and serves the next initiator.
    """
    server, responder, defects = _served()
    address = server.addresses[0]
    where = data[0] % 3 if data else _NEW
    if where == _NEW:
        _converse(Wire(address), data[1:])
    else:
        with PtpIpClient(address) as client:
            _converse(client.command if where == _COMMANDS else client.event, data[1:])
    with PtpIpClient(address, events=False) as client:
        assert client.call(Op.OPEN_SESSION, 1).ok
    responder.connections.clear()
    assert server.is_alive
    assert not defects.seen, defects.seen


def _converse(wire: Wire, data: bytes) -> None:
    said = bytearray()
    with suppress(ConnectionError):  # it has heard enough
        wire.raw(data)
        with suppress(OSError):  # it has ended the connection already
            wire.socket.shutdown(socket.SHUT_WR)
        while part := wire.socket.recv(1 << 16):
            said += part
    wire.close()
    at = 0
    while at + _PREFIX.size <= len(said):
        length, kind = _PREFIX.unpack_from(said, at)
        assert _PREFIX.size <= length <= _LONGEST, length
        assert kind in _KINDS, kind
        at += length


def _packet(kind: int, payload: bytes = b"") -> bytes:
    return _PREFIX.pack(_PREFIX.size + len(payload), kind) + payload


def _request(code: int, number: int, *parameters: int, phase: int = 1) -> bytes:
    head = struct.pack("<IHI", phase, code, number)
    return _packet(REQUEST, head + struct.pack(f"<{len(parameters)}I", *parameters))


def initiators() -> Iterator[bytes]:
    """What initiators send, each kind of it, after the byte that says to which connection."""
    number = struct.pack("<I", 2)
    data = number + b"content"
    upload = _request(Op.SEND_OBJECT, 2, phase=2)
    start = _packet(START_DATA, number + struct.pack("<Q", 7))
    greeting, session = _packet(INIT_COMMAND, init_command()), _request(Op.OPEN_SESSION, 1, 1)
    for said in (
        upload + start + _packet(END_DATA, data),
        upload + start + _packet(DATA, data) + _packet(END_DATA, number),
        upload + start + _packet(DATA, b"\2") + _packet(END_DATA, data),
        upload + start + _packet(CANCEL, number) + _packet(END_DATA, data),
        _request(Op.GET_OBJECT, 2, 1) + _packet(CANCEL, number) + _request(Op.GET_OBJECT, 3, 1),
        _packet(PROBE) + _request(0x9999, 2, 1, 2, 3, 4, 5),
    ):
        yield bytes([_COMMANDS]) + session + said
        yield bytes([_NEW]) + greeting + session + said
    yield bytes([_NEW]) + _packet(INIT_EVENT, struct.pack("<I", 1))
    yield bytes([_EVENTS]) + _packet(PROBE) + _packet(CANCEL, number)
    yield bytes([_EVENTS]) + _packet(EVENT, struct.pack("<HII", 0x4001, 2, 0))
