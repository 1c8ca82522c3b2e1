# SPDX-License-Identifier: GPL-3.0-or-later
"""A transport without a wire: requests and bytes straight into a connection, for tests."""

from appliance.mtp.codes import OperationCode, ResponseCode
from appliance.mtp.responder import Connection
from appliance.mtp.transaction import Reply, Request, Source

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
        received = _drain(reply.source) if reply.source is not None else None
        self._connection.complete()
        return reply.code, reply.parameters, received

    def close(self) -> None:
        """Go away, as an initiator does that is unplugged."""
        self._connection.close()


def _drain(source: Source) -> bytes:
    buffer = bytearray(_PIECE)
    parts = []
    try:
        while count := source.read_into(memoryview(buffer)):
            parts.append(bytes(buffer[:count]))
    finally:
        source.close()
    return b"".join(parts)
