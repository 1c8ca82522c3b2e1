# SPDX-License-Identifier: GPL-3.0-or-later
"""An initiator's event connection: events to it, cancels and probes from it.

Events wait in a bounded queue, so that an initiator that does not read them is nobody's problem
but its own: it loses the oldest. Whether it is there at all is known by its other connection.

Spec: CIPA DC-005 (PTP-IP) section 2.3.
"""

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from appliance.mtp.ptpip_packets import (
    PacketError,
    PacketType,
    decode_transaction_id,
    encode,
    encode_event,
)
from appliance.mtp.transaction import Event
from appliance.transports.ptpip_channel import Channel

log = logging.getLogger(__name__)

#: Events that wait for one initiator; as many come at once when a full folder is deleted.
QUEUE_SIZE = 4096
_MAX_UNSENT = 1 << 16


class EventQueue:
    """What an initiator has not been told yet. `put` is for any thread and never waits."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._packets: deque[bytes] = deque(maxlen=QUEUE_SIZE)
        self._full = False
        self._lock = threading.Lock()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Give a descriptor that can be read when something was put in."""
        return self._bell

    def put(self, event: Event) -> None:
        """Add an event; where there is no room, the oldest one goes."""
        packet = encode_event(event.code, event.transaction_id, event.parameters)
        with self._lock:
            if self._bell < 0:
                return
            if len(self._packets) == QUEUE_SIZE and not self._full:
                self._full = True
                log.warning("LOST events for %s, which does not read them", self._peer)
            self._packets.append(packet)
            os.eventfd_write(self._bell, 1)

    def take(self) -> bytes:
        """Take all events, as packets one after the other."""
        with self._lock:
            data = b"".join(self._packets)
            self._packets.clear()
            self._full = False
        return data

    def quiet(self) -> None:
        """Let the descriptor wait for the next `put`."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)

    def close(self) -> None:
        """Take no more events."""
        with self._lock:
            bell, self._bell = self._bell, -1
            os.close(bell)


class EventConnection:
    """Serves one event connection until it ends, which is a PeerGoneError or a PacketError."""

    def __init__(self, channel: Channel, queue: EventQueue, cancel: Callable[[int], None]) -> None:
        self._channel = channel
        self._queue = queue
        self._cancel = cancel
        self._unsent = b""
        self._poll = select.poll()
        self._poll.register(queue, select.POLLIN)

    def serve(self) -> None:
        """Serve; sending never keeps a cancel from being read."""
        self._channel.wait_for_reader()
        while True:
            sending = select.POLLOUT if self._unsent else 0
            self._poll.register(self._channel, select.POLLIN | sending)
            happened = dict(self._poll.poll())
            if happened.get(self._channel.fileno(), 0) & ~select.POLLOUT:
                self._receive()
            if self._queue.fileno() in happened:
                self._queue.quiet()
            self._send()

    def _receive(self) -> None:
        head = self._channel.head()
        payload = self._channel.payload()
        if head.type == PacketType.CANCEL:
            self._cancel(decode_transaction_id(payload))
        elif head.type == PacketType.PROBE_REQUEST:
            self._answer_probe()
        elif head.type != PacketType.PROBE_RESPONSE:
            raise PacketError(f"packet of type {head.type} on the event connection")

    def _answer_probe(self) -> None:
        """Answer, but not one who only asks and never reads the answers."""
        if len(self._unsent) < _MAX_UNSENT:
            self._unsent += encode(PacketType.PROBE_RESPONSE)

    def _send(self) -> None:
        count = 1
        while count and (self._unsent or self._fetch()):
            count = self._channel.send_some(self._unsent)
            self._unsent = self._unsent[count:]

    def _fetch(self) -> bool:
        self._unsent = self._queue.take()
        return bool(self._unsent)
