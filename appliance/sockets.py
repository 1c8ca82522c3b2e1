# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets: who comes, one after the other, who is at the other end, and whether one still is."""

import logging
import socket
import struct
import threading
from collections.abc import Iterator
from errno import ECONNABORTED
from typing import Any

log = logging.getLogger(__name__)

#: Seconds between two attempts to accept where there are no descriptors left.
_PAUSE = 0.5
#: Seconds of silence before the kernel asks whether the peer is there, and between two questions;
#: how many remain without an answer.
_IDLE, _INTERVAL, _QUESTIONS = 30, 10, 3
_CREDENTIALS = struct.Struct("3i")


def connections(
    listener: socket.socket, closing: threading.Event, where: object
) -> Iterator[tuple[socket.socket, Any]]:
    """Accept whoever comes until `closing` is set: connections, each with the peer's address.

    Who is gone again is passed over. A lack of descriptors is logged (`where` says for what), and
    does not last. Who sets `closing` shuts `listener` down, which ends the wait.
    """
    while not closing.is_set():
        try:
            yield listener.accept()
        except OSError as error:
            if not closing.is_set() and error.errno != ECONNABORTED:
                log.warning("cannot accept connections at %s: %s", where, error.strerror)
                closing.wait(_PAUSE)


def keep_alive(connection: socket.socket) -> None:
    """Have a TCP connection end when the other machine is gone, also while nothing is to be sent.

    Its kernel answers, however still the program is. Raises OSError.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _QUESTIONS)


def process_and_user(connection: socket.socket) -> tuple[int, int]:
    """Ask the kernel who is at the other end of a Unix socket, by numbers. Raises OSError."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(raw)
    return process, user
