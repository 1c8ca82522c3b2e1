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

from appliance.mtp.codes import OperationCode, ResponseCode
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
from appliance.mtp.responder import Connection
from appliance.mtp.transaction import Reply, Request, Sink, Source
from appliance.transports.usb_commands import Malformed, recognise
from appliance.transports.usb_data import fill, receive
from appliance.transports.usb_pipes import (
    BulkPipes,
    Cancelled,
    Disconnected,
    Interrupt,
    Reset,
    Transfer,
)

log = logging.getLogger(__name__)

#: Seconds in which the last answer is to be reported as collected once the host speaks again.
GRACE = 0.02
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
        self._last_id = -2
        self._early = False
        self._answered = False
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
                self._part_from_old_client()

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
                self._early = transfer.uncollected > 0
            elif not self._pipes.posted:
                self._listen()
            elif not self._pipes.wait(STALLED if self._pipes.sending else None):
                self._forsake()
        if self._early or self._pipes.sending:
            self._let_last_answer_go(self._next)
        elif self._next.code == OperationCode.OPEN_SESSION:
            self._pipes.flush()  # a controller may call sent what lies in its FIFO
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

    def _let_last_answer_go(self, command: Request) -> None:
        """Deal with a command that came before the last answer was reported as collected.

        The next one of the same client: the report is late. Any other: its client is gone, and a
        new one is about to read what was meant for the old one. So what is there is taken back at
        once. Where the new one was faster and opens its session by the same transaction id, it has
        taken the old response for its own: another one would put it out of step for good.
        """
        self._early = False
        deadline = time.monotonic() + GRACE
        follows = command.transaction_id == self._last_id + 1
        while follows and self._pipes.sending and time.monotonic() < deadline:
            self._pipes.wait(GRACE / 10)
        if follows and not self._pipes.sending:
            return
        taken_back = self._pipes.flush()
        log.info("ABANDON %s: %d requests were not collected", self._connection.peer, taken_back)
        self._part_from_old_client()
        same = (OperationCode.OPEN_SESSION, self._last_id)
        self._answered = not taken_back and (command.code, command.transaction_id) == same

    def _part_from_old_client(self) -> None:
        """Close the session of a client that was killed where the next one opens its own."""
        if self._next is not None and self._next.code == OperationCode.OPEN_SESSION:
            self._connection.close()

    def _forsake(self) -> None:
        """Take back an answer that nobody has collected for a long time."""
        if self._pipes.sending and not self._pipes.suspended:
            log.info("ABANDON %s: no packet for %d s", self._connection.peer, STALLED)
            self._pipes.flush()

    # Transactions

    def _transact(self, request: Request) -> None:
        self._pipes.begin(request.transaction_id)
        self._last_id = request.transaction_id
        if self._answered:
            self._execute_silently(request)
        elif isinstance(request, Malformed):
            log.info("REFUSED %s %s: malformed", self._connection.peer, request.code)
            self._respond(request, Reply(ResponseCode.INVALID_PARAMETER))
        else:
            self._execute(request)

    def _execute_silently(self, request: Request) -> None:
        """Open a session whose response the host has already."""
        log.info("SILENT %s %s", self._connection.peer, request.code)
        self._answered = False
        self._connection.execute(request)
        self._connection.complete()

    def _execute(self, request: Request) -> None:
        answer = self._connection.execute(request)
        if isinstance(answer, Reply):
            self._look_up()
            self._conclude(request, self._send(request, answer))
        elif self._receive(request, answer):
            self._pipes.check()
            reply = answer.finish()
            self._look_up()
            self._conclude(request, reply)
        else:
            self._connection.abandon()
            self._respond(request, Reply(ResponseCode.INCOMPLETE_TRANSFER))

    def _look_up(self) -> None:
        """Notice, before anything goes to the host, that it has given up meanwhile."""
        self._pipes.look()
        self._overhear()

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
        try:
            progress = receive(self._pipes, phase, sink)
        except ContainerError as error:
            log.info("REFUSED %s: %s", self._connection.peer, error)
            progress = Progress.TORN
        if progress is Progress.SUPERSEDED:
            raise _GivenUp(phase.command)
        if progress is Progress.TORN:
            log.info("TORN %s: %d bytes came", self._connection.peer, phase.received)
        self._listen()
        return progress is Progress.WHOLE
