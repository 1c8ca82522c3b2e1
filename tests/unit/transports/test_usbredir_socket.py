# SPDX-License-Identifier: GPL-3.0-or-later
"""Buffers go through a guest's socket and are used anew, and nothing else is ever sent."""

import random
import socket
import threading
from collections import deque

from appliance.transports.usbredir_bulk import Part
from appliance.transports.usbredir_socket import LARGEST, Buffers, Wire


def owner(view: memoryview) -> object:
    return view.obj


def test_a_buffer_is_lent_again_once_the_next_one_goes() -> None:
    buffers = Buffers()
    first, second = buffers.lend(), buffers.lend()
    assert owner(first) is not owner(second)
    buffers.gone(first[:100])
    buffers.gone(first[100:])
    assert owner(buffers.lend()) is not owner(first)
    buffers.gone(b"a head between them")
    buffers.gone(second[:1])
    assert owner(buffers.lend()) is owner(first)
    assert owner(buffers.lend()) is not owner(second)


def test_what_arrives_is_what_was_put_into_the_buffers() -> None:
    """Through a socket that takes little at once, in pieces of all sizes."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    wire, dice = Wire(ours), random.Random(1)
    arrived, expected = bytearray(), bytearray()
    reader = threading.Thread(target=_read_all, args=(theirs, arrived))
    reader.start()
    parts: deque[Part] = deque()
    lent = set()
    for _ in range(100):
        buffer = wire.buffers.lend()
        lent.add(id(buffer.obj))
        length = dice.randrange(1, LARGEST)
        buffer[:length] = dice.randbytes(length)
        expected += b"head" + buffer[:length]
        middle = dice.randrange(length)
        parts.extend((b"head", buffer[:middle], buffer[middle:length]))
        while len(parts) > 9:
            _send(wire, parts)
    while parts:
        _send(wire, parts)
    wire.shut_down()
    reader.join()
    wire.close()
    theirs.close()
    assert arrived == expected
    assert len(lent) < 20


def _send(wire: Wire, parts: deque[Part]) -> None:
    wire.send(parts)
    if parts:
        assert wire.wait(10, writing=True, reading=False)


def _read_all(connection: socket.socket, arrived: bytearray) -> None:
    while piece := connection.recv(1 << 16):
        arrived += piece
