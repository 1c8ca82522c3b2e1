# SPDX-License-Identifier: GPL-3.0-or-later
"""MTP over TCP: a server for PTP/IP initiators.

An initiator connects twice to the same port: the first connection carries requests, data and
responses, the second one events and cancels. Each connection has a thread with blocking sockets.
There is no authentication in PTP/IP: who reaches the port may do all that the folders allow.

Spec: CIPA DC-005 (PTP-IP) sections 2.2, 2.3.
"""

import logging
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from appliance.mtp.ptpip_packets import (
    FailReason,
    PacketError,
    PacketType,
    decode_init_command,
    decode_init_event,
    encode,
    encode_init_command_ack,
    encode_init_fail,
)
from appliance.mtp.responder import Responder
from appliance.sockets import connections
from appliance.transports.ptpip_channel import Channel, PeerGoneError, send_refusal
from appliance.transports.ptpip_initiator import Initiator, RefusedError
from appliance.transports.ptpip_listen import Address, listen

log = logging.getLogger(__name__)

#: Initiators that are served at once; one more is told that the responder is busy.
MAX_INITIATORS = 16
#: Connections at once: two an initiator, and those that have not said yet what they are.
MAX_CONNECTIONS = 3 * MAX_INITIATORS
#: Seconds that a connection has to say what it is.
HANDSHAKE_TIME = 10.0
#: Seconds that `close` waits for the threads; one that waits for a disk is left behind.
_PATIENCE = 5.0


class PtpIpServer:
    """Listens from its construction on, and serves from `start` on until `close`."""

    def __init__(
        self,
        responder: Responder,
        addresses: Iterable[Address],
        *,
        interface: str = "",
        handshake_time: float = HANDSHAKE_TIME,
    ) -> None:
        self._responder = responder
        self._handshake_time = handshake_time
        self._guid = device_guid(responder.device.identity.serial_number)
        self._lock = threading.Lock()
        self._initiators: dict[int, Initiator] = {}
        self._last_number = 0
        self._channels: dict[threading.Thread, Channel] = {}
        self._closing = threading.Event()
        self._listeners = listen(addresses, interface)
        self._acceptors: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def addresses(self) -> list[Address]:
        """Where the server listens, with the ports that it really has."""
        return [Address.of(listener.getsockname()) for listener in self._listeners]

    @property
    def is_alive(self) -> bool:
        """Whether whoever comes is let in."""
        return all(acceptor.is_alive() for acceptor in self._acceptors)

    def start(self) -> None:
        """Serve, in threads of its own."""
        for listener in self._listeners:
            acceptor = threading.Thread(target=self._accept_all, args=(listener,), daemon=True)
            self._acceptors.append(acceptor)
            acceptor.start()

    def close(self) -> None:
        """End all connections and release what they held; harmless when repeated."""
        self._closing.set()
        for listener in self._listeners:
            with suppress(OSError):  # it is shut down already
                listener.shutdown(socket.SHUT_RDWR)
        for acceptor in self._acceptors:
            acceptor.join(_PATIENCE)
        for listener in self._listeners:
            listener.close()
        with self._lock:
            channels = dict(self._channels)
        for channel in channels.values():
            channel.shut_down()
        for thread in channels:
            thread.join(_PATIENCE)
            if thread.is_alive():
                log.warning("STUCK a connection still waits for a disk")

    # Accepting

    def _accept_all(self, listener: socket.socket) -> None:
        where = Address.of(listener.getsockname())
        for connection, name in connections(listener, self._closing, where):
            self._accept(connection, Address.of(name))

    def _accept(self, connection: socket.socket, peer: Address) -> None:
        """Give a connection its thread."""
        try:
            channel = Channel(connection)
        except PeerGoneError:
            connection.close()
            return
        thread = threading.Thread(target=self._serve, args=(channel, peer), daemon=True)
        with self._lock:
            accepted = len(self._channels) < MAX_CONNECTIONS
            if accepted:
                self._channels[thread] = channel
        if not accepted:
            log.info("REFUSED %s: too many connections", peer)
            send_refusal(connection, encode_init_fail(FailReason.BUSY))
            return
        try:
            thread.start()
        except RuntimeError as error:  # the system has no threads left
            log.warning("REFUSED %s: %s", peer, error)
            self._forget(thread, channel)

    def _forget(self, thread: threading.Thread, channel: Channel) -> None:
        channel.close()
        with self._lock:
            self._channels.pop(thread, None)

    # One connection, in its thread

    def _serve(self, channel: Channel, peer: Address) -> None:
        try:
            channel.limit(self._handshake_time)
            self._greet(channel, peer)
        except PeerGoneError as error:
            log.debug("CLOSED %s: %s", peer, error)
        except (RefusedError, PacketError) as error:
            log.info("REFUSED %s: %s", peer, error)
            self._say_no(channel, error)
        except Exception:
            log.exception("DEFECT %s", peer)
        finally:
            self._forget(threading.current_thread(), channel)

    def _say_no(self, channel: Channel, error: Exception) -> None:
        reason = error.reason if isinstance(error, RefusedError) else FailReason.UNSPECIFIED
        with suppress(PeerGoneError):
            channel.send(encode_init_fail(reason))

    def _greet(self, channel: Channel, peer: Address) -> None:
        """Find out what a connection is, and serve it."""
        kind = channel.head().type
        if kind == PacketType.INIT_COMMAND_REQUEST:
            command = decode_init_command(channel.payload())
            with self._registered(channel, peer, command.name) as initiator:
                log.info("CONNECTED %s, %a", peer, command.name)
                try:
                    initiator.serve_commands(self._greeting(initiator.number))
                except PeerGoneError as error:
                    log.info("DISCONNECTED %s: %s", peer, error)
        elif kind == PacketType.INIT_EVENT_REQUEST:
            number = decode_init_event(channel.payload())
            self._find(number, peer).serve_events(channel, encode(PacketType.INIT_EVENT_ACK))
        else:
            raise PacketError(f"packet of type {kind} instead of a greeting")

    def _greeting(self, number: int) -> bytes:
        return encode_init_command_ack(number, self._guid, self._responder.device.friendly_name)

    @contextmanager
    def _registered(self, channel: Channel, peer: Address, name: str) -> Iterator[Initiator]:
        with self._lock:
            if len(self._initiators) >= MAX_INITIATORS:
                raise RefusedError(FailReason.BUSY, f"{MAX_INITIATORS} initiators are connected")
            number = self._last_number = self._last_number % 0xFFFFFFFF + 1
            connection = self._responder.connect(str(peer), name)
            initiator = Initiator(number, peer.host, channel, connection)
            self._initiators[number] = initiator
        try:
            yield initiator
        finally:
            with self._lock:
                del self._initiators[number]
            initiator.end()

    def _find(self, number: int, peer: Address) -> Initiator:
        """Find the initiator that an event connection belongs to."""
        with self._lock:
            initiator = self._initiators.get(number)
        if initiator is None or initiator.host != peer.host:
            raise RefusedError(FailReason.REJECTED_INITIATOR, f"there is no connection {number}")
        return initiator


def device_guid(serial_number: str) -> bytes:
    """Derive the responder's GUID (16 bytes): a UUID of version 8 (RFC 9562 section 5.8).

    A digest would bring in OpenSSL: 3.5 MB. Nobody gains by a serial number made for its GUID.
    """
    number = int.from_bytes(_NAMESPACE + serial_number.encode())
    guid = bytearray((number * number % _LARGE_PRIME).to_bytes(16))
    guid[6] = guid[6] & 0x0F | 0x80
    guid[8] = guid[8] & 0x3F | 0x80
    return bytes(guid)


#: Any random UUID, as long as it stays the same.
_NAMESPACE = bytes.fromhex("5f1f1ad2c3a7498e9b5c64f1d2b08e37")
#: The largest of 128 bits.
_LARGE_PRIME = (1 << 128) - 159
