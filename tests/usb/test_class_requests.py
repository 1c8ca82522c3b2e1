# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancel, reset, status and extended event data, in each state of a transaction."""

import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.codes import ResponseCode as Rc
from tests.usb.appliance import Appliance
from tests.usb.host import OK, Host, Stalled, data_header
from tests.usb.mtp import announce, find, pattern

pytestmark = pytest.mark.guest

READY = b"\x04\x00\x01\x20"
BUSY = b"\x04\x00\x19\x20"
SIZE = 20_000_000
GIB4 = 1 << 32


@pytest.fixture
def large(share: Path, host: Host) -> int:
    """A file that takes a while."""
    if not (share / "large").exists():
        (share / "large").write_bytes(pattern(SIZE))
    return find(host.open(), "large")


@pytest.mark.parametrize("length", [4, 8, 36, 64])
def test_status_of_an_idle_device(host: Host, length: int) -> None:
    assert host.status(length) == READY


def test_a_host_that_asks_for_less_gets_less(host: Host) -> None:
    assert host.status(2) == READY[:2]


def test_status_during_a_download(host: Host, large: int) -> None:
    host.send_command(Op.GET_OBJECT, large)
    host.read(host.packet_size)
    assert host.status() == BUSY
    rest = host.read_transfer()
    assert host.response().code == OK
    assert len(rest) == 12 + SIZE - host.packet_size
    assert host.status() == READY


def test_endpoint_0_answers_however_busy_the_others_are(host: Host, large: int) -> None:
    answers = set()
    for _ in range(10):
        host.send_command(Op.GET_OBJECT, large)
        with ThreadPoolExecutor(1) as reader:
            download = reader.submit(host.read_transfer)
            while not download.done():
                answers.add(host.status())
        assert len(download.result()) == 12 + SIZE
        assert host.response().code == OK
    assert answers <= {BUSY, READY}


@pytest.mark.parametrize("read", [0, 1, 16, 4096])
def test_cancel_of_a_download(host: Host, large: int, read: int) -> None:
    tid = host.send_command(Op.GET_OBJECT, large)
    if read:
        host.read(read * host.packet_size)
    host.cancel(tid)
    host.wait_until_ready()
    assert host.silent(), "something was left in the pipe"
    answer = host.ask(Op.GET_STORAGE_IDS)
    assert (answer.code, answer.transaction_id) == (OK, host.transaction_id)


@pytest.mark.parametrize("sent", [0, 12, 512, 512 * 700, 512 * 5000])
def test_cancel_of_an_upload(
    host: Host, share: Path, appliance_device: Appliance, sent: int
) -> None:
    announce(host, "cancelled", SIZE)
    tid = host.send_command(Op.SEND_OBJECT)
    whole = data_header(Op.SEND_OBJECT, tid, 12 + SIZE) + pattern(sent)
    if sent:
        host.write(whole[:sent])
    host.cancel(tid)
    host.wait_until_ready()
    assert host.silent(), "a cancelled transaction was answered"
    assert host.ask(Op.GET_STORAGE_IDS).code == OK
    assert not (share / "cancelled").exists()
    assert appliance_device.leftovers() == []


def test_what_still_comes_after_a_cancel_is_dropped(host: Host, share: Path) -> None:
    announce(host, "late", SIZE)
    tid = host.send_command(Op.SEND_OBJECT)
    host.write(data_header(Op.SEND_OBJECT, tid, 12 + SIZE) + pattern(500))
    host.cancel(tid)
    host.write(pattern(300_001))
    host.wait_until_ready()
    assert host.ask(Op.GET_STORAGE_IDS).code == OK
    assert not (share / "late").exists()


def test_cancel_of_another_transaction_ends_nothing(host: Host, large: int) -> None:
    tid = host.send_command(Op.GET_OBJECT, large)
    first = host.read(host.packet_size)
    host.cancel(tid + 77)
    rest = host.read_transfer()
    assert len(first) + len(rest) == 12 + SIZE
    assert host.response().code == OK


@pytest.mark.parametrize(
    "data", [b"", b"\x01\x40\0\0\0", bytes(6), bytes(64)], ids=["none", "5", "zeros", "64"]
)
def test_a_malformed_cancel_ends_nothing(host: Host, large: int, data: bytes) -> None:
    host.send_command(Op.GET_OBJECT, large)
    first = host.read(host.packet_size)
    try:
        host.control(0x21, 0x64, data)
    except Stalled:
        assert len(data) != 6
    assert len(first) + len(host.read_transfer()) == 12 + SIZE
    assert host.response().code == OK


def test_reset_closes_the_session(host: Host) -> None:
    host.control(0x21, 0x66)
    host.wait_until_ready()
    assert host.ask(Op.GET_STORAGE_IDS).code == Rc.SESSION_NOT_OPEN
    assert host.ask(Op.OPEN_SESSION, 1).code == OK


@pytest.mark.parametrize("read", [0, 4])
def test_reset_during_a_download(host: Host, large: int, read: int) -> None:
    host.send_command(Op.GET_OBJECT, large)
    if read:
        host.read(read * host.packet_size)
    host.control(0x21, 0x66)
    host.wait_until_ready()
    assert host.ask(Op.OPEN_SESSION, 1).code == OK


def test_there_was_no_extended_event(host: Host) -> None:
    assert host.control(0xA1, 0x65, 64) == struct.pack("<HIH", 0, 0, 0)


@pytest.mark.parametrize(
    ("kind", "request_code"), [(0xA1, 0x64), (0x21, 0x67), (0xA1, 0x63), (0x21, 0x68), (0xA1, 0xFF)]
)
def test_unknown_requests_stall(host: Host, kind: int, request_code: int) -> None:
    with pytest.raises(Stalled):
        host.control(kind, request_code, 4 if kind & 0x80 else b"")
    assert host.status() == READY


def test_endpoints_can_be_halted_and_cleared(host: Host) -> None:
    for endpoint in (host.bulk_in, host.bulk_out):
        host.device.ctrl_transfer(0x02, 3, 0, endpoint.bEndpointAddress, b"", 5000)
        host.device.clear_halt(endpoint.bEndpointAddress)
    assert host.ask(Op.GET_STORAGE_IDS).code == OK


@pytest.mark.parametrize("size", [GIB4 + delta for delta in (-13, -12, -1, 0, 1)])
def test_the_length_of_a_large_file(host: Host, share: Path, size: int) -> None:
    """The data is not read to its end: the client cancels, and the next transaction works."""
    with (share / f"large-{size}").open("wb") as file:
        os.truncate(file.fileno(), size)
    handle = find(host, f"large-{size}")
    tid = host.send_command(Op.GET_OBJECT, handle)
    first = host.read(host.packet_size)
    assert int.from_bytes(first[:4], "little") == min(size + 12, GIB4 - 1)
    host.cancel(tid)
    host.wait_until_ready()
    host.drain()
    assert host.ask(Op.GET_STORAGE_IDS).code == OK
    (share / f"large-{size}").unlink()
