# SPDX-License-Identifier: GPL-3.0-or-later
"""The bulk-only conversation: commands, data and responses over two bulk endpoints.

One worker thread runs it from top to bottom: take a command, move its data, respond. Whatever
breaks in (a cancel, a reset, an unplugged cable) comes as an exception out of the pipes' waits. The
pipes are FunctionFS endpoints, or those of an emulated device.

One read of a packet is always posted, also while data goes to the host: a command that arrives then
is from a new client, for the old one was killed. What the old one left in the pipe is taken back.

Spec: USB Still Image Capture Device 1.0 section 7, MTP 1.1 appendix H.
"""

import logging
import time

from appliance.mtp.codes import ResponseCode
from appliance.mtp.containers import (
    HEADER_SIZE,
    ContainerError,
    DataPhase,
    Progress,
    encode_data_header,
    encode_response,
    last_packet,
    needs_zero_packet,
)
from appliance.mtp.errors import MtpError
from appliance.mtp.responder import Connection
from appliance.mtp.transaction import Reply, Request, Sink, Source
from appliance.transports.usb_commands import Malformed, recognise
from appliance.transports.usb_pipes import (
    BulkPipes,
    Cancelled,
    Disconnected,
    Interrupt,
    Reset,
    Transfer,
)

log = logging.getLogger(__name__)

#: Seconds of silence after which data that may be whole is whole, although no short packet came.
SETTLE = 0.1
#: Seconds that the last requests to the host have to be reported as sent once it speaks again.
GRACE = 0.02
#: The last data, a zero-length packet and the response; more than these cannot be unreported.
UNREPORTED = 3
#: Seconds without a packet to the host after which the program that asked is taken for dead.
STALLED = 60.0


class _GivenUp(Exception):  # noqa: N818 - no error: the host's wish
    """The host no longer waits for this transaction; perhaps it sent another command instead."""

    def __init__(self, command: Request | None = None) -> None:
        super().__init__()
        self.command = command


class Conversation:
    """Serves one host, connection after connection, until its pipes are closed."""

    def __init__(self, pipes: BulkPipes, connection: Connection) -> None:
        self._pipes = pipes
        self._connection = connection
        self._next: Request | None = None
        self._noise = False

    def run(self) -> None:
        """Serve; the body of the worker thread."""
        while self._pipes.attach():
            log.info("ATTACHED %s, packets of %d", self._connection.peer, self._pipes.packet_size)
            try:
                self._serve()
            except Disconnected:
                log.info("DETACHED %s", self._connection.peer)
            finally:
                self._next = None
                self._connection.close()
                self._pipes.detach()

    def _serve(self) -> None:
        self._listen()
        while True:
            try:
                self._transact_safely(self._next_command())
            except Cancelled as cancelled:
                self._clean_up(str(cancelled))
            except Reset:
                self._connection.close()
                self._clean_up("reset by the host")
            except _GivenUp as given_up:
                self._clean_up("given up by the host")
                self._next = given_up.command

    def _transact_safely(self, request: Request) -> None:
        """Answer a command even where a defect of this program is in the way."""
        try:
            self._transact(request)
        except (Interrupt, _GivenUp):
            raise
        except Exception:
            log.exception("DEFECT %s %s", self._connection.peer, request.code)
            self._clean_up("a defect")
            self._respond(request, Reply(ResponseCode.GENERAL_ERROR))

    def _clean_up(self, why: str) -> None:
        """Forget the transaction under way, in the store and in the pipes."""
        log.info("ABANDON %s: %s", self._connection.peer, why)
        self._connection.abandon()
        self._pipes.flush()
        self._listen()

    # Commands

    def _listen(self) -> None:
        """See to it that exactly the read for a command is under way."""
        size = self._pipes.packet_size
        if self._pipes.posted != size:
            self._pipes.withdraw()
            self._pipes.post(size)

    def _next_command(self) -> Request:
        while self._next is None:
            transfer = self._pipes.take()
            if transfer is not None:
                self._next = self._heard(transfer)
            elif not self._pipes.posted:
                self._listen()
            elif not self._pipes.wait(STALLED if self._pipes.sending else None):
                self._forsake()
        self._let_last_response_go()
        command, self._next = self._next, None
        return command

    def _heard(self, transfer: Transfer) -> Request | None:
        """Find the command in a transfer; other bytes are nobody's and are dropped.

        They are read in large pieces, for there may be many: the rest of a data phase that was
        cancelled, or the data of an operation that has none.
        """
        size = self._pipes.packet_size
        full = len(transfer.data) == transfer.asked
        if not self._pipes.posted:
            self._pipes.post(self._pipes.largest if full else size)
        command = recognise(last_packet(transfer.data, size))
        if command is None and transfer.data and not self._noise:
            log.info("DRAIN %s: %d bytes or more", self._connection.peer, len(transfer.data))
        self._noise = full
        return command

    def _let_last_response_go(self) -> None:
        """Take back what a client that is gone did not collect before this command."""
        deadline = time.monotonic() + GRACE
        while 0 < self._pipes.sending <= UNREPORTED and time.monotonic() < deadline:
            self._pipes.wait(GRACE / 10)
        if self._pipes.sending:
            log.info("ABANDON %s: the last answer was not collected", self._connection.peer)
            self._pipes.flush()

    def _forsake(self) -> None:
        """Take back an answer that nobody has collected for a long time."""
        if self._pipes.sending and not self._pipes.suspended:
            log.info("ABANDON %s: no packet for %d s", self._connection.peer, STALLED)
            self._pipes.flush()

    # Transactions

    def _transact(self, request: Request) -> None:
        self._pipes.begin(request.transaction_id)
        if isinstance(request, Malformed):
            log.info("REFUSED %s %s: malformed", self._connection.peer, request.code)
            self._respond(request, Reply(ResponseCode.INVALID_PARAMETER))
            return
        answer = self._connection.execute(request)
        if isinstance(answer, Reply):
            self._conclude(request, self._send(request, answer))
        elif self._receive(request, answer):
            self._conclude(request, self._finish(answer))
        else:
            self._connection.abandon()
            self._respond(request, Reply(ResponseCode.INCOMPLETE_TRANSFER))

    def _finish(self, sink: Sink) -> Reply:
        self._pipes.check()
        return sink.finish()

    def _conclude(self, request: Request, reply: Reply) -> None:
        self._respond(request, reply)
        self._connection.complete()

    def _respond(self, request: Request, reply: Reply) -> None:
        self._pipes.check()
        self._pipes.send_bytes(encode_response(request, reply))

    # Data to the host

    def _send(self, request: Request, reply: Reply) -> Reply:
        """Send the data phase, if there is one; gives the reply that is true after it."""
        source = reply.source
        if source is None:
            return reply
        try:
            return self._send_all(request, source) or reply
        finally:
            source.close()

    def _send_all(self, request: Request, source: Source) -> Reply | None:
        buffer = self._buffer()
        buffer[:HEADER_SIZE] = encode_data_header(request, source.length)
        filled, total, rest = HEADER_SIZE, 0, source.length
        while True:
            count, failure = fill(source, buffer[filled : filled + rest])
            filled += count
            total += filled
            rest -= count
            if failure or not rest:
                break
            self._pipes.send(filled)
            buffer, filled = self._buffer(), 0
        if filled:
            self._pipes.send(filled, last=True)
        if needs_zero_packet(total, self._pipes.packet_size):
            self._pipes.send_bytes(b"")
        if failure:
            log.info("SHORT %s: %d bytes missing, %s", self._connection.peer, rest, failure.code)
        return failure

    def _buffer(self) -> memoryview:
        """Wait for a free buffer; meanwhile the host may say that it wants no more."""
        self._pipes.check()
        self._overhear()
        while (buffer := self._pipes.buffer()) is None:
            if not self._pipes.wait(STALLED) and not self._pipes.suspended:
                raise _GivenUp
            self._overhear()
        return buffer

    def _overhear(self) -> None:
        while (transfer := self._pipes.take()) is not None:
            command = self._heard(transfer)
            if command is not None:
                raise _GivenUp(command)

    # Data from the host

    def _receive(self, request: Request, sink: Sink) -> bool:
        """Take the data phase; whether it is whole."""
        phase = DataPhase(request, sink.expected, self._pipes.packet_size)
        progress = Progress.MORE
        while progress in {Progress.MORE, Progress.PAUSED}:
            progress = self._receive_part(phase, progress, sink)
        if progress is Progress.SUPERSEDED:
            raise _GivenUp(phase.command)
        if progress is Progress.TORN:
            log.info("TORN %s: %d bytes came", self._connection.peer, phase.received)
        self._listen()
        return progress is Progress.WHOLE

    def _receive_part(self, phase: DataPhase, progress: Progress, sink: Sink) -> Progress:
        self._read_ahead(phase)
        transfer = self._pipes.take()
        if transfer is None:
            heard = self._pipes.wait(SETTLE if progress is Progress.PAUSED else None)
            return progress if heard else phase.settle()
        try:
            payload, progress = phase.feed(transfer.data, transfer.asked)
        except ContainerError as error:
            log.info("REFUSED %s: %s", self._connection.peer, error)
            return Progress.TORN
        if progress is Progress.MORE:
            self._read_ahead(phase)
        if payload:
            sink.write(payload)
        return progress

    def _read_ahead(self, phase: DataPhase) -> None:
        """Post reads up to where the data may be over, so that disk and bus work together."""
        while self._pipes.can_post:
            size = phase.next_read(self._pipes.largest, self._pipes.posted)
            if not size:
                return
            self._pipes.post(size)


def fill(source: Source, view: memoryview) -> tuple[int, Reply | None]:
    """Fill `view` from a source; how many bytes came, and what to reply where not all did."""
    filled = 0
    try:
        while filled < len(view):
            count = source.read_into(view[filled:])
            if not count:
                return filled, Reply(ResponseCode.INCOMPLETE_TRANSFER)
            filled += count
    except MtpError as error:
        return filled, Reply(error.code, error.parameters)
    return filled, None
