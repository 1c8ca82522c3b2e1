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
from contextlib import suppress

from appliance.mtp.codes import ResponseCode
from appliance.mtp.containers import (
    HEADER_SIZE,
    ContainerError,
    DataPhase,
    Progress,
    encode_data_header,
    encode_response,
    needs_zero_packet,
)
from appliance.mtp.responder import Connection
from appliance.mtp.transaction import Reply, Request, Sink, Source
from appliance.transports.usb_commands import STALLED, Commands, GivenUp, Malformed
from appliance.transports.usb_data import fill, receive
from appliance.transports.usb_pipes import (
    BulkPipes,
    Cancelled,
    Disconnected,
    Interrupt,
    Reset,
)

log = logging.getLogger(__name__)


class Conversation:
    """Serves one host, connection after connection, until its pipes are closed."""

    def __init__(self, pipes: BulkPipes, connection: Connection) -> None:
        self._pipes = pipes
        self._connection = connection
        self._commands = Commands(pipes, connection)
        connection.attend(self._look, self._heed)

    def run(self) -> None:
        """Serve; the body of the worker thread."""
        while self._pipes.attach():
            log.info("ATTACHED %s, packets of %d", self._connection.peer, self._pipes.packet_size)
            try:
                self._serve()
            except Disconnected:
                log.info("DETACHED %s", self._connection.peer)
            finally:
                self._commands.clear()
                self._connection.close()
                self._pipes.detach()

    def _serve(self) -> None:
        self._commands.listen()
        while True:
            try:
                self._transact_safely(self._commands.next())
            except Cancelled as cancelled:
                self._clean_up(str(cancelled))
            except Reset:
                self._connection.close()
                self._clean_up("reset by the host")
                self._commands.forget()
            except GivenUp as given_up:
                self._clean_up("given up by the host")
                self._commands.push_back(given_up.command)

    def _transact_safely(self, request: Request) -> None:
        """Answer a command even where a defect of this program is in the way."""
        try:
            self._transact(request)
        except (Interrupt, GivenUp):
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
        self._commands.listen()

    def _look(self) -> None:
        """Raise what has come from the host while something takes long."""
        self._pipes.check()
        self._commands.look_up()

    def _heed(self) -> None:
        """Raise what the host has said on endpoint 0; that it is unplugged, it has not said."""
        with suppress(Disconnected):
            self._pipes.check()

    # Transactions

    def _transact(self, request: Request) -> None:
        self._pipes.begin(request.transaction_id)
        if self._commands.take_answered(request):
            self._execute_silently(request)
        elif isinstance(request, Malformed):
            log.info("REFUSED %s %s: malformed", self._connection.peer, request.code)
            self._respond(request, Reply(ResponseCode.INVALID_PARAMETER))
        else:
            self._execute(request)

    def _execute_silently(self, request: Request) -> None:
        """Open a session whose response the host has already."""
        log.info("SILENT %s %s", self._connection.peer, request.code)
        self._connection.execute(request)
        self._connection.complete()

    def _execute(self, request: Request) -> None:
        answer = self._connection.execute(request)
        if isinstance(answer, Reply):
            self._conclude(request, self._send(request, answer))
        elif self._receive(request, answer):
            self._pipes.check()
            reply = answer.finish()
            self._commands.look_up()
            self._conclude(request, reply)
        else:
            self._connection.abandon()
            self._respond(request, Reply(ResponseCode.INCOMPLETE_TRANSFER))

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
        try:
            self._commands.look_up()
            return (self._send_all(request, source) if source is not None else None) or reply
        finally:
            if source is not None:
                source.close()

    def _send_all(self, request: Request, source: Source) -> Reply | None:
        buffer = self._buffer()
        buffer[:HEADER_SIZE] = encode_data_header(request, source.length)
        filled, total, rest, look = HEADER_SIZE, 0, source.length, self._look
        while True:
            count, failure = fill(source, buffer[filled : filled + rest], look)
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
        self._commands.overhear()
        while (buffer := self._pipes.buffer()) is None:
            if not self._pipes.wait(STALLED) and not self._pipes.suspended:
                raise GivenUp
            self._commands.overhear()
        return buffer

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
            raise GivenUp(phase.command)
        if progress is Progress.TORN:
            log.info("TORN %s: %d bytes came", self._connection.peer, phase.received)
        self._commands.listen()
        return progress is Progress.WHOLE
