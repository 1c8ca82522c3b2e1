# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport without a wire."""

import pytest

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.transaction import BytesSource, Reply
from appliance.transports.memory import MemoryInitiator
from tests.fakes.responder import ScriptedResponder

GET = 0x1009


class TornSource(BytesSource):
    """Promises ten bytes more than it has, and ends or fails there."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__(b"12345")
        self._fails = fails

    @property
    def length(self) -> int:
        return 15

    def read_into(self, buffer: memoryview) -> int:
        count = super().read_into(buffer)
        if count == 0 and self._fails:
            raise MtpError(ResponseCode.GENERAL_ERROR, "the disk fails")
        return count


@pytest.mark.parametrize("fails", [True, False])
def test_what_ends_too_soon_is_not_ok(fails: bool) -> None:
    responder = ScriptedResponder({GET: lambda _: Reply(source=TornSource(fails=fails))})
    pc = MemoryInitiator(responder.connect("memory"))
    pc.call(0x1002, 1)
    assert pc.call(GET, 1) == (ResponseCode.INCOMPLETE_TRANSFER, (), b"12345")
    responder.operations[GET] = lambda _: Reply(source=BytesSource(b"whole"))
    assert pc.call(GET, 1) == (ResponseCode.OK, (), b"whole")
