# SPDX-License-Identifier: GPL-3.0-or-later
"""The few operations that the tests of the wire need."""

import struct

from appliance.mtp.codes import FormatCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from tests.usb.host import OK, Answer, Host

ROOT = 0xFFFFFFFF
STORAGE = 0x00010001


def handles(host: Host, storage: int = STORAGE) -> list[int]:
    """Handles of the root's objects."""
    data = host.ask(Op.GET_OBJECT_HANDLES, storage, 0, ROOT).data
    assert data is not None
    (count,) = struct.unpack_from("<I", data)
    return list(struct.unpack_from(f"<{count}I", data, 4))


def find(host: Host, name: str) -> int:
    """Handle of an object in the root."""
    for handle in handles(host):
        data = host.ask(Op.GET_OBJECT_INFO, handle).data
        assert data is not None
        if ObjectInfo.decode(data).name == name:
            return handle
    raise LookupError(name)


def announce(host: Host, name: str, size: int) -> Answer:
    """SendObjectInfo for a file in the root."""
    info = ObjectInfo(STORAGE, FormatCode.UNDEFINED, size, 0, name)
    answer = host.send(Op.SEND_OBJECT_INFO, STORAGE, ROOT, data=info.encode())
    assert answer.code == OK, hex(answer.code)
    return answer


def pattern(length: int) -> bytes:
    """Bytes in which a missing or repeated packet shows."""
    block = b"".join(struct.pack("<I", number) for number in range(16384))
    return (block * (length // len(block) + 1))[:length]
