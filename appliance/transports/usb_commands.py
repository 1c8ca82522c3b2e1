# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands: waiting for the next, telling it from other bytes, and who it comes from."""

import logging
import time

from appliance.mtp.codes import OperationCode
from appliance.mtp.containers import (
    HEADER_SIZE,
    ContainerError,
    ContainerType,
    decode_command,
    decode_header,
    last_packet,
)
from appliance.mtp.responder import Connection
from appliance.mtp.transaction import Request
from appliance.transports.usb_pipes import BulkPipes, Transfer

log = logging.getLogger(__name__)

#: Seconds in which the last answer is to be reported as collected once the host speaks again.
GRACE = 0.02
#: Seconds in which a client that has an answer already goes on with its next command.
HELD_BACK = 0.1
#: Seconds without a packet to the host after which the program that asked is taken for dead.
STALLED = 60.0


class GivenUp(Exception):  # noqa: N818 - no error: the host's wish
    """The host no longer waits for this transaction; perhaps it sent another command instead."""

    def __init__(self, command: Request | None = None) -> None:
        super().__init__()
        self.command = command


class Malformed(Request):
    """A command whose header can be read, but not the rest."""

    __slots__ = ()


class Commands:
    """Waits for commands, and knows which of them come from a client that is new.

    One read of a packet is always posted, also while data goes to the host.
    """

    def __init__(self, pipes: BulkPipes, connection: Connection) -> None:
        self._pipes = pipes
        self._connection = connection
        self._next: Request | None = None
        self._after: Request | None = None
        self.clear()

    def clear(self) -> None:
        """Begin anew, for the connection is over."""
        self._next = self._after = None
        self._last_id = -2
        self._early = self._answered = self._noise = False

    def push_back(self, command: Request | None) -> None:
        """Let `next` give a command that came in the middle of the last transaction."""
        self._next = command
        self._part_from_old_client()

    def take_answered(self, request: Request) -> bool:
        """Begin a transaction; whether the host has taken an old response for its answer."""
        self._last_id = request.transaction_id
        answered, self._answered = self._answered, False
        return answered

    def forget(self) -> None:
        """Drop what was said before a reset; a client begins anew by one of two commands."""
        self._pipes.look()
        said = [self._next] if self._next is not None else []
        while (transfer := self._pipes.take()) is not None:
            command = self._heard(transfer)
            said += [command] if command is not None else []
        first = {OperationCode.OPEN_SESSION, OperationCode.GET_DEVICE_INFO}
        self._next = next((each for each in reversed(said) if each.code in first), None)

    def listen(self) -> None:
        """See to it that exactly the read for a command is under way."""
        size = self._pipes.packet_size
        if self._pipes.posted != size:
            self._pipes.withdraw()
            self._pipes.post(size)

    def next(self) -> Request:
        """Wait for a command; what an old client has left in the pipe is gone when it comes."""
        while self._next is None:
            transfer = self._pipes.take()
            if transfer is not None:
                self._next = self._heard(transfer)
                self._early = transfer.uncollected > 0
            elif not self._pipes.posted:
                self.listen()
            elif not self._pipes.wait(STALLED if self._pipes.sending else None):
                self._forsake()
        self._pipes.check()  # while a reset that came first can still find the command: `forget`
        if self._early or self._pipes.sending:
            self._let_last_answer_go(self._next)
        elif self._next.code == OperationCode.OPEN_SESSION:
            self._pipes.flush()  # a controller may call sent what lies in its FIFO
            if self._connection.session_open:
                self._hold_back_an_answer()
        command, self._next, self._after = self._next, self._after, None
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

    def _hold_back_an_answer(self) -> None:
        """See what a client does without an answer, where the one before it closed no session.

        A controller that calls sent what lies in its FIFO, and cannot empty it, gives the new
        client an old response to read: that of an old OpenSession is just like its own. So it goes
        on to its next command, and another response would put it out of step for good. Who has
        found nothing to read waits, and is answered a little later.
        """
        deadline = time.monotonic() + HELD_BACK
        while self._after is None and (left := deadline - time.monotonic()) > 0:
            transfer = self._pipes.take()
            if transfer is not None:
                self._after = self._heard(transfer)
            elif not self._pipes.wait(left):
                return
        if self._after is not None:
            self._answered = True
            self._part_from_old_client()

    def _part_from_old_client(self) -> None:
        """Close the session of a client that was killed where the next one opens its own."""
        if self._next is not None and self._next.code == OperationCode.OPEN_SESSION:
            self._connection.close()

    def _forsake(self) -> None:
        """Take back an answer that nobody has collected for a long time."""
        if self._pipes.sending and not self._pipes.suspended:
            log.info("ABANDON %s: no packet for %d s", self._connection.peer, STALLED)
            self._pipes.flush()

    def look_up(self) -> None:
        """Notice, before anything goes to the host, that it has given up meanwhile."""
        self._pipes.look()
        self.overhear()

    def overhear(self) -> None:
        """Raise GivenUp where a command has been seen; other bytes are dropped."""
        while (transfer := self._pipes.take()) is not None:
            command = self._heard(transfer)
            if command is not None:
                raise GivenUp(command)


def recognise(packet: memoryview) -> Request | None:
    """Read a command, well-formed or not; None where the bytes are none."""
    try:
        return decode_command(packet)
    except ContainerError:
        pass
    if len(packet) < HEADER_SIZE:
        return None
    header = decode_header(packet)
    if header.type != ContainerType.COMMAND:
        return None
    return Malformed(OperationCode(header.code), header.transaction_id)
