# SPDX-License-Identifier: GPL-3.0-or-later
"""A transport without a wire: requests and bytes straight into a connection, for tests."""

import logging

from appliance.mtp.codes import OperationCode, ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.responder import Connection
from appliance.mtp.transaction import Reply, Request, Source

log = logging.getLogger(__name__)

_PIECE = 64 * 1024


class MemoryInitiator:
    """An initiator in the same process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transaction_id = 0

    def call(
        self, code: int, *parameters: int, data: bytes | None = None
    ) -> tuple[ResponseCode, tuple[int, ...], bytes | None]:
        """Run an operation: response code, parameters, and the data that came before it."""
        self._transaction_id += 1
        request = Request(OperationCode(code), self._transaction_id, parameters)
        answer = self._connection.execute(request, sends_data=data is not None)
        if isinstance(answer, Reply):
            reply = answer
        else:
            for start in range(0, len(data or b""), _PIECE):
                answer.write(memoryview(data or b"")[start : start + _PIECE])
            reply = answer.finish()
        received = None if reply.source is None else _drain(reply.source)
        self._connection.complete()
        if reply.source is not None and len(received or b"") != reply.source.length:
            return ResponseCode.INCOMPLETE_TRANSFER, (), received
        return reply.code, reply.parameters, received

    def close(self) -> None:
        """Go away, as an initiator does that is unplugged."""
        self._connection.close()


def _drain(source: Source) -> bytes:
    """Read all that there is; a source that fails ends there."""
    buffer = bytearray(_PIECE)
    parts = []
    try:
        while count := source.read_into(memoryview(buffer)):
            parts.append(bytes(buffer[:count]))
    except MtpError as error:
        log.info("TORN    %s", error)
    finally:
        source.close()
    return b"".join(parts)
