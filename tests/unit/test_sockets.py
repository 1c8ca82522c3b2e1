# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening sockets: whoever comes is let in, whatever goes wrong meanwhile."""

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.sockets import connections, process_and_user

_PATIENCE = 10.0


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where a server listens that says "heard" to each."""
    closing, listener = threading.Event(), socket.socket(socket.AF_UNIX)
    listener.bind(os.fsencode(tmp_path / "socket"))
    listener.listen()

    def serve() -> None:
        for connection, _ in connections(listener, closing, "the test's socket"):
            with connection:
                connection.sendall(b"heard")

    thread = threading.Thread(target=serve)
    thread.start()
    yield tmp_path / "socket"
    closing.set()
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(_PATIENCE)
    assert not thread.is_alive(), "it does not end"
    listener.close()


def test_everyone_is_let_in(path: Path) -> None:
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_PATIENCE)
            client.connect(os.fsencode(path))
            assert client.recv(10) == b"heard"


def test_want_of_descriptors_gets_over(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as held:
        # There may be a descriptor left for the other side of one, and there are no two.
        clients = [held.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
            for each in clients:
                each.settimeout(_PATIENCE)
                each.connect(os.fsencode(path))
            _wait_for(lambda: "the test's socket: Too many open files" in caplog.text)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert [each.recv(10) for each in clients] == [b"heard", b"heard"]


def test_who_is_at_the_other_end() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        assert process_and_user(there) == (os.getpid(), os.geteuid())


def _wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
