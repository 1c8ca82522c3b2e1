# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test needs of an initiator, whatever road it takes to the responder."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from appliance.mtp.codes import ResponseCode
from appliance.mtp.responder import Responder


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a transaction: response code, parameters, and data if there was a data phase."""

    code: int
    parameters: tuple[int, ...] = ()
    data: bytes | None = None

    @property
    def ok(self) -> bool:
        """Whether the responder answered OK."""
        return self.code == ResponseCode.OK


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as an initiator hears it."""

    code: int
    parameters: tuple[int, ...] = ()


class Client(Protocol):
    """An initiator. `data` None: an operation that sends none."""

    def call(self, code: int, *parameters: int, data: bytes | None = None) -> Answer: ...

    @property
    def responder(self) -> Responder:
        """The device: for what a person does there."""
        ...

    def event(self) -> Heard:
        """Wait for the next event; the test fails where none comes."""
        ...

    def another(self) -> "Client":
        """Connect once more to the same responder."""
        ...


class ConnectClient(Protocol):
    """Serves folders until the block ends; the client of a responder that does."""

    def __call__(
        self,
        *folders: Path,
        read_only: frozenset[Path] | set[Path] = frozenset(),
        allow_format: bool = False,
    ) -> AbstractContextManager[Client]: ...
