# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling a command from other bytes that come while none is expected to be anything else."""

from appliance.mtp.codes import OperationCode
from appliance.mtp.containers import (
    HEADER_SIZE,
    ContainerError,
    ContainerType,
    decode_command,
    decode_header,
)
from appliance.mtp.transaction import Request


class Malformed(Request):
    """A command whose header can be read, but not the rest."""

    __slots__ = ()


def recognise(packet: memoryview) -> Request | None:
    """Read a command, well-formed or not; None where the bytes are none."""
    try:
        return decode_command(packet)
    except ContainerError:
        pass
    if len(packet) < HEADER_SIZE:
        return None
    header = decode_header(packet)
    if header.type != ContainerType.COMMAND:
        return None
    return Malformed(OperationCode(header.code), header.transaction_id)
