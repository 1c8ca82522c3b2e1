# SPDX-License-Identifier: GPL-3.0-or-later
"""MTP over USB into virtual machines: a device for each guest, over usbredir.

A guest's program (QEMU) connects here, or is connected to. Each connection has a worker, which has
the conversation and the socket, and a deputy, which sleeps while the worker is quick. A guest that
goes, by whatever way, leaves nothing; the next one finds the device as the first did.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

from appliance.mtp.responder import Connection, Responder
from appliance.sockets import connections, process_and_user
from appliance.transports.ptpip_listen import Address
from appliance.transports.usb import Conversation
from appliance.transports.usb_descriptors import Description
from appliance.transports.usbredir_pipes import GuestPipes
from appliance.transports.usbredir_places import Place, close, connect, listen
from appliance.values import dataclass

log = logging.getLogger(__name__)

#: Guests at once; one more is not let in, unless one of them has said nothing for so many seconds.
MAX_GUESTS = 16
_SILENCE = 10.0
#: Seconds that `close` waits for the threads; one that waits for a disk is left behind.
_PATIENCE = 5.0
#: Seconds between two attempts to connect.
_PAUSE = 1.0


@dataclass(slots=True, eq=False)
class _Guest:
    """Who has one of the places. One that is silent may be paused, or be about to migrate here.

    QEMU lets a machine speak when it runs, so for silence alone nobody is sent away.
    """

    pipes: GuestPipes
    since: float
    is_leaving: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether it has not even said hello for long."""
        return not self.pipes.device.is_connected and time.monotonic() - self.since > _SILENCE

    def leave(self) -> None:
        """Give up the place."""
        self.is_leaving = True
        self.pipes.end()


class UsbRedirServer:
    """Listens from its construction on, and serves from `start` on until `close`."""

    def __init__(
        self, responder: Responder, places: Sequence[Place], description: Description
    ) -> None:
        self._responder = responder
        self._description = description
        self._lock = threading.Lock()
        self._guests: dict[threading.Thread, _Guest] = {}
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
            for guest in guests.values():
                guest.leave()
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
        """Serve a guest until it is gone; whatever goes wrong, its connection ends with it."""
        initiator = self._responder.connect(peer)
        try:
            pipes = GuestPipes(connection, initiator, self._description)
        except OSError as error:
            log.warning("REFUSED %s: %s", peer, error.strerror)
            connection.close()
            return
        if self._enter(pipes, peer):
            log.info("CONNECTED %s", peer)
            self._converse(pipes, initiator)
        else:
            log.warning("REFUSED %s: there are %d guests", peer, MAX_GUESTS)
        pipes.stop()
        initiator.close()
        pipes.close()

    def _enter(self, pipes: GuestPipes, peer: str) -> bool:
        """Give a guest its place, if there is one."""
        with self._lock:
            staying = [each for each in self._guests.values() if not each.is_leaving]
            if len(staying) >= MAX_GUESTS:
                silent = next((each for each in staying if each.is_silent), None)
                if silent is None:
                    return False
                log.warning("CROWDED a connection that has said nothing yet ends for %s", peer)
                silent.leave()
            guest = self._guests[threading.current_thread()] = _Guest(pipes, time.monotonic())
            if self._closing.is_set():
                guest.leave()
            return True

    def _converse(self, pipes: GuestPipes, initiator: Connection) -> None:
        deputy = threading.Thread(target=pipes.look_after, name="deputy", daemon=True)
        try:
            deputy.start()
            Conversation(pipes, initiator).run()
        except Exception:
            log.exception("DEFECT %s", initiator.peer)
        finally:
            with self._lock:
                del self._guests[threading.current_thread()]
            pipes.stop()
            if deputy.ident is not None:
                deputy.join()


def _name(connection: socket.socket, place: Place) -> str:
    """Name a guest in the log: by its process, or its address."""
    if place.path is None:
        try:
            return f"usbredir {Address.of(connection.getpeername())}"
        except OSError:  # it is gone already
            return f"usbredir {place}"
    return f"usbredir process {process_and_user(connection)[0]}"
