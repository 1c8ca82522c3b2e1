# SPDX-License-Identifier: GPL-3.0-or-later
"""MTP over USB into virtual machines: a device for each guest, over usbredir.

A guest's program (QEMU) connects here, or is connected to. Each connection has a worker, which has
the conversation and the socket, and a deputy, which sleeps while the worker is quick. A guest that
goes, by whatever way, leaves nothing; the next one finds the device as the first did.
"""

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

from appliance.mtp.responder import Responder
from appliance.sockets import connections, process_and_user
from appliance.transports.ptpip_listen import Address
from appliance.transports.usb import Conversation
from appliance.transports.usb_descriptors import Description
from appliance.transports.usbredir_pipes import GuestPipes
from appliance.transports.usbredir_places import Place, close, connect, listen

log = logging.getLogger(__name__)

#: Guests at once; one more is not let in.
MAX_GUESTS = 16
#: Seconds that `close` waits for the threads; one that waits for a disk is left behind.
_PATIENCE = 5.0
#: Seconds between two attempts to connect.
_PAUSE = 1.0


class UsbRedirServer:
    """Listens from its construction on, and serves from `start` on until `close`."""

    def __init__(
        self, responder: Responder, places: Sequence[Place], description: Description
    ) -> None:
        self._responder = responder
        self._description = description
        self._lock = threading.Lock()
        self._guests: dict[threading.Thread, GuestPipes] = {}
        self._closing = threading.Event()
        self._callers = [place for place in places if place.calls]
        self._listeners = listen([place for place in places if not place.calls])
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def places(self) -> list[Place]:
        """Where the server listens, with the ports that it really has, and what it connects to."""
        return [*self._listeners, *self._callers]

    @property
    def is_alive(self) -> bool:
        """Whether whoever comes is let in."""
        return all(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Serve, in threads of its own."""
        for place, listener in self._listeners.items():
            self._run(self._accept_all, place, listener)
        for place in self._callers:
            self._run(self._call_again, place)

    def close(self) -> None:
        """End all connections and release what they held; harmless when repeated."""
        self._closing.set()
        for listener in self._listeners.values():
            with suppress(OSError):  # it is shut down already
                listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            guests = dict(self._guests)
            for pipes in guests.values():
                pipes.end()
        for thread in (*self._threads, *guests):
            thread.join(_PATIENCE)
            if thread.is_alive():
                log.warning("STUCK a connection still waits for a disk")
        close(self._listeners)
        self._listeners.clear()

    def _run(self, body: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=body, args=arguments, name="usbredir", daemon=True)
        self._threads.append(thread)
        thread.start()

    # Meeting guests

    def _accept_all(self, place: Place, listener: socket.socket) -> None:
        for connection, _ in connections(listener, self._closing, place):
            self._let_in(connection, _name(connection, place))

    def _call_again(self, place: Place) -> None:
        """Connect to one guest's program, and again whenever it has gone."""
        said = ""
        while not self._closing.wait(_PAUSE if said else 0):
            try:
                connection = connect(place)
            except OSError as error:
                if said != str(error):
                    log.info("WAIT for %s: %s", place, error)
                said = str(error)
                continue
            said = "gone"
            self._serve(connection, f"usbredir {place}")

    def _let_in(self, connection: socket.socket, peer: str) -> None:
        """Give a connection its thread."""
        thread = threading.Thread(target=self._serve, args=(connection, peer), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no threads left
            log.warning("REFUSED %s: %s", peer, error)
            connection.close()

    # One guest, in its thread

    def _serve(self, connection: socket.socket, peer: str) -> None:
        with self._lock:
            crowded = len(self._guests) >= MAX_GUESTS
        if crowded:
            log.warning("REFUSED %s: there are %d guests", peer, MAX_GUESTS)
            connection.close()
            return
        log.info("CONNECTED %s", peer)
        initiator = self._responder.connect(peer)
        pipes = GuestPipes(connection, initiator, self._description)
        deputy = threading.Thread(target=pipes.look_after, name="deputy", daemon=True)
        with self._lock:
            self._guests[threading.current_thread()] = pipes
            if self._closing.is_set():
                pipes.end()
        try:
            deputy.start()
            Conversation(pipes, initiator).run()
        except Exception:
            log.exception("DEFECT %s", peer)
        finally:
            with self._lock:
                del self._guests[threading.current_thread()]
            pipes.stop()
            if deputy.ident is not None:
                deputy.join()
            initiator.close()
            pipes.close()


def _name(connection: socket.socket, place: Place) -> str:
    """Name a guest in the log: by its process, or its address."""
    if place.path is None:
        try:
            return f"usbredir {Address.of(connection.getpeername())}"
        except OSError:  # it is gone already
            return f"usbredir {place}"
    return f"usbredir process {process_and_user(connection)[0]}"
