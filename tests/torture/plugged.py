# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does at a USB cable, in any order, to the conversation there: a target, and hosts.

The pipes are a host's that is a script; the operations behind the conversation are a test's own.
"""

import functools
import logging
import struct
from collections.abc import Callable, Iterator

from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.codes import ResponseCode
from appliance.mtp.transaction import BytesSource, Reply, Request
from appliance.transports.usb import Conversation
from appliance.transports.usb_pipes import Cancelled, Disconnected, Reset
from tests.fakes.usb import SILENCE, Action, FakePipes
from tests.fakes.usb_connection import FakeConnection, RecordingSink
from tests.torture.framing import Defects

_PACKETS = (64, 512, 1024)
_LENGTH = struct.Struct("<H")
#: What the host does next: a transfer to the device, or one of the others.
_TRANSFER, _SILENCE, _CANCEL, _RESET, _DEAF, _LISTENING, _COLLECTS, _REPLUGGED = range(8)
#: Bytes of the longest answer: more than the host's side takes at once.
_LARGEST = 30_000
_CONTENT = bytes(range(250)) * (_LARGEST // 250)
#: The last transaction, which nothing before has named.
_LAST = 0x6E6E6E6E


class _Host(FakePipes):
    """Comes again where it was unplugged, and is not silent for ever."""

    def attach(self) -> bool:
        return super().attach() or bool(self._script)

    def wait(self, timeout: float | None = None) -> bool:
        while timeout is None and self._script and self._script[0] == SILENCE:
            self._script.popleft()
        return super().wait(timeout)


@functools.cache
def _defects() -> Defects:
    defects = Defects()
    logging.getLogger("appliance").addHandler(defects)
    return defects


def conversation_by_usb(data: bytes) -> None:
    """Transfers, silence, cancels, resets and the cable; then a client that begins anew.

    It is answered, and what came before was foreseen.
    """
    defects, packet_size = _defects(), _PACKETS[data[0] % 3 if data else 0]
    anew: list[Action] = [_listening, Reset(), _command(Op.GET_STORAGE_IDS, _LAST)]
    host = _Host([*_script(data[1:]), *anew], packet_size=packet_size)
    connection = FakeConnection(
        {
            Op.OPEN_SESSION: lambda _: Reply(),
            Op.GET_STORAGE_IDS: lambda _: Reply(),
            Op.GET_OBJECT: _download,
            Op.SEND_OBJECT: _upload,
        }
    )
    Conversation(host, connection).run()  # type: ignore[arg-type]
    answer = struct.pack("<IHHI", 12, 3, ResponseCode.OK, _LAST)
    assert b"".join(host.sent).endswith(answer)
    assert not defects.seen, defects.seen


def _download(request: Request) -> Reply:
    return Reply(source=BytesSource(_CONTENT[: request.parameter(0) % _LARGEST]))


def _upload(request: Request) -> RecordingSink:
    """Take what comes: as much as is said, or any."""
    return RecordingSink(request.parameter(0) or None)


def _script(data: bytes) -> Iterator[Action]:
    at = 0
    while at < len(data):
        kind, at = data[at] % 8, at + 1
        if kind == _TRANSFER:
            size = int.from_bytes(data[at : at + 2], "little")
            yield data[at + 2 : at + 2 + size]
            at += 2 + size
        else:
            yield _ACTIONS[kind]()


def _deaf(host: FakePipes) -> None:
    host.deaf = True


def _listening(host: FakePipes) -> None:
    host.deaf = False


def _collects(host: FakePipes) -> None:
    host.collect(1)


_ACTIONS: dict[int, Callable[[], Action]] = {
    _SILENCE: lambda: SILENCE,
    _CANCEL: lambda: Cancelled(1),
    _RESET: Reset,
    _DEAF: lambda: _deaf,
    _LISTENING: lambda: _listening,
    _COLLECTS: lambda: _collects,
    _REPLUGGED: Disconnected,
}


def _command(code: int, number: int, *parameters: int) -> bytes:
    size = 12 + 4 * len(parameters)
    return struct.pack(f"<IHHI{len(parameters)}I", size, 1, code, number, *parameters)


def _data(code: int, number: int, payload: bytes) -> bytes:
    return struct.pack("<IHHI", 12 + len(payload), 2, code, number) + payload


def _does(*actions: bytes | int) -> bytes:
    """Write what a host does as `_script` reads it."""
    said = b""
    for each in actions:
        if isinstance(each, bytes):
            said += bytes([_TRANSFER]) + _LENGTH.pack(len(each)) + each
        else:
            said += bytes([each])
    return said


def hosts() -> Iterator[bytes]:
    """What hosts do, each kind of it, at each speed."""
    opened = _command(Op.OPEN_SESSION, 0, 1)
    for at, size in enumerate(_PACKETS):
        whole = _CONTENT[: 3 * size - 12]
        down, up = _command(Op.GET_OBJECT, 1, 9000), _command(Op.SEND_OBJECT, 1, len(whole))
        sent = _data(Op.SEND_OBJECT, 1, whole)
        open_ended = _command(Op.SEND_OBJECT, 1)
        after = _command(Op.GET_STORAGE_IDS, 2)
        for does in (
            _does(opened, down, after),
            _does(opened, up, sent, b"", after),
            _does(opened, up, sent[:12], sent[12:], _SILENCE, after),
            _does(opened, open_ended, sent, b"", after),
            _does(opened, open_ended, sent[:-1], after),
            _does(opened, up, sent[:size], _CANCEL, after),
            _does(opened, up, sent[:size], _RESET, opened, after),
            _does(opened, up, sent[:size], _REPLUGGED, opened, after),
            _does(opened, up, sent[:size], opened, after),
            _does(opened, _DEAF, down, _COLLECTS, _CANCEL, after, _LISTENING, after),
            _does(opened, _DEAF, down, _COLLECTS, opened, _LISTENING, after),
            _does(opened, _DEAF, down, _REPLUGGED, _LISTENING, opened, after),
            _does(opened, opened, _SILENCE, after, b"", b"noise", after),
            _does(_command(0x9999, 1, 1, 2, 3, 4, 5), sent, _command(0, 0)[:11], after),
        ):
            yield bytes([at]) + does
        for kind in range(7):  # of which one alone is data
            other = struct.pack("<IHHI", 12 + len(whole), kind, Op.SEND_OBJECT, 1) + whole
            yield bytes([at]) + _does(opened, up, other, b"", after)
