# SPDX-License-Identifier: GPL-3.0-or-later
"""One initiator: its command connection, its event connection, and what both know of it."""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from appliance.mtp.ptpip_packets import FailReason, PacketError
from appliance.mtp.responder import Connection
from appliance.transports.event_queue import AudibleQueue
from appliance.transports.ptpip_cancel import Cancellation
from appliance.transports.ptpip_channel import Channel, PeerGoneError
from appliance.transports.ptpip_commands import CommandConnection
from appliance.transports.ptpip_events import EventConnection

log = logging.getLogger(__name__)


class RefusedError(Exception):
    """A connection that is not served, and the reason that it is told."""

    def __init__(self, reason: FailReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@contextmanager
def _greeted(channel: Channel, greeting: bytes) -> Iterator[None]:
    """Greet; from then on a packet that may not come is the end, without a refusal."""
    channel.send(greeting)
    channel.limit(None)
    try:
        yield
    except PacketError as error:
        raise PeerGoneError(f"spoke out of turn: {error}") from None


def _bells(connection: Connection) -> tuple[Cancellation, AudibleQueue]:
    """Make what wakes a connection's threads; RefusedError where no descriptors are left."""
    with ExitStack() as made:
        try:
            cancellation = Cancellation()
            made.callback(cancellation.close)
            queue = AudibleQueue(connection)
        except OSError as error:
            raise RefusedError(FailReason.BUSY, error.strerror or str(error)) from None
        made.pop_all()
    return cancellation, queue


class Initiator:
    """An initiator from its command connection's first packet to its end.

    When one of its connections ends, the other one does too.
    """

    def __init__(self, number: int, host: str, channel: Channel, connection: Connection) -> None:
        self.number = number
        self.host = host
        self.connection = connection
        self._channel = channel
        self._cancellation, self._queue = _bells(connection)
        connection.listen(self._queue.put)
        self._event_channel: Channel | None = None
        self._over = False
        self._changed = threading.Condition()

    def serve_commands(self, greeting: bytes) -> None:
        """Greet and serve the command connection until it ends, which is a PeerGoneError."""
        with _greeted(self._channel, greeting):
            CommandConnection(self._channel, self.connection, self._cancellation).serve()

    def serve_events(self, channel: Channel, greeting: bytes) -> None:
        """Greet and serve an event connection until it ends, which is a PeerGoneError."""
        with self._attached(channel), _greeted(channel, greeting):
            EventConnection(channel, self._queue, self._cancellation.ask).serve()

    def end(self) -> None:
        """End the session and the event connection; the last thing that the command thread does."""
        self.connection.listen(None)
        self.connection.close()
        with self._changed:
            self._over = True
            if self._event_channel is not None:
                self._event_channel.shut_down()
            self._changed.wait_for(lambda: self._event_channel is None)
        self._queue.close()
        self._cancellation.close()

    @contextmanager
    def _attached(self, channel: Channel) -> Iterator[None]:
        with self._changed:
            if self._over or self._event_channel is not None:
                raise RefusedError(FailReason.REJECTED_INITIATOR, "a second event connection")
            self._event_channel = channel
        try:
            yield
        finally:
            self._channel.shut_down()
            with self._changed:
                self._event_channel = None
                self._changed.notify_all()
