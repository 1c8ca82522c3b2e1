# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw client's operations on the real gadget: up to some byte of one, and on from there."""

import random
from dataclasses import dataclass
from typing import Protocol

from appliance.mtp.codes import FormatCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.wire import encode_string
from tests.power.model import FOLDER, Operation, content
from tests.usb.host import OK, Host, data_header
from tests.usb.mtp import ROOT, STORAGE

_NAME = 0xDC07
#: Bytes of a request of the host's.
_CHUNK = 1 << 20


class UnderWay(Protocol):
    """Something that a client has begun. `far` says in words how far it is."""

    what: str

    @property
    def far(self) -> str: ...
    def begin(self, chance: random.Random, *, packets: bool) -> None:
        """Do it up to some byte, or with `packets` to the end of some packet."""
        ...

    def go_on(self) -> None:
        """Do what is left of it; AssertionError where an answer is not as it should be."""
        ...


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is asked, and the data that are sent with it."""

    code: Op
    parameters: tuple[int, ...] = ()
    data: bytes | None = None


class Doing:
    """An operation of `tests.power.model`, as its transactions."""

    def __init__(self, host: Host, operation: Operation) -> None:
        self.what = str(operation[0])
        self._operation = operation
        self._host = host
        self._left = transactions(host, operation)
        self._is_started = False
        self._size = 0
        self._rest = b""

    @property
    def far(self) -> str:
        """Name the transaction, and say whether its data are sent."""
        name = self._left[0].code.name
        if len(self._rest) == self._size:
            return f"{name} sent" if not self._size else f"{name} before its data"
        return f"{name} in its data" if self._rest else f"{name} with its data"

    def begin(self, chance: random.Random, *, packets: bool) -> None:
        """Do the transactions before one of them, and that up to some byte; seldom the first."""
        count = len(self._left)
        for _ in range(max(chance.randrange(count), chance.randrange(count))):
            self._start()
            self._finish()
        self._start()
        end = chance.randint(0, self._size)
        self._send(end - end % self._host.packet_size if packets else end)

    def go_on(self) -> None:
        """Do what is left of the transaction, and those after it."""
        if self._is_started:
            self._finish()
        while self._left:
            self._start()
            self._finish()

    def _start(self) -> None:
        """Send a command; its data are still to be sent."""
        each = self._left[0]
        tid = self._host.send_command(each.code, *each.parameters)
        data = each.data
        self._rest = b"" if data is None else data_header(each.code, tid, 12 + len(data)) + data
        self._size = len(self._rest)
        self._is_started = True

    def _send(self, count: int) -> None:
        sent, self._rest = self._rest[:count], self._rest[count:]
        for start in range(0, len(sent), _CHUNK):
            self._host.write(sent[start : start + _CHUNK])

    def _finish(self) -> None:
        """Send the rest of the data, and read the response."""
        self._send(len(self._rest))
        if self._size and self._size % self._host.packet_size == 0:
            self._host.write(b"")
        answer = self._host.response()
        wanted = (OK, self._host.transaction_id)
        assert (answer.code, answer.transaction_id) == wanted, f"{self._operation}: {answer}"
        self._left.pop(0)
        self._is_started = False


class Downloading:
    """GetObject of the file at `path`, which holds `data`; what is read is compared."""

    what = "download"

    def __init__(self, host: Host, path: str, data: bytes) -> None:
        self._host = host
        self._handle = find(host, path)
        self._data = data
        self._read = b""
        self._whole = b""

    @property
    def far(self) -> str:
        """Say whether data were read."""
        return "GET_OBJECT in its data" if self._read else "GET_OBJECT before its data"

    def begin(self, chance: random.Random, *, packets: bool) -> None:
        """Read some packets, fewer than there are."""
        tid = self._host.send_command(Op.GET_OBJECT, self._handle)
        self._whole = data_header(Op.GET_OBJECT, tid, 12 + len(self._data)) + self._data
        for _ in range(chance.randrange(8)):
            self._read += self._host.read(self._host.packet_size * chance.choice((1, 8, 256)))
        assert self._whole.startswith(self._read), "what was read is not what the file holds"

    def go_on(self) -> None:
        """Read the rest."""
        self._read += self._host.read_transfer()
        assert self._read == self._whole, "what was read is not what the file holds"
        answer = self._host.response()
        assert (answer.code, answer.transaction_id) == (OK, self._host.transaction_id), answer


def transactions(host: Host, operation: Operation) -> list[Transaction]:
    """Say an operation in the protocol's words."""
    match operation:
        case ["folder", path]:
            info = ObjectInfo(STORAGE, FormatCode.ASSOCIATION, 0, 0, path, association=1)
            return [Transaction(Op.SEND_OBJECT_INFO, (STORAGE, ROOT), info.encode())]
        case ["put", path, number, size]:
            parent, name = _place(host, path)
            info = ObjectInfo(STORAGE, FormatCode.UNDEFINED, size, 0, name)
            return [
                Transaction(Op.SEND_OBJECT_INFO, (STORAGE, parent), info.encode()),
                Transaction(Op.SEND_OBJECT, (), content(number, size)),
            ]
        case ["delete", path]:
            return [Transaction(Op.DELETE_OBJECT, (find(host, path),))]
        case ["copy", path, to]:
            parent = _place(host, to)[0]
            return [Transaction(Op.COPY_OBJECT, (find(host, path), STORAGE, parent % ROOT))]
        case ["rename", path, to] if path.count("/") != to.count("/"):
            parent = find(host, FOLDER) if "/" in to else 0
            return [Transaction(Op.MOVE_OBJECT, (find(host, path), STORAGE, parent))]
        case ["rename", path, to]:
            data = encode_string(to.rpartition("/")[2])
            return [Transaction(Op.SET_OBJECT_PROP_VALUE, (find(host, path), _NAME), data)]
        case ["edit", path, number, at, length, end]:
            return _edit(find(host, path), at, content(number, length), end)
    raise ValueError(operation)


def _edit(handle: int, at: int, data: bytes, end: int) -> list[Transaction]:
    return [
        Transaction(Op.BEGIN_EDIT_OBJECT, (handle,)),
        Transaction(Op.SEND_PARTIAL_OBJECT, (handle, at, 0, len(data)), data),
        Transaction(Op.TRUNCATE_OBJECT, (handle, end, 0)),
        Transaction(Op.END_EDIT_OBJECT, (handle,)),
    ]


def _place(host: Host, path: str) -> tuple[int, str]:
    """Give the handle of a file's folder, and its name."""
    folder, _, name = path.rpartition("/")
    return (find(host, folder) if folder else ROOT), name


def find(host: Host, path: str) -> int:
    """Find an object by its path, as a client that has just come."""
    handle = ROOT
    for name in path.split("/"):
        data = host.ask(Op.GET_OBJECT_HANDLES, STORAGE, 0, handle).data or b""
        handles = [int.from_bytes(data[at : at + 4], "little") for at in range(4, len(data), 4)]
        handle = next(each for each in handles if _name(host, each) == name)
    return handle


def _name(host: Host, handle: int) -> str:
    return ObjectInfo.decode(host.ask(Op.GET_OBJECT_INFO, handle).data or b"").name
