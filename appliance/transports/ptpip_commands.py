# SPDX-License-Identifier: GPL-3.0-or-later
"""The command connection: operation requests, their data and their responses, one by one.

A transaction is cancelled by a Cancel packet on this connection or on the event connection, or on
both. Data to the initiator then ends after the packet that is being sent; data from it is dropped
until its end.

Spec: CIPA DC-005 (PTP-IP) section 2.3.
"""

import logging
import select

from appliance.mtp.codes import SENDS_DATA, ResponseCode
from appliance.mtp.ptpip_packets import (
    OperationRequest,
    PacketError,
    PacketType,
    decode_operation,
    decode_start_data,
    decode_transaction_id,
    encode,
    encode_data_prefix,
    encode_response,
    encode_start_data,
)
from appliance.mtp.responder import Connection
from appliance.mtp.transaction import Reply, Request, Sink, Source
from appliance.transports.ptpip_cancel import Cancellation, CancelledError
from appliance.transports.ptpip_channel import Channel, Head, PeerGoneError
from appliance.transports.ptpip_data import SMALL, choose_outlet

log = logging.getLogger(__name__)

#: Seconds of silence after which an initiator that has cancelled sends no more data.
SETTLE = 0.5
#: Seconds in which data may still begin where none was announced.
BEGINS_IN = 0.1

_DATA_TYPES = {PacketType.START_DATA, PacketType.DATA, PacketType.END_DATA}
_ASIDE_TYPES = {PacketType.CANCEL, PacketType.PROBE_REQUEST, PacketType.PROBE_RESPONSE}
#: After one of these more may come of data that was cancelled.
_MORE_TYPES = {PacketType.START_DATA, PacketType.DATA, PacketType.PROBE_REQUEST}


class Drain:
    """Takes data that nobody wants; the reply stands already."""

    expected: int | None = None

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def write(self, data: memoryview) -> None:
        """Drop data."""

    def finish(self) -> Reply:
        """Give the reply."""
        return self._reply

    def abort(self) -> None:
        """Nothing to forget."""


class CommandConnection:
    """Serves one command connection until it ends, which is a PeerGoneError or a PacketError."""

    def __init__(
        self, channel: Channel, connection: Connection, cancellation: Cancellation
    ) -> None:
        self._channel = channel
        self._connection = connection
        self._cancellation = cancellation
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._poll.register(cancellation, select.POLLIN)
        connection.attend(self._look_aside, cancellation.check)

    def serve(self) -> None:
        """Serve."""
        while True:
            head = self._channel.head()
            if head.type == PacketType.OPERATION_REQUEST:
                self._transact(decode_operation(self._channel.payload()))
            elif head.type in _DATA_TYPES:
                log.debug("DRAIN %s: %d bytes", self._connection.peer, head.size)
                self._channel.skip()
            else:
                self._aside(head)

    def _aside(self, head: Head) -> None:
        """Take a packet that may come at any time."""
        payload = self._channel.payload()
        if head.type == PacketType.CANCEL:
            self._cancellation.ask(decode_transaction_id(payload))
        elif head.type == PacketType.PROBE_REQUEST:
            self._channel.send(encode(PacketType.PROBE_RESPONSE))
        elif head.type != PacketType.PROBE_RESPONSE:
            raise PacketError(f"packet of type {head.type} on the command connection")

    def _transact(self, operation: OperationRequest) -> None:
        request = operation.request
        self._cancellation.begin(request.transaction_id)
        try:
            answer = self._execute(operation)
            if isinstance(answer, Reply):
                reply = self._give(request, answer)
            else:
                reply = self._take(request, answer)
            self._channel.send(encode_response(request, reply))
        finally:
            self._cancellation.end()
        if self._connection.busy:
            self._connection.complete()

    def _execute(self, operation: OperationRequest) -> Reply | Sink:
        """Run an operation; also where it is malformed or meets a defect there is an answer."""
        peer, request = self._connection.peer, operation.request
        if operation.complaint:
            log.info("REFUSED %s %s: %s", peer, request.code.name, operation.complaint)
            return _refuse(operation, ResponseCode.INVALID_PARAMETER)
        try:
            return self._connection.execute(request, sends_data=operation.sends_data)
        except CancelledError:
            return self._abandon(request, ResponseCode.TRANSACTION_CANCELLED, "cancelled")
        except (PeerGoneError, PacketError):
            raise
        except Exception:
            log.exception("DEFECT %s %s", peer, request.code.name)
            self._connection.abandon()
            return _refuse(operation, ResponseCode.GENERAL_ERROR)

    def _abandon(self, request: Request, code: ResponseCode, why: str) -> Reply:
        log.info("ABANDON %s %s: %s", self._connection.peer, request.code.name, why)
        self._connection.abandon()
        return Reply(code)

    # Data to the initiator

    def _give(self, request: Request, reply: Reply) -> Reply:
        """Send the data phase, if there is one; the reply that is true after it."""
        source = reply.source
        if source is None:
            return reply
        try:
            return self._send_data(request, source) or reply
        except CancelledError:
            self._channel.put(encode_data_prefix(PacketType.END_DATA, request, 0))
            return self._abandon(request, ResponseCode.TRANSACTION_CANCELLED, "cancelled")
        finally:
            source.close()

    def _send_data(self, request: Request, source: Source) -> Reply | None:
        """Send the data phase; None, or what to reply where the source ended early."""
        self._channel.put(encode_start_data(request, source.length))
        if source.length > SMALL:
            self._channel.flush()
        outlet = choose_outlet(source, self._channel, self._look_aside)
        rest, whole, last = source.length, True, False
        while whole and not last:
            if rest > SMALL:
                self._look_aside()
            wanted = min(rest, outlet.piece_size)
            count = outlet.prepare(wanted)
            rest -= count
            last = count < wanted or not rest
            kind = PacketType.END_DATA if last else PacketType.DATA
            self._channel.put(encode_data_prefix(kind, request, count))
            whole = outlet.send(count)
        if not last:
            self._channel.put(encode_data_prefix(PacketType.END_DATA, request, 0))
        if whole and not rest:
            return None
        log.info("SHORT %s: %s", self._connection.peer, outlet.failure.code.name)
        return outlet.failure

    def _look_aside(self) -> None:
        """Take what the initiator says meanwhile; its next request waits."""
        self._cancellation.check()
        while self._channel.ready():
            head = self._channel.head()
            if head.type not in _ASIDE_TYPES:
                return
            self._aside(head)
            self._cancellation.check()

    # Data from the initiator

    def _take(self, request: Request, sink: Sink) -> Reply:
        """Receive the data phase; the reply to it."""
        is_over = False
        try:
            whole = self._receive(request, sink)
            is_over = True
            self._cancellation.check()
            if whole:
                return sink.finish()
        except CancelledError as cancelled:
            reply = self._abandon(request, ResponseCode.TRANSACTION_CANCELLED, "cancelled")
            if not (is_over or cancelled.data_over):
                self._drain()
            return reply
        return self._abandon(request, ResponseCode.INCOMPLETE_TRANSFER, "ended early")

    def _receive(self, request: Request, sink: Sink) -> bool:
        """Move the data into the sink; whether all of it came."""
        self._await(request, {PacketType.START_DATA})
        transaction_id, total = decode_start_data(self._channel.payload())
        _check(request, transaction_id)
        if total == 0 and not self._begins():
            return True
        received, kind = 0, PacketType.START_DATA
        while kind != PacketType.END_DATA:
            kind = self._await(request, {PacketType.DATA, PacketType.END_DATA})
            transaction_id, pieces = self._channel.data()
            _check(request, transaction_id)
            for piece in pieces:
                sink.write(piece)
                received += len(piece)
        return is_whole(received, total)

    def _begins(self) -> bool:
        """Whether there is data although none was announced.

        libgphoto2 sends no End Data where it sends none; and announces modulo 2^32, so 4 GiB as 0.
        """
        self._channel.acknowledge()
        while self._channel.ready(BEGINS_IN):
            head = self._channel.head()
            if head.type in _DATA_TYPES:
                return True
            self._aside(head)
            self._cancellation.check(data_over=head.type == PacketType.CANCEL)
        return False

    def _await(self, request: Request, kinds: set[PacketType]) -> PacketType:
        """Wait for a packet of one of these types; which one came."""
        while True:
            self._channel.acknowledge()
            if self._cancellation.fileno() in dict(self._poll.poll()):
                self._cancellation.check()
            head = self._channel.head()
            if head.type in kinds:
                return PacketType(head.type)
            self._aside(head)
            self._cancellation.check(data_over=head.type == PacketType.CANCEL)

    def _drain(self) -> None:
        """Drop what still comes of cancelled data: up to its end, a Cancel, or a silence."""
        kind: int = PacketType.DATA
        while kind in _MORE_TYPES and self._channel.ready(SETTLE):
            head = self._channel.head()
            kind = head.type
            if kind in _DATA_TYPES:
                self._channel.skip()
            elif kind in _ASIDE_TYPES:
                self._aside(head)


def is_whole(received: int, total: int | None) -> bool:
    """Whether so many bytes are all that was announced.

    libgphoto2 announces the size modulo 2^32.
    """
    if total is None or received == total:
        return True
    return total < 1 << 32 <= received and (received - total) % (1 << 32) == 0


def _check(request: Request, transaction_id: int) -> None:
    if transaction_id != request.transaction_id:
        raise PacketError(f"data of transaction {transaction_id} in {request.transaction_id}")


def _refuse(operation: OperationRequest, code: ResponseCode) -> Reply | Sink:
    sends_data = operation.sends_data
    if sends_data is None:
        sends_data = operation.request.code in SENDS_DATA
    return Drain(Reply(code)) if sends_data else Reply(code)
