# SPDX-License-Identifier: GPL-3.0-or-later
"""An initiator's event connection: events to it, cancels and probes from it.

Events wait in a bounded queue, so that an initiator that does not read them is nobody's problem
but its own. Whether it is there at all is known by its other connection.

Spec: CIPA DC-005 (PTP-IP) section 2.3.
"""

import select
from collections.abc import Callable

from appliance.mtp.ptpip_packets import (
    PacketError,
    PacketType,
    decode_transaction_id,
    encode,
    encode_event,
)
from appliance.transports.event_queue import AudibleQueue
from appliance.transports.ptpip_channel import Channel

_MAX_UNSENT = 1 << 16


class EventConnection:
    """Serves one event connection until it ends, which is a PeerGoneError or a PacketError."""

    def __init__(
        self, channel: Channel, queue: AudibleQueue, cancel: Callable[[int], None]
    ) -> None:
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
        events = iter(self._queue.take, None)
        self._unsent = b"".join(
            encode_event(e.code, e.transaction_id, e.parameters) for e in events
        )
        return bool(self._unsent)
