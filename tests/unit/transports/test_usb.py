# SPDX-License-Identifier: GPL-3.0-or-later
"""The bulk conversation with a scripted host, packet for packet."""

import struct
from collections.abc import Callable

import pytest

from appliance.mtp.codes import OperationCode, ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.transaction import BytesSource, Reply, Request, Sink
from appliance.transports.usb import Conversation
from appliance.transports.usb_pipes import Cancelled, Disconnected, Interrupt, Reset
from tests.fakes.usb import SILENCE, Action, FakePipes
from tests.fakes.usb_connection import FailingSource, FakeConnection, RecordingSink

GET, SEND, PLAIN = (
    OperationCode.GET_OBJECT,
    OperationCode.SEND_OBJECT,
    OperationCode.GET_NUM_OBJECTS,
)
SIZES = (0, 1, 11, 12, 20, 499, 500, 501, 1011, 1012, 1013, 4083, 4084, 4085, 4096, 65524, 70000)
OK = ResponseCode.OK


def command(code: int, tid: int = 1, *parameters: int) -> bytes:
    size = 12 + 4 * len(parameters)
    return struct.pack(f"<IHHI{len(parameters)}I", size, 1, code, tid, *parameters)


def response(code: int, tid: int = 1, *parameters: int) -> bytes:
    size = 12 + 4 * len(parameters)
    return struct.pack(f"<IHHI{len(parameters)}I", size, 3, code, tid, *parameters)


def data(code: int, payload: bytes, tid: int = 1, *, length: int | None = None) -> bytes:
    size = 12 + len(payload) if length is None else length
    return struct.pack("<IHHI", size, 2, code, tid) + payload


def pattern(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


class Stage:
    """A conversation with a script, and what came of it."""

    def __init__(self, *script: Action, packet_size: int = 512, **operations: object) -> None:
        self.sinks: list[RecordingSink] = []
        self.expected: int | None = None
        self.content = b""
        self.connection = FakeConnection({GET: self._get, SEND: self._send, PLAIN: self._plain})
        self.pipes = FakePipes(script, packet_size=packet_size)

    def run(self) -> "Stage":
        Conversation(self.pipes, self.connection).run()  # type: ignore[arg-type]
        return self

    def _get(self, _: Request) -> Reply:
        return Reply(source=BytesSource(self.content))

    def _send(self, _: Request) -> Sink:
        self.sinks.append(RecordingSink(self.expected))
        return self.sinks[-1]

    def _plain(self, request: Request) -> Reply:
        return Reply(OK, request.parameters[:1])

    @property
    def states(self) -> list[str]:
        return [sink.state for sink in self.sinks]


def heard(stage: Stage) -> list[bytes]:
    return stage.run().pipes.collected()


# Commands and responses


def test_a_command_is_answered() -> None:
    stage = Stage(command(PLAIN, 5, 42))
    assert heard(stage) == [response(OK, 5, 42)]
    assert stage.connection.requests == [Request(PLAIN, 5, (42,))]


def test_the_connection_ends_with_the_cable() -> None:
    stage = Stage(command(PLAIN))
    stage.run()
    assert stage.connection.calls[-1] == "close"


@pytest.mark.parametrize("packet_size", [64, 512, 1024])
def test_zero_length_packets_between_transactions_are_nothing(packet_size: int) -> None:
    script = (b"", command(PLAIN, 1), b"", b"", command(PLAIN, 2))
    got = heard(Stage(*script, packet_size=packet_size))
    assert got == [response(OK, 1), response(OK, 2)]


@pytest.mark.parametrize(
    "noise",
    [b"x", b"hello world", bytes(11), bytes(12), bytes(512), bytes(5000), data(SEND, b"nobody's")],
    ids=["1", "11", "zeros", "type 0", "full packet", "many packets", "data of nobody"],
)
def test_what_is_no_command_is_drained(noise: bytes) -> None:
    assert heard(Stage(noise, command(PLAIN, 3))) == [response(OK, 3)]


@pytest.mark.parametrize(
    "bad",
    [
        struct.pack("<IHHI", 16, 1, PLAIN, 9),
        struct.pack("<IHHI", 12, 1, PLAIN, 9) + b"\0\0",
        struct.pack("<IHHI6I", 36, 1, PLAIN, 9, *range(6)),
        struct.pack("<IHHI", 0, 1, PLAIN, 9),
    ],
    ids=["too long", "ragged", "six parameters", "no length"],
)
def test_a_malformed_command_is_refused(bad: bytes) -> None:
    stage = Stage(bad, command(PLAIN, 10))
    assert heard(stage) == [response(ResponseCode.INVALID_PARAMETER, 9), response(OK, 10)]


def test_data_after_an_operation_that_takes_none_is_drained() -> None:
    unknown = 0x9999
    script = (command(unknown, 1), data(unknown, pattern(3000)), command(PLAIN, 2))
    got = heard(Stage(*script))
    assert got == [response(ResponseCode.OPERATION_NOT_SUPPORTED, 1), response(OK, 2)]


def test_a_defect_is_answered_and_the_next_command_served() -> None:
    stage = Stage(command(PLAIN, 1), command(GET, 2))

    def broken(_: Request) -> Reply:
        raise KeyError("a defect")

    stage.connection._operations[PLAIN] = broken
    got = heard(stage)
    assert got[0] == response(ResponseCode.GENERAL_ERROR, 1)
    assert got[-1] == response(OK, 2)


# Data to the host


@pytest.mark.parametrize("packet_size", [64, 512, 1024])
@pytest.mark.parametrize("size", SIZES)
def test_download(size: int, packet_size: int) -> None:
    stage = Stage(command(GET, 3), packet_size=packet_size)
    stage.content = pattern(size)
    assert heard(stage) == [data(GET, stage.content, 3), response(OK, 3)]
    assert (b"" in stage.pipes.sent) == ((12 + size) % packet_size == 0)
    assert stage.connection.calls[0] == "complete"


def test_header_and_payload_go_in_one_transfer() -> None:
    stage = Stage(command(GET))
    stage.content = pattern(100)
    stage.run()
    assert len(stage.pipes.sent[0]) == 112


@pytest.mark.parametrize(
    ("size", "field"),
    [
        ((1 << 32) - 14, 0xFFFFFFFE),
        ((1 << 32) - 13, 0xFFFFFFFF),
        ((1 << 32) - 12, 0xFFFFFFFF),
        (1 << 32, 0xFFFFFFFF),
        ((1 << 32) + 1, 0xFFFFFFFF),
    ],
)
def test_the_length_of_a_large_object(size: int, field: int) -> None:
    stage = Stage(command(GET))
    stage.connection._operations[GET] = lambda _: Reply(source=FailingSource(size, b"x"))
    assert heard(stage)[0] == data(GET, b"x", length=field)


@pytest.mark.parametrize("there", [0, 1, 500, 4084, 5000, 8180])
def test_an_object_that_became_shorter_is_not_called_whole(there: int) -> None:
    stage = Stage(command(GET))
    source = FailingSource(9000, pattern(there))
    stage.connection._operations[GET] = lambda _: Reply(source=source)
    got = heard(stage)
    assert got == [
        data(GET, pattern(there), length=9012),
        response(ResponseCode.INCOMPLETE_TRANSFER),
    ]
    assert source.closed


def test_an_error_of_the_disk_ends_the_data_and_is_told() -> None:
    stage = Stage(command(GET), command(PLAIN, 2))
    error = MtpError(ResponseCode.ACCESS_DENIED)
    source = FailingSource(9000, pattern(5000), error)
    stage.connection._operations[GET] = lambda _: Reply(source=source)
    got = heard(stage)
    assert got[1:] == [response(ResponseCode.ACCESS_DENIED), response(OK, 2)]


# Data from the host


@pytest.mark.parametrize("packet_size", [64, 512, 1024])
@pytest.mark.parametrize("shape", ["joined", "split"])
@pytest.mark.parametrize("zero", [True, False], ids=["zlp", "no-zlp"])
@pytest.mark.parametrize("size", SIZES)
def test_upload(size: int, zero: bool, shape: str, packet_size: int) -> None:
    whole = data(SEND, pattern(size))
    transfers: list[Action] = [whole[:12], whole[12:]] if shape == "split" else [whole]
    if not transfers[-1]:
        transfers.pop()
    ends_full = len(transfers[-1]) % packet_size == 0  # type: ignore[arg-type]
    ending: list[Action] = [b"" if zero else SILENCE] if ends_full else []
    stage = Stage(command(SEND), *transfers, *ending, command(PLAIN, 2), packet_size=packet_size)
    stage.expected = size
    assert heard(stage) == [response(OK, 1), response(OK, 2)]
    assert bytes(stage.sinks[0].data) == pattern(size)
    assert stage.states == ["finished"]


@pytest.mark.parametrize("piece", [512, 1024, 4096, 16384])
def test_upload_in_the_pieces_that_programs_send(piece: int) -> None:
    whole = data(SEND, pattern(100_000))
    cut = [whole[at : at + piece] for at in range(0, len(whole), piece)]
    stage = Stage(command(SEND), *cut)
    stage.expected = 100_000
    assert heard(stage) == [response(OK)]
    assert bytes(stage.sinks[0].data) == pattern(100_000)


def test_several_reads_are_posted_ahead_and_none_behind_the_end() -> None:
    stage = Stage(command(SEND), data(SEND, pattern(20_000)))
    stage.expected = 20_000
    stage.run()
    posts = [int(line.split()[1]) for line in stage.pipes.log if line.startswith("post")]
    assert posts == [512, 512, 4096, 4096, 4096, 4096, 3584, 512]


@pytest.mark.parametrize(("said", "came"), [(100, 50), (9000, 600), (9000, 8999), (50, 60)])
def test_a_torn_upload_leaves_nothing(said: int, came: int) -> None:
    torn = data(SEND, pattern(came), length=12 + said)
    stage = Stage(command(SEND), torn, command(PLAIN, 2))
    stage.expected = said
    assert heard(stage) == [response(ResponseCode.INCOMPLETE_TRANSFER), response(OK, 2)]
    assert stage.states == ["aborted"]


def test_what_is_no_data_container_is_refused() -> None:
    stage = Stage(command(SEND), bytes(12), command(PLAIN, 2))
    assert heard(stage) == [response(ResponseCode.INCOMPLETE_TRANSFER), response(OK, 2)]
    assert stage.states == ["aborted"]


@pytest.mark.parametrize("arrived", [0, 512, 1024, 4096, 8704, 20480])
def test_a_client_killed_while_it_sent(arrived: int) -> None:
    part = data(SEND, pattern(50_000))[:arrived]
    sent = [part] if part else []
    stage = Stage(command(SEND), *sent, command(PLAIN, 0, 7), command(PLAIN, 1))
    stage.expected = 50_000
    assert heard(stage) == [response(OK, 0, 7), response(OK, 1)]
    assert stage.states == ["aborted"]


def test_the_tail_of_a_file_that_looks_like_a_command_is_kept() -> None:
    content = pattern(1012) + command(PLAIN, 9)
    stage = Stage(command(SEND), data(SEND, content))
    stage.expected = len(content)
    assert heard(stage) == [response(OK)]
    assert bytes(stage.sinks[0].data) == content


# A client that is gone


def deaf(pipes: FakePipes) -> None:
    pipes.deaf = True


def listening(pipes: FakePipes) -> None:
    pipes.deaf = False


def hears_some(pipes: FakePipes) -> None:
    pipes.collect(2)


@pytest.mark.parametrize("size", [100, 5000, 100_000])
def test_a_client_killed_while_it_read(size: int) -> None:
    stage = Stage(deaf, command(GET, 1), hears_some, command(PLAIN, 2), listening, b"")
    stage.content = pattern(size)
    got = heard(stage)
    assert got[-1].endswith(response(OK, 2))
    assert stage.connection.requests[-1].transaction_id == 2
    assert size < 4000 or any(line.startswith("flush") for line in stage.pipes.log)


OPEN = OperationCode.OPEN_SESSION


@pytest.mark.parametrize(
    "before",
    [(deaf, command(GET, 7)), (command(SEND, 7), data(SEND, pattern(9000), 7)[:8704])],
    ids=["download", "upload"],
)
def test_the_session_of_a_killed_client_ends_where_the_next_one_begins(
    before: tuple[Action, ...],
) -> None:
    stage = Stage(*before, command(OPEN, 0, 1), listening, b"")
    stage.content = pattern(50_000)
    stage.expected = 9000
    stage.connection._operations[OPEN] = lambda _: Reply()
    assert heard(stage)[-1] == response(OK, 0)
    assert "close" in stage.connection.calls[: stage.connection.calls.index("complete")]


def snatch(*words: bytes) -> Callable[[FakePipes], None]:
    """A host that sends a command and reads what was there before the device has heard it."""

    def act(pipes: FakePipes) -> None:
        for word in words:
            pipes.deliver(word)
        pipes.collect()

    return act


def test_a_response_that_was_taken_for_the_next_ones_is_not_repeated() -> None:
    """The old client left the response to its OpenSession, the new one took it for its own."""
    stage = Stage(command(OPEN, 0, 1), deaf, command(OPEN, 0, 1), SILENCE,
                  snatch(command(OPEN, 0, 1)), listening, command(PLAIN, 1))  # fmt: skip
    stage.connection._operations[OPEN] = lambda _: Reply()
    assert heard(stage) == [response(OK, 0), response(OK, 0), response(OK, 1)]


def test_a_response_in_the_fifo_that_was_taken_for_the_next_ones_is_not_repeated() -> None:
    """It was reported as sent, although nobody had read it: the new client goes on with it."""
    stage = Stage(command(OPEN, 0, 1), command(OPEN, 0, 1), command(PLAIN, 1))
    stage.connection._operations[OPEN] = lambda _: Reply()
    assert heard(stage) == [response(OK, 0), response(OK, 1)]
    assert stage.connection.calls.count("close") == 2  # the old client's session, and the cable
    assert [each.code for each in stage.connection.requests] == [OPEN, OPEN, PLAIN]


@pytest.mark.parametrize("noise", [(), (b"",), (b"noise",)])
def test_who_opens_a_session_twice_and_waits_is_answered(noise: tuple[bytes, ...]) -> None:
    stage = Stage(command(OPEN, 0, 1), command(OPEN, 0, 1), *noise, SILENCE, command(PLAIN, 1))
    stage.connection._operations[OPEN] = lambda _: Reply()
    assert heard(stage) == [response(OK, 0), response(OK, 0), response(OK, 1)]


def test_of_clients_that_are_killed_in_a_row_the_last_is_answered() -> None:
    opened = command(OPEN, 0, 1)
    stage = Stage(opened, opened, opened, opened, SILENCE, command(PLAIN, 1))
    stage.connection._operations[OPEN] = lambda _: Reply()
    assert heard(stage) == [response(OK, 0), response(OK, 0), response(OK, 1)]


def test_a_client_killed_while_its_command_was_carried_out() -> None:
    stage = Stage(command(PLAIN, 7), command(PLAIN, 9))

    def slow(request: Request) -> Reply:
        if request.transaction_id == 7:
            stage.pipes.deliver(command(PLAIN, 8))
        return Reply()

    stage.connection._operations[PLAIN] = slow
    assert heard(stage) == [response(OK, 8), response(OK, 9)]


def test_a_file_is_closed_where_the_client_was_killed_before_it_was_sent() -> None:
    stage = Stage(command(GET, 7))
    source = FailingSource(9000, pattern(9000))

    def slow(_: Request) -> Reply:
        stage.pipes.deliver(command(PLAIN, 1))
        return Reply(source=source)

    stage.connection._operations[GET] = slow
    assert heard(stage) == [response(OK, 1)]
    assert source.closed


def test_a_late_report_of_the_same_client_costs_nothing() -> None:
    stage = Stage(deaf, command(PLAIN, 4), snatch(command(PLAIN, 5)), listening, b"")
    assert heard(stage) == [response(OK, 4), response(OK, 5)]


def test_noise_while_data_is_sent_ends_nothing() -> None:
    stage = Stage(deaf, command(GET, 1), b"", b"noise", listening, b"")
    stage.content = pattern(50_000)
    assert heard(stage) == [data(GET, stage.content), response(OK)]


def test_a_host_that_takes_nothing_for_long_is_given_up() -> None:
    stage = Stage(deaf, command(GET, 1), SILENCE, command(PLAIN, 2), listening, b"")
    stage.content = pattern(50_000)
    assert heard(stage) == [response(OK, 2)]
    assert "flush 4" in stage.pipes.log


def test_a_host_that_sleeps_is_waited_for() -> None:
    def sleeps(pipes: FakePipes) -> None:
        pipes.suspended = True

    stage = Stage(deaf, sleeps, command(GET, 1), SILENCE, SILENCE, listening, b"")
    stage.content = pattern(50_000)
    assert heard(stage) == [data(GET, stage.content), response(OK)]


# Cancel and reset


@pytest.mark.parametrize(
    "before",
    [
        (),
        (command(GET, 7),),
        (command(SEND, 7),),
        (command(SEND, 7), data(SEND, pattern(9000), 7)[:512]),
        (command(SEND, 7), data(SEND, pattern(9000), 7)[:8704]),
        (command(SEND, 7), data(SEND, pattern(500), 7)),
        (command(PLAIN, 7),),
    ],
    ids=["idle", "download", "no data yet", "header", "reading ahead", "may be whole", "response"],
)
@pytest.mark.parametrize("interrupt", [Cancelled(7), Reset()], ids=["cancel", "reset"])
def test_cancel_in_every_phase(before: tuple[bytes, ...], interrupt: Cancelled | Reset) -> None:
    stage = Stage(deaf, *before, interrupt, listening, command(PLAIN, 8))
    stage.content = pattern(50_000)
    stage.expected = 9000
    assert heard(stage) == [response(OK, 8)]
    assert all(state == "aborted" for state in stage.states)
    assert ("close" in stage.connection.calls[:-1]) == isinstance(interrupt, Reset)


INTERRUPTS: list[Action] = [
    Cancelled(7),
    Reset(),
    Disconnected(),
    lambda p: p.deliver(command(OPEN, 0, 1)),
]
NAMES = ["cancel", "reset", "unplugged", "another client"]


def break_in(stage: Stage, interrupt: Action) -> None:
    if isinstance(interrupt, Interrupt):
        stage.pipes.interrupt = interrupt
    elif callable(interrupt):
        interrupt(stage.pipes)


class Trickle(BytesSource):
    """Gives a byte at a time, as a source on a slow disk may; the host breaks in at the third."""

    def __init__(self, stage: Stage, interrupt: Action) -> None:
        super().__init__(pattern(50_000))
        self.reads = 0
        self._stage, self._interrupt = stage, interrupt

    def read_into(self, buffer: memoryview) -> int:
        self.reads += 1
        if self.reads == 3:
            break_in(self._stage, self._interrupt)
        return super().read_into(buffer[:1])


@pytest.mark.parametrize("interrupt", INTERRUPTS, ids=NAMES)
def test_a_slow_source_does_not_make_the_device_deaf(interrupt: Action) -> None:
    stage = Stage(command(GET, 7), command(PLAIN, 8))
    source = Trickle(stage, interrupt)
    stage.connection._operations |= {GET: lambda _: Reply(source=source), OPEN: lambda _: Reply()}
    stage.run()
    assert source.reads == 3


@pytest.mark.parametrize("interrupt", INTERRUPTS, ids=NAMES)
def test_an_operation_that_takes_long_can_see_that_nobody_waits_for_it(interrupt: Action) -> None:
    stage = Stage(command(PLAIN, 7), command(GET, 8))
    looks = 0

    def slow(_: Request) -> Reply:
        nonlocal looks
        for looks in range(10):
            if looks == 3:
                break_in(stage, interrupt)
            stage.connection.look()
        return Reply()

    stage.connection._operations |= {PLAIN: slow, OPEN: lambda _: Reply()}
    answers = heard(stage)
    assert looks == 3
    assert response(OK, 7) not in answers
    if not isinstance(interrupt, Disconnected):
        assert answers[-1] == response(OK, 8)


@pytest.mark.parametrize(
    ("interrupt", "state"),
    [(Cancelled(7), "aborted"), (Reset(), "aborted"), (Disconnected(), "finished")],
    ids=NAMES[:3],
)
def test_what_is_whole_is_given_up_only_where_the_host_says_so(
    interrupt: Interrupt, state: str
) -> None:
    stage = Stage(command(SEND, 7), data(SEND, b"123", 7), command(PLAIN, 8))

    class Sink(RecordingSink):
        def finish(self) -> Reply:
            stage.pipes.interrupt = interrupt
            stage.connection.heed()
            return super().finish()

    sink = Sink(3)
    stage.connection._operations[SEND] = lambda _: sink
    stage.run()
    assert sink.state == state


@pytest.mark.parametrize("kept", [OperationCode.OPEN_SESSION, OperationCode.GET_DEVICE_INFO])
def test_what_was_said_before_a_reset_is_forgotten_but_not_what_comes_after(kept: int) -> None:
    def reset(pipes: FakePipes) -> None:
        pipes.deliver(command(GET, 7))
        pipes.interrupt = Reset()

    stage = Stage(reset, command(kept, 0, 1))
    stage.connection._operations[kept] = lambda _: Reply()
    assert heard(stage) == [response(OK, 0)]

    def reset_late(pipes: FakePipes) -> None:
        pipes.deliver(command(kept, 0, 1))
        pipes.interrupt = Reset()

    late = Stage(reset_late)
    late.connection._operations[kept] = lambda _: Reply()
    assert heard(late) == [response(OK, 0)]


def recover(pipes: FakePipes) -> None:
    """Reset the device and open a session anew, as a host that has waited too long."""
    pipes.interrupt = Reset()
    pipes.deliver(command(OPEN, 0, 1))


def test_who_resets_and_begins_anew_while_a_command_is_carried_out_is_answered() -> None:
    stage = Stage(command(PLAIN, 7), command(GET, 1))

    def slow(_: Request) -> Reply:
        recover(stage.pipes)
        return Reply()

    stage.connection._operations |= {PLAIN: slow, OPEN: lambda _: Reply()}
    assert heard(stage) == [response(OK, 0), data(GET, b"", 1), response(OK, 1)]


def test_who_resets_and_begins_anew_while_a_file_is_made_durable_is_answered() -> None:
    stage = Stage(command(SEND, 7), data(SEND, pattern(300), 7), command(GET, 1))

    class SlowDisk(RecordingSink):
        def finish(self) -> Reply:
            recover(stage.pipes)
            return super().finish()

    stage.connection._operations |= {SEND: lambda _: SlowDisk(300), OPEN: lambda _: Reply()}
    assert heard(stage) == [response(OK, 0), data(GET, b"", 1), response(OK, 1)]


def test_who_resets_and_begins_anew_while_a_file_is_written_is_answered() -> None:
    stage = Stage(command(SEND, 7), data(SEND, pattern(9000), 7)[:8192], command(GET, 1))

    class SlowDisk(RecordingSink):
        def write(self, data: memoryview) -> None:
            super().write(data)
            if len(self.data) == 500:
                recover(stage.pipes)

    stage.connection._operations |= {SEND: lambda _: SlowDisk(9000), OPEN: lambda _: Reply()}
    assert heard(stage) == [response(OK, 0), data(GET, b"", 1), response(OK, 1)]


def test_what_still_comes_after_a_cancel_is_drained() -> None:
    rest = pattern(9012)
    stage = Stage(command(SEND, 7), rest[:0] + data(SEND, rest, 7)[:4608], Cancelled(7), rest,
                  command(PLAIN, 8))  # fmt: skip
    stage.expected = 20_000
    assert heard(stage) == [response(OK, 8)]


@pytest.mark.parametrize(
    "before",
    [(command(GET, 7),), (command(SEND, 7), data(SEND, pattern(9000), 7)[:8704]), ()],
    ids=["download", "upload", "idle"],
)
def test_unplugged_in_every_phase(before: tuple[bytes, ...]) -> None:
    stage = Stage(deaf, *before, Disconnected())
    stage.content = pattern(50_000)
    stage.expected = 9000
    stage.run()
    assert stage.connection.calls[-1] == "close"
    assert all(state == "aborted" for state in stage.states)
    assert stage.pipes.posted == 0
