# SPDX-License-Identifier: GPL-3.0-or-later
"""What the log says of what a PC asks for, and what a report leaves out of that."""

import pytest

from appliance.doctor.redaction import redact, without_names
from appliance.mtp.codes import DataType, FormatCode, OperationCode
from appliance.mtp.wire import Writer, encode_string
from tests.protocol.initiator import ROOT, STORAGE, Initiator

Op = OperationCode


@pytest.mark.parametrize(
    "name",
    ["Kündigung Müller/2024.pdf", "Kündigung's \"" + "寿" * 85, "Kündigung 😀\\/"],
    ids=["two components", "too long", "strange letters"],
)
def test_a_name_that_is_refused_is_in_no_report(
    pc: Initiator, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """As no other name of a file is; whoever may see the log finds it there."""
    caplog.set_level("INFO")
    file = pc.names()["root.bin"]
    place = (STORAGE, ROOT, FormatCode.UNDEFINED, 0, 3)
    answers = [
        pc.announce(name, 3),
        pc.mkdir(name),
        pc.call(Op.SEND_OBJECT_PROP_LIST, *place, data=list_of_name(0, name)),
        pc.rename(file, name),
        pc.call(Op.SET_OBJECT_PROP_LIST, data=list_of_name(file, name)),
    ]
    lines = [each.getMessage() for each in caplog.records]
    refused = [each for each in lines if each.startswith("REFUSED") and "ndigung" in each]
    assert len(refused) == len(answers), lines
    for line in refused:
        assert ": name (a name): " in without_names(redact(line))
    assert "ndigung" not in without_names(redact("\n".join(lines)))


def list_of_name(handle: int, name: str) -> bytes:
    """Make a list of properties: a name."""
    head = Writer().u32(1).u32(handle).u16(0xDC07).u16(DataType.STRING)
    return bytes(head.raw(encode_string(name)))
