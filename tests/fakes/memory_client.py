# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of a responder in the same process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.mtp.responder import Connection
from appliance.transports.memory import MemoryInitiator
from tests.fakes.client import Answer, Client
from tests.fakes.device import responder_for


class MemoryClient:
    """Answers as values."""

    def __init__(self, connection: Connection) -> None:
        self._initiator = MemoryInitiator(connection)

    def call(self, code: int, *parameters: int, data: bytes | None = None) -> Answer:
        return Answer(*self._initiator.call(code, *parameters, data=data))


@contextmanager
def connect_memory(
    *folders: Path, read_only: frozenset[Path] | set[Path] = frozenset()
) -> Iterator[Client]:
    """Serve folders to a client in memory."""
    with responder_for(folders, read_only=read_only) as responder:
        connection = responder.connect("memory")
        yield MemoryClient(connection)
        connection.close()
