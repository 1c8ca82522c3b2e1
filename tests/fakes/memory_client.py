# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of a responder in the same process."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.mtp.responder import Responder
from appliance.mtp.transaction import Event
from appliance.transports.memory import MemoryInitiator
from tests.fakes.client import Answer, Client, Heard
from tests.fakes.device import responder_for

_PATIENCE = 10.0


class MemoryClient:
    """Answers as values."""

    def __init__(self, responder: Responder) -> None:
        self.responder = responder
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        connection = responder.connect("memory")
        connection.listen(self._events.put)
        self._initiator = MemoryInitiator(connection)

    def call(self, code: int, *parameters: int, data: bytes | None = None) -> Answer:
        return Answer(*self._initiator.call(code, *parameters, data=data))

    def event(self) -> Heard:
        event = self._events.get(timeout=_PATIENCE)
        return Heard(event.code, event.parameters)

    def another(self) -> "MemoryClient":
        return MemoryClient(self.responder)

    def close(self) -> None:
        """Go away."""
        self._initiator.close()


@contextmanager
def connect_memory(
    *folders: Path,
    read_only: frozenset[Path] | set[Path] = frozenset(),
    allow_format: bool = False,
) -> Iterator[Client]:
    """Serve folders to a client in memory."""
    with responder_for(folders, read_only=read_only, allow_format=allow_format) as responder:
        client = MemoryClient(responder)
        yield client
        client.close()
