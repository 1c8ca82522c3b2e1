# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs on the PC that are killed in the middle, and the ones that come after them."""

import struct
from pathlib import Path

import pytest
import usb.core

from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.codes import ResponseCode as Rc
from tests.usb.appliance import Appliance
from tests.usb.host import OK, Answer, Host, command, data_header, next_client
from tests.usb.mtp import announce, find, pattern

pytestmark = pytest.mark.guest

SIZE = 30_000_000


def assert_in_step(host: Host) -> None:
    """Every answer is to the question just asked."""
    for _ in range(3):
        answer = host.ask(Op.GET_STORAGE_IDS)
        assert (answer.code, answer.transaction_id) == (OK, host.transaction_id)
    host.die()


@pytest.mark.parametrize("size", [100_000, 6_000_000])
@pytest.mark.parametrize("read", [0, 512, 16384, 65536])
def test_killed_while_it_read(host: Host, share: Path, size: int, read: int) -> None:
    (share / "big").write_bytes(pattern(size))
    host.send_command(Op.GET_OBJECT, find(host, "big"))
    if read:
        host.read(read)
    host.die()
    assert_in_step(next_client())
    (share / "big").unlink()


@pytest.mark.parametrize("sent", [0, 512, 4096, 100_352, 3_000_320])
def test_killed_while_it_wrote(
    host: Host, share: Path, appliance_device: Appliance, sent: int
) -> None:
    announce(host, "torn", SIZE)
    tid = host.send_command(Op.SEND_OBJECT)
    if sent:
        host.write((data_header(Op.SEND_OBJECT, tid, 12 + SIZE) + pattern(sent))[:sent])
    host.die()
    assert_in_step(next_client())
    assert not (share / "torn").exists()
    assert appliance_device.leftovers() == []


@pytest.mark.parametrize("times", [1, 2, 3])
def test_killed_before_it_read_a_response(host: Host, times: int) -> None:
    """Each that follows may find the response of the one before; none stays out of step."""
    for _ in range(times):
        host.send_command(Op.GET_STORAGE_IDS)
        host.die()
        host = Host()
    host.die()
    assert_in_step(next_client())


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_killed_before_it_read_that_its_session_is_open(host: Host, times: int) -> None:
    """The next one takes the first response that it finds for its own, as some programs do."""
    for _ in range(times):
        host.write(command(Op.OPEN_SESSION, 0, 1))
        host.die()
        host = Host()
    host.write(command(Op.OPEN_SESSION, 0, 1))
    assert host.response().transaction_id == 0
    assert_in_step(host)


def test_a_torn_upload_is_not_acknowledged(host: Host, share: Path) -> None:
    announce(host, "short", 5000)
    answer = host.send(Op.SEND_OBJECT, data=pattern(4000), length=5012)
    assert answer.code == Rc.INCOMPLETE_TRANSFER
    assert not (share / "short").exists()


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (struct.pack("<IHHI", 16, 1, Op.GET_STORAGE_IDS, 77), Rc.INVALID_PARAMETER),
        (struct.pack("<IHHI", 12, 1, Op.GET_STORAGE_IDS, 77) + b"\1\2", Rc.INVALID_PARAMETER),
        (struct.pack("<IHHI", 12, 1, 0x9FFF, 77), Rc.OPERATION_NOT_SUPPORTED),
        (struct.pack("<IHHI", 12, 2, Op.SEND_OBJECT, 77), None),
        (struct.pack("<IHHI", 12, 3, 0x2001, 77), None),
        (struct.pack("<IHHI", 12, 99, 0x2001, 77), None),
        (b"\xff" * 12, None),
        (b"x", None),
        (bytes(512), None),
        (bytes(100_000), None),
        (b"\xff" * 511, None),
    ],
)
def test_malformed_containers(host: Host, bad: bytes, expected: Rc | None) -> None:
    host.write(bad)
    if expected is not None:
        assert host.response() == Answer(expected, (), 77)
    host.transaction_id = 77
    assert_in_step(host)


def test_what_is_no_data_in_a_data_phase(host: Host) -> None:
    announce(host, "nodata", 100)
    host.send_command(Op.SEND_OBJECT)
    host.write(b"rubbish")
    assert host.response().code == Rc.INCOMPLETE_TRANSFER
    assert_in_step(host)


def test_data_for_an_unknown_operation_is_drained(host: Host) -> None:
    host.send_command(0x9FFF)
    host.write(data_header(0x9FFF, host.transaction_id, 12 + 70_000) + pattern(70_000))
    assert host.response().code == Rc.OPERATION_NOT_SUPPORTED
    assert_in_step(host)


def test_a_host_that_only_listens_hears_nothing(host: Host) -> None:
    with pytest.raises(usb.core.USBTimeoutError):
        host.read(512, 200)
    assert_in_step(host)
