# SPDX-License-Identifier: GPL-3.0-or-later
"""A responder without storages: its operations are what a test says."""

import threading
from collections.abc import Callable
from typing import cast

from appliance.mtp.codes import OperationCode, ResponseCode
from appliance.mtp.device import Device
from appliance.mtp.errors import MtpError
from appliance.mtp.operations import Context
from appliance.mtp.ports import ChangeListener, ObjectStore
from appliance.mtp.responder import Connection, Responder
from appliance.mtp.session import Session
from appliance.mtp.transaction import Event, Reply, Request, Sink
from tests.fakes.device import IDENTITY, ForgetfulState, TestHost
from tests.fakes.ptpip_client import PATIENCE

Operation = Callable[[Request], Reply | Sink]


class ScriptedConnection(Connection):
    """A connection whose session and sinks are real; its operations are scripted."""

    def __init__(self, context: Context, peer: str, operations: dict[int, Operation]) -> None:
        super().__init__(context, peer)
        self._operations = operations
        self.closed = threading.Event()

    def _dispatch(self, request: Request) -> Reply | Sink:
        if request.code == OperationCode.OPEN_SESSION:
            self._session.open(request.parameter(0))
            return Reply()
        try:
            return self._operations[request.code](request)
        except KeyError:
            raise MtpError(ResponseCode.OPERATION_NOT_SUPPORTED) from None

    def close(self) -> None:
        super().close()
        self.closed.set()


#: What is there as far as one may ask for it.
STORAGE_IDS = 0x10001, 0x20001


class _NoStore:
    """Nothing, in which nothing changes."""

    def listen(self, listener: ChangeListener) -> None:
        return None

    def storage_ids(self) -> tuple[int, ...]:
        return STORAGE_IDS


class ScriptedResponder(Responder):
    """Gives scripted connections, and keeps them for the test to look at."""

    def __init__(self, operations: dict[int, Operation] | None = None) -> None:
        device = Device(IDENTITY, ForgetfulState(), TestHost())
        super().__init__(device, cast(ObjectStore, _NoStore()))
        self.operations = operations or {}
        self.connections: list[ScriptedConnection] = []

    def tell(self, event: Event, *, except_for: ScriptedConnection | None = None) -> None:
        """Send an event to all, but for one."""
        self._audience.tell(event, except_for=except_for._session if except_for else None)

    def connect(self, peer: str, client: str = "") -> ScriptedConnection:
        context = Context(self.device, self.store, Session(), self._audience)
        connection = ScriptedConnection(context, peer, self.operations)
        self.connections.append(connection)
        return connection


class RecordingSink:
    """Keeps what comes, and how it ends."""

    expected: int | None = None

    def __init__(self, reply: Reply | None = None) -> None:
        self._reply = reply or Reply()
        self.data = bytearray()
        self.largest = 0
        self.end = ""
        self.ended = threading.Event()
        self.started = threading.Event()

    def write(self, data: memoryview) -> None:
        self.data += data
        self.largest = max(self.largest, len(data))
        self.started.set()

    def finish(self) -> Reply:
        self._end("finished")
        return self._reply

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        assert not self.end, f"{how} after it was {self.end}"
        self.end = how
        self.ended.set()

    def wait_for_data(self) -> None:
        """Wait for the first data."""
        assert self.started.wait(PATIENCE), "no data came"

    def wait(self) -> str:
        """Wait for the end; how it was."""
        assert self.ended.wait(PATIENCE), "the sink was left alone"
        return self.end


class PatternSource:
    """A source of any length with no memory behind it; `ends_at` is where it ends early."""

    def __init__(
        self, length: int, *, ends_at: int | None = None, error: MtpError | None = None
    ) -> None:
        self._length = length
        self._rest = length if ends_at is None else ends_at
        self._error = error
        self.closed = threading.Event()

    @property
    def length(self) -> int:
        return self._length

    def read_into(self, buffer: memoryview) -> int:
        count = min(len(buffer), self._rest)
        if not count and self._error is not None:
            raise self._error
        buffer[:count] = b"p" * count
        self._rest -= count
        return count

    def close(self) -> None:
        self.closed.set()
