# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection whose operations a test writes, held to the order of a real session."""

from collections.abc import Callable

from appliance.mtp.codes import OperationCode, ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.session import Phase, Session, Step
from appliance.mtp.transaction import BytesSource, Look, Reply, Request, Sink, unattended

Operation = Callable[[Request], Reply | Sink]


class RecordingSink:
    """Takes data and says what became of it; `broken` fails the first write."""

    def __init__(self, expected: int | None, reply: Reply | None = None) -> None:
        self.expected = expected
        self.data = bytearray()
        self.state = "open"
        self._reply = reply or Reply()

    def write(self, data: memoryview) -> None:
        assert self.state == "open"
        self.data += data

    def finish(self) -> Reply:
        assert self.state == "open"
        self.state = "finished"
        return self._reply

    def abort(self) -> None:
        assert self.state != "finished"
        self.state = "aborted"


class FailingSource(BytesSource):
    """Gives some bytes of what it promised; then it ends, or fails with an error."""

    def __init__(self, length: int, data: bytes, error: MtpError | None = None) -> None:
        super().__init__(data)
        self._promised = length
        self._error = error
        self.closed = False

    @property
    def length(self) -> int:
        return self._promised

    def read_into(self, buffer: memoryview) -> int:
        count = super().read_into(buffer)
        if not count and self._error is not None:
            raise self._error
        return count

    def close(self) -> None:
        super().close()
        self.closed = True


class FakeConnection:
    """`Connection` as the USB conversation uses it."""

    peer = "usb"

    def __init__(self, operations: dict[int, Operation]) -> None:
        self._operations = operations
        self._session = Session()
        self._sink: Sink | None = None
        self.session_open = False
        self.look: Look = unattended
        self.heed: Look = unattended
        self.requests: list[Request] = []
        self.calls: list[str] = []

    @property
    def busy(self) -> bool:
        return self._session.phase is not Phase.IDLE

    def attend(self, look: Look, heed: Look) -> None:
        self.look, self.heed = look, heed

    def execute(self, request: Request) -> Reply | Sink:
        self.requests.append(request)
        self.session_open |= request.code == OperationCode.OPEN_SESSION
        self._session.advance(Step.REQUEST)
        operation = self._operations.get(request.code)
        answer = operation(request) if operation else Reply(ResponseCode.OPERATION_NOT_SUPPORTED)
        if isinstance(answer, Reply):
            self._session.advance(Step.REPLY if answer.source is None else Step.HAS_DATA)
            return answer
        self._session.advance(Step.WANTS_DATA)
        self._sink = answer
        return _Concluding(answer, self._received)

    def complete(self) -> None:
        self.calls.append("complete")
        self._session.advance(Step.ANSWERED)

    def abandon(self) -> None:
        self.calls.append("abandon")
        if self._sink is not None:
            self._sink.abort()
            self._sink = None
        self._session.advance(Step.ABANDON)

    def close(self) -> None:
        self.abandon()
        self.calls.append("close")
        self.session_open = False

    def _received(self) -> None:
        self._sink = None
        self._session.advance(Step.DATA_COMPLETE)


class _Concluding:
    """A sink that tells the connection when it is finished."""

    def __init__(self, sink: Sink, finished: Callable[[], None]) -> None:
        self._sink = sink
        self._finished = finished

    @property
    def expected(self) -> int | None:
        return self._sink.expected

    def write(self, data: memoryview) -> None:
        self._sink.write(data)

    def finish(self) -> Reply:
        reply = self._sink.finish()
        self._finished()
        return reply

    def abort(self) -> None:
        self._sink.abort()
