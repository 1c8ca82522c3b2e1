# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's device as pipes: who waits for the guest reads the socket, and no packet changes hands.

The worker has the socket most of the time, and then answers endpoint 0 and sends events as well.
While it works for longer, on a slow disk, its deputy does that (`look_after`).
"""

import logging
import socket
import threading
import time

from appliance.mtp.responder import Connection
from appliance.transports.usb_class import decode_cancel, encode_extended_event, encode_status
from appliance.transports.usb_descriptors import BULK_SIZE, Description
from appliance.transports.usb_pipes import Cancelled, Reset, Signals, Transfer
from appliance.transports.usbredir_device import RedirectedDevice
from appliance.transports.usbredir_events import GuestEvents
from appliance.transports.usbredir_packets import PacketError
from appliance.transports.usbredir_socket import LARGEST, Wire, WireClosedError

log = logging.getLogger(__name__)

#: Buffers that wait for a guest that does not ask for more at once.
DEPTH = 4
#: Parts of answers that wait for a guest that does not read; then nothing more is heard from it.
_ANSWERS = 8192
#: Bytes up to which copying costs less than a new buffer.
_SMALL = 4096
#: Seconds of work after which the deputy looks after the guest, and of rest before it goes home.
_PATIENCE = 0.05
_REST = 1.0


class GuestPipes:
    """`BulkPipes` over a socket, and the function that endpoint 0 asks; for one guest."""

    def __init__(
        self, connection: socket.socket, responder: Connection, description: Description
    ) -> None:
        self._wire = Wire(connection)
        self._responder = responder
        self._lock = threading.Lock()
        self.signals = Signals(self._wire.ring, lambda: False)
        self.device = RedirectedDevice(description, self, self._enable, self._disable)
        self._in, self._out = self.device.bulk_in, self.device.bulk_out
        self._events = GuestEvents(self.device, responder, self._wire.ring)
        self._lent: memoryview | None = None
        self._is_over = threading.Event()
        self._last_heard, self._overheard = 0.0, False
        self._awake = threading.Event()
        self.packet_size, self.largest = BULK_SIZE, LARGEST
        responder.listen(self._events.put)

    def stop(self) -> None:
        """Send the deputy home; the worker has ended."""
        self._responder.listen(None)
        self._is_over.set()
        self._awake.set()

    def close(self) -> None:
        """Let go of the socket; the deputy has ended too."""
        self._wire.close()

    def end(self) -> None:
        """End the connection; from any thread."""
        self._wire.shut_down()

    # What the conversation asks

    @property
    def posted(self) -> int:
        """Bytes that were asked for."""
        return self._out.posted

    @property
    def can_post(self) -> bool:
        """Whether one more read is of use."""
        return self._out.reads < DEPTH

    @property
    def sending(self) -> int:
        """Pieces that have not gone to the guest."""
        return self._in.segments

    @property
    def suspended(self) -> bool:
        """Whether silence says nothing: a guest may be paused, unless it took back a read."""
        return not self._in.is_forsaken

    def attach(self) -> bool:
        """Wait until the guest has configured the device; False when it is gone."""
        while not (self.signals.enabled or self._is_over.is_set()):
            self._exchange(None)
        if self._is_over.is_set():
            self.signals.close()
        return self.signals.attach()

    def detach(self) -> None:
        """Forget what is under way; the guest was told when it ended the connection."""
        self._out.withdraw()
        self._in.flush()

    def begin(self, transaction_id: int) -> None:
        """Name the transaction under way."""
        self.signals.begin(transaction_id)

    def post(self, size: int) -> None:
        """Read up to `size` bytes."""
        self._out.post(size)

    def look(self) -> None:
        """See what has come meanwhile."""
        self._exchange(0)

    def take(self) -> Transfer | None:
        """Next read that is complete; what the deputy heard on a later connection stays there."""
        with self._lock:
            return None if self.signals.is_over else self._out.take()

    def withdraw(self) -> None:
        """Forget the reads."""
        self._out.withdraw()

    def buffer(self) -> memoryview | None:
        """Lend a buffer; more of them where the guest asks for more at once.

        What it will ask for next gets ready while it takes what it has asked for.
        """
        if self._lent is None:
            enough = max(DEPTH * LARGEST, self._in.wanted + LARGEST)
            on_its_way = self._wire.unsent(self.device.out)
            if self._in.queued >= enough or self._in.queued + on_its_way >= 2 * enough:
                return None
            self._lent = self._wire.buffers.lend()
        return self._lent

    def send(self, length: int, *, last: bool = False) -> None:
        """Send the lent buffer."""
        if self._lent is None:
            raise RuntimeError("no buffer is lent")
        data = self._lent[:length]
        if length <= _SMALL:
            data = memoryview(bytes(data))
        else:
            self._lent = None
        with self._lock:
            self.signals.check()  # the deputy may have heard that the connection is another one
            self._in.send(data)
        if not last:
            self._exchange(0)

    def send_bytes(self, data: bytes) -> None:
        """Send a short packet."""
        with self._lock:
            self.signals.check()
            self._in.send(memoryview(data))

    def push(self) -> None:
        """Hand over what the guest has asked for."""
        self._exchange(0)

    def flush(self) -> int:
        """Take back what was not collected."""
        with self._lock:
            return self._in.flush()

    def check(self) -> None:
        """Raise what has come from endpoint 0, or the end."""
        self.signals.check()

    def wait(self, timeout: float | None = None) -> bool:
        """Answer the guest, then wait until it says something, or takes what is not an event."""
        end = time.monotonic() + (timeout or 0)
        happened, left = False, timeout
        while not happened and (left is None or left > 0):
            self.signals.check()
            happened = self._exchange_unless_ready(left)
            left = None if timeout is None else end - time.monotonic()
        self.signals.check()
        return happened

    # The socket

    def _exchange(self, timeout: float | None) -> bool:
        """Give the guest what it can be given, and hear it; whether it takes or says anything."""
        with self._lock:
            return self._exchange_alone(timeout)

    def _exchange_unless_ready(self, timeout: float | None) -> bool:
        """Exchange, but do not wait for what the deputy has heard already."""
        with self._lock:
            overheard, self._overheard = self._overheard, False
            return overheard or self._out.is_ready or self._exchange_alone(timeout)

    def _exchange_alone(self, timeout: float | None) -> bool:
        try:
            said = self._say()
            if not said and timeout != 0:
                self._wire.wait(
                    self._events.pause(timeout),
                    writing=bool(self.device.out),
                    reading=not self._is_full,
                )
            heard = self._hear()
            if heard:
                self._say()
        except WireClosedError as error:
            self._lose(str(error))
            return True
        except PacketError as error:
            log.warning("REFUSED %s: %s", self._responder.peer, error)
            self._lose("it does not speak usbredir")
            return True
        return said or heard

    def _say(self) -> bool:
        """Send what there is; whether an answer was in it. Events go however still a guest is."""
        device = self.device
        device.gather()
        answers = bool(device.out)
        if self._events.waiting:
            self._events.give(listening=self._responder.session_open)
        return bool(device.out) and self._wire.send(device.out) and answers

    def _hear(self) -> bool:
        if self._is_full or not (count := self._wire.receive(self.device.codec.space())):
            return False
        self._last_heard = time.monotonic()
        if not self._awake.is_set():
            self._awake.set()
        self.device.received(count)
        return True

    @property
    def _is_full(self) -> bool:
        """Whether nothing more is heard: too much waits for us, or for the guest to read."""
        return self._out.is_full or len(self.device.out) > _ANSWERS

    def _lose(self, why: str) -> None:
        """Note that the guest is gone."""
        log.info("GONE %s: %s", self._responder.peer, why)
        self._is_over.set()
        self._awake.set()
        self.signals.close()

    def look_after(self) -> None:
        """Hear the guest while the worker is busy; the body of the deputy's thread."""
        while not self._is_over.is_set():
            self._awake.wait()
            if self._is_over.wait(_PATIENCE):
                return
            if self._lock.acquire(blocking=False):
                try:
                    self._overheard |= self._exchange_alone(0)
                finally:
                    self._lock.release()
            elif self._is_at_rest():
                self._awake.clear()
                if not self._is_at_rest():
                    self._awake.set()

    def _is_at_rest(self) -> bool:
        return time.monotonic() - self._last_heard > _REST and not self._is_over.is_set()

    # What endpoint 0 says

    def _enable(self) -> None:
        log.info("ENABLE %s, %s", self._responder.peer, self.device.program)
        self._events.clear()
        self.signals.enable()

    def _disable(self) -> None:
        log.info("DISABLE %s", self._responder.peer)
        self._events.clear()
        self.signals.disable()

    def cancel(self, data: bytes) -> None:
        """Give up a transaction."""
        transaction_id = decode_cancel(data)
        if transaction_id is None:
            log.info("REFUSED cancel: %s", data.hex())
            return
        log.info("CANCEL transaction %d", transaction_id)
        self.signals.post(Cancelled(transaction_id))

    def reset(self) -> None:
        """Return to the state after plugging in."""
        self._events.clear()
        self.signals.post(Reset())

    def status(self, halted: list[int]) -> bytes:
        """Tell the device status."""
        busy = self._responder.busy or self.signals.busy
        return encode_status(busy=busy, halted=halted)

    def last_event(self) -> bytes:
        """Tell the extended data of the last event."""
        return encode_extended_event(self._events.last)
