# SPDX-License-Identifier: GPL-3.0-or-later
"""A device in virtual machines, as their programs see it: from plugging in to whatever ends it."""

import logging
import os
import select
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from errno import EMFILE
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.mtp.ports import Change, ChangeKind
from appliance.mtp.responder import Responder
from appliance.storage.upload import StagedUpload
from appliance.transports import usbredir
from appliance.transports.event_queue import MOST
from appliance.transports.ptpip_listen import Address
from appliance.transports.usbredir import MAX_GUESTS, UsbRedirServer
from appliance.transports.usbredir_places import Place
from tests.fakes import usbredir_guest as fake
from tests.fakes.client import Heard
from tests.fakes.device import responder_for
from tests.fakes.usbredir_guest import Guest, RedirectedClient, dial, serving

OK = 0x2001
CONTENT = bytes(range(256)) * 8000


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Share"
    folder.mkdir()
    (folder / "file.bin").write_bytes(CONTENT)
    return folder


@pytest.fixture
def path(share: Path) -> Iterator[Path]:
    """The socket of a server."""
    with serving(share) as (_, path):
        yield path


@pytest.fixture
def guest(path: Path) -> Iterator[Guest]:
    """A guest that has plugged the device in, and configured it."""
    guest = plugged(path)
    yield guest
    guest.close()


@pytest.fixture
def client(share: Path) -> Iterator[RedirectedClient]:
    with serving(share) as (responder, path), ExitStack() as clients:
        yield RedirectedClient(path, clients, responder)


def plugged(path: Path, capabilities: int = fake.QEMU) -> Guest:
    guest = Guest(dial(path), capabilities)
    guest.plug()
    assert guest.configure() == b"\0\1"
    return guest


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + fake.PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Plugging in


@pytest.mark.parametrize("capabilities", [fake.QEMU, fake.OLDEST, 1 << 5, 1 << 6])
def test_the_device_is_plugged_in_and_works(path: Path, capabilities: int) -> None:
    guest = Guest(dial(path), capabilities)
    endpoints, interfaces, device = guest.plug()
    assert len(device) == (10 if capabilities & 2 else 8)
    assert struct.unpack_from("<BBBBHH", device) == (2, 0, 0, 0, 0x1D6B, 0x0104)
    assert len(endpoints) == (160 if capabilities & 16 else 96)
    assert struct.unpack_from("<I", interfaces) == (1,)
    assert guest.configure() == b"\0\1"
    guest.write(struct.pack("<IHHI", 12, 1, 0x1001, 5))
    assert guest.read()[4:8] == struct.pack("<HH", 2, 0x1001)
    assert guest.read() == struct.pack("<IHHI", 12, 3, OK, 5)
    guest.close()


def test_nothing_is_said_before_the_guest_has_said_hello(path: Path) -> None:
    """QEMU ends itself where one that was migrated is greeted a second time."""
    connection = dial(path)
    connection.settimeout(0.2)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.close()


CONFIGURATION = bytes.fromhex(
    "09022700010100c0000904000003060101040705810200020007050202000200070583031c0004"
)


@pytest.mark.parametrize(
    ("setup", "answer"),
    [
        ((0x80, 6, 0x0100, 0, 8), bytes.fromhex("1201000200000040")),
        ((0x80, 6, 0x0100, 0, 64), struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x200, 0, 0, 0, 64,
                                             0x1D6B, 0x0104, 0x0100, 1, 2, 3, 1)),
        ((0x80, 6, 0x0200, 0, 9), CONFIGURATION[:9]),
        ((0x80, 6, 0x0200, 0, 255), CONFIGURATION),
        ((0x80, 6, 0x0300, 0, 255), b"\4\3\x09\4"),
        ((0x80, 6, 0x0301, 0x409, 255), b"\x0c\3" + "Maker".encode("utf-16-le")),
        ((0x80, 6, 0x0302, 0x409, 255), b"\x0c\3" + "Model".encode("utf-16-le")),
        ((0x80, 6, 0x0303, 0x409, 255), b"\x16\3" + "0123456789".encode("utf-16-le")),
        ((0x80, 6, 0x0304, 0x409, 255), b"\x08\3" + "MTP".encode("utf-16-le")),
        ((0x80, 6, 0x03EE, 0, 255), b"\x12\3" + "MSFT100".encode("utf-16-le") + b"\xcd\0"),
        ((0xC0, 0xCD, 0, 4, 40), struct.pack("<IHHB7xBB16s6x", 40, 0x100, 4, 1, 0, 1, b"MTP")),
        ((0x80, 0, 0, 0, 2), b"\1\0"),
        ((0x81, 0, 0, 0, 2), b"\0\0"),
        ((0x82, 0, 0, 0x81, 2), b"\0\0"),
        ((0xA1, 0x67, 0, 0, 4), struct.pack("<HH", 4, OK)),
        ((0xA1, 0x65, 0, 0, 64), bytes(8)),
    ],
)  # fmt: skip
def test_what_endpoint_0_answers(
    guest: Guest, setup: tuple[int, int, int, int, int], answer: bytes
) -> None:
    assert guest.control(*setup) == (fake.SUCCESS, answer)


@pytest.mark.parametrize(
    ("kind", "request_", "value", "index"),
    [
        (0x80, 6, 0x0305, 0x409),  # no such string
        (0x80, 6, 0x0600, 0),  # device qualifier: it is of one speed
        (0x80, 6, 0x0101, 0),
        (0x80, 6, 0x0F00, 0),
        (0xC0, 0xCD, 0, 5),
        (0xC0, 0x01, 0, 4),
        (0x82, 0, 0, 0x84),
        (0x81, 0, 0, 1),
        (0xA1, 0x99, 0, 0),
        (0x80, 99, 0, 0),
        (0x00, 3, 1, 0),  # remote wake-up
        (0x02, 3, 0, 0x84),
    ],
)
def test_what_endpoint_0_stalls(
    guest: Guest, kind: int, request_: int, value: int, index: int
) -> None:
    data = 64 if kind & 0x80 else b""
    assert guest.control(kind, request_, value, index, data) == (fake.STALL, b"")
    assert guest.control(0x80, 0, 0, 0, 2) == (fake.SUCCESS, b"\1\0")


def test_configurations_and_settings(path: Path) -> None:
    guest = Guest(dial(path))
    guest.plug()
    get = fake.GET_CONFIG
    assert guest.receive(fake.CONFIG_STATUS, guest.send(get)).body == b"\0\0"
    assert guest.receive(fake.ALT_STATUS, guest.send(fake.GET_ALT, b"\0")).body[0] == fake.STALL
    assert guest.configure(2) == bytes([fake.STALL, 0])
    assert guest.configure() == b"\0\1"
    assert guest.receive(fake.CONFIG_STATUS, guest.send(get)).body == b"\0\1"
    assert guest.receive(fake.ALT_STATUS, guest.send(fake.SET_ALT, b"\0\0")).body == bytes(3)
    assert guest.receive(fake.ALT_STATUS, guest.send(fake.GET_ALT, b"\0")).body == bytes(3)
    for wrong in (b"\0\1", b"\1\0"):
        answer = guest.receive(fake.ALT_STATUS, guest.send(fake.SET_ALT, wrong)).body
        assert answer[0] == fake.STALL
    assert guest.configure(0) == b"\0\0"
    assert guest.bulk_answer(guest.ask(512))[0] == fake.IO_ERROR
    guest.close()


@pytest.mark.parametrize(
    ("kind", "fields", "answer", "body"),
    [
        (fake.START_ISO, b"\x84\1\1", fake.ISO_STATUS, bytes([fake.INVALID, 0x84])),
        (fake.STOP_ISO, b"\x84", fake.ISO_STATUS, bytes([fake.INVALID, 0x84])),
        (fake.ALLOC_STREAMS, struct.pack("<II", 4, 8), fake.STREAMS_STATUS,
         struct.pack("<IIB", 4, 0, fake.INVALID)),
        (fake.START_INTERRUPT, b"\x84", fake.INTERRUPT_STATUS, bytes([fake.STALL, 0x84])),
        (fake.STOP_INTERRUPT, b"\x83", fake.INTERRUPT_STATUS, bytes([fake.SUCCESS, 0x83])),
        (fake.START_BULK, struct.pack("<IIBB", 0, 512, 0x84, 5), fake.BULK_STATUS,
         struct.pack("<IBB", 0, 0x84, fake.INVALID)),
        (fake.ISO, struct.pack("<BBH", 4, 0, 0), fake.ISO, struct.pack("<BBH", 4, fake.INVALID, 0)),
    ],
)  # fmt: skip
def test_what_the_device_does_not_have(
    guest: Guest, kind: int, fields: bytes, answer: int, body: bytes
) -> None:
    assert guest.receive(answer, guest.send(kind, fields)).body == body


def test_a_filter_is_the_guest_s_own_matter(guest: Guest) -> None:
    guest.send(fake.FILTER, data=b"-1,-1,-1,-1,1\0")
    guest.send(fake.DISCONNECT_ACK)
    assert guest.control(0x80, 0, 0, 0, 2) == (fake.SUCCESS, b"\1\0")


def test_a_guest_that_wants_no_such_device_is_left_alone(guest: Guest) -> None:
    guest.send(fake.REJECT)
    assert guest.bulk_answer(guest.ask(512))[0] == fake.IO_ERROR
    assert guest.silent()


# Transfers


@pytest.mark.parametrize("piece", [512, 16384, 1 << 20, 4 << 20])
def test_content_both_ways_by_transfers_of_any_size(
    share: Path, client: RedirectedClient, piece: int
) -> None:
    client._piece = piece
    assert client.call(0x1002, 1).code == OK
    handles = struct.unpack("<2I", client.call(0x1007, 0xFFFFFFFF, 0, 0xFFFFFFFF).data or b"")
    assert client.call(0x1009, handles[1]).data == CONTENT
    info = struct.pack("<IHHIHIIIIIIIHIIB", 0, 0x3000, 0, len(CONTENT), *[0] * 11, 7)
    info += "up.bin\0".encode("utf-16-le") + bytes(3)
    assert client.call(0x100C, 0x10001, 0xFFFFFFFF, data=info).code == OK
    assert client.call(0x100D, data=CONTENT).code == OK
    assert (share / "up.bin").read_bytes() == CONTENT


def test_transfers_asked_for_ahead_are_answered_in_their_order(client: RedirectedClient) -> None:
    guest = client.guest
    asked = [guest.ask(4096) for _ in range(4)]
    client.command(0x1001)
    first, second = (guest.bulk_answer(number) for number in asked[:2])
    assert first[2][4:6] == b"\2\0"
    assert second[2][4:8] == struct.pack("<HH", 3, OK)
    assert guest.silent()
    client.command(0x1001)
    assert guest.bulk_answer(asked[2])[2] == first[2][:8] + struct.pack("<I", 2) + first[2][12:]


def test_what_is_sent_is_acknowledged_while_the_disk_is_slow(
    client: RedirectedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only as much as may wait: then the guest waits too, and nothing is lost."""
    guest = client.guest
    client.call(0x1002, 1)
    hold = threading.Event()
    store = client.responder.store
    original = store.storage_ids
    monkeypatch.setattr(
        type(store), "storage_ids", lambda self: (hold.wait(10), original())[1], raising=True
    )
    client.command(0x1004)
    sent = [guest.send(fake.BULK, guest.bulk_fields(2, 1 << 19), bytes(1 << 19)) for _ in range(4)]
    assert guest.bulk_answer(sent[0])[0] == fake.SUCCESS
    assert guest.bulk_answer(sent[1])[0] == fake.SUCCESS
    assert guest.silent()
    status = guest.control(0xA1, 0x67, 0, 0, 4)
    assert status == (fake.SUCCESS, struct.pack("<HH", 4, 0x2019))  # busy, and says so
    guest.send(fake.CANCEL, number=sent[3])
    assert guest.bulk_answer(sent[3])[0] == fake.CANCELLED
    hold.set()
    assert guest.bulk_answer(sent[2])[0] == fake.SUCCESS


def test_a_read_is_taken_back(client: RedirectedClient) -> None:
    guest = client.guest
    number = guest.ask(512)
    guest.send(fake.CANCEL, number=number)
    assert guest.bulk_answer(number) == (fake.CANCELLED, 0, b"")
    guest.send(fake.CANCEL, number=number)  # there is no such transfer any more
    assert client.call(0x1001).code == OK


def test_a_transaction_is_cancelled(client: RedirectedClient) -> None:
    guest = client.guest
    client.call(0x1002, 1)
    client.command(0x1009, 1)
    handles = client
    guest.bulk_answer(guest.ask(512))
    guest.control(0x21, 0x64, data=struct.pack("<HI", 0x4001, handles._transaction_id))
    until(lambda: guest.control(0xA1, 0x67, 0, 0, 4)[1] == struct.pack("<HH", 4, OK))
    assert client.call(0x1001).code == OK


def test_a_class_reset_closes_the_session(client: RedirectedClient) -> None:
    client.call(0x1002, 1)
    assert client.guest.control(0x21, 0x66) == (fake.SUCCESS, b"")
    until(lambda: client.guest.control(0xA1, 0x67, 0, 0, 4)[1] == struct.pack("<HH", 4, OK))
    assert client.call(0x1002, 1).code == OK


def test_a_halted_endpoint_stalls_until_it_is_cleared(client: RedirectedClient) -> None:
    guest = client.guest
    for endpoint in (fake.BULK_IN, fake.BULK_OUT):
        assert guest.control(0x02, 3, 0, endpoint) == (fake.SUCCESS, b"")
        assert guest.control(0x82, 0, 0, endpoint, 2) == (fake.SUCCESS, b"\1\0")
    assert guest.bulk_answer(guest.ask(512))[0] == fake.STALL
    number = guest.send(fake.BULK, guest.bulk_fields(2, 3), b"abc")
    assert guest.bulk_answer(number) == (fake.STALL, 0, b"")
    status = guest.control(0xA1, 0x67, 0, 0, 64)[1]
    assert status == struct.pack("<HHII", 12, 0x201F, 2, 0x81)
    for endpoint in (fake.BULK_IN, fake.BULK_OUT):
        assert guest.control(0x02, 1, 0, endpoint) == (fake.SUCCESS, b"")
    assert client.call(0x1001).code == OK


@pytest.mark.parametrize("endpoint", [0x01, 0x82, 0x03])
def test_there_are_no_other_bulk_endpoints(guest: Guest, endpoint: int) -> None:
    data = b"" if endpoint & 0x80 else b"abc"
    number = guest.send(fake.BULK, guest.bulk_fields(endpoint, 3), data)
    assert guest.bulk_answer(number) == (fake.INVALID, 0, b"")


def test_buffered_receiving_sends_unasked(client: RedirectedClient) -> None:
    guest = client.guest
    number = guest.send(fake.START_BULK, struct.pack("<IIBB", 0, 512, fake.BULK_IN, 5))
    status = guest.receive(fake.BULK_STATUS, number).body
    assert status == struct.pack("<IBB", 0, fake.BULK_IN, fake.SUCCESS)
    client.command(0x1001)
    data = b""
    while len(data) % 512 == 0:
        body = guest.receive(fake.BUFFERED).body
        assert struct.unpack_from("<IIBB", body) == (0, len(body) - 10, fake.BULK_IN, 0)
        data += body[10:]
    assert struct.unpack_from("<I", data) == (len(data),)
    assert guest.receive(fake.BUFFERED).body[10:] == struct.pack("<IHHI", 12, 3, OK, 1)
    number = guest.send(fake.STOP_BULK, struct.pack("<IB", 0, fake.BULK_IN))
    assert guest.receive(fake.BULK_STATUS, number).body[5] == fake.SUCCESS
    assert client.call(0x1001).code == OK


@pytest.mark.parametrize("size", [0, 1, 511, 513, 256 * 1024 + 512, 4 << 20, (1 << 32) - 512])
def test_buffered_receiving_by_pieces_that_cannot_be_is_refused(
    client: RedirectedClient, size: int
) -> None:
    number = client.guest.send(fake.START_BULK, struct.pack("<IIBB", 0, size, fake.BULK_IN, 5))
    status = client.guest.receive(fake.BULK_STATUS, number).body
    assert status == struct.pack("<IBB", 0, fake.BULK_IN, fake.INVALID)
    assert client.call(0x1001).code == OK


@pytest.mark.parametrize("size", [512, 256 * 1024])
def test_content_is_received_unasked(client: RedirectedClient, size: int) -> None:
    client.call(0x1002, 1)
    handles = client.call(0x1007, 0xFFFFFFFF, 0, 0xFFFFFFFF).data or b""
    guest = client.guest
    number = guest.send(fake.START_BULK, struct.pack("<IIBB", 0, size, fake.BULK_IN, 5))
    assert guest.receive(fake.BULK_STATUS, number).body[5] == fake.SUCCESS
    client.command(0x1009, struct.unpack_from("<I", handles, 4)[0])
    data = b"".join(unasked(guest, size))
    assert data[12:] == CONTENT
    assert guest.receive(fake.BUFFERED).body[10:][4:8] == struct.pack("<HH", 3, OK)


def unasked(guest: Guest, size: int) -> Iterator[bytes]:
    """Pieces of a transfer, up to its end."""
    while True:
        piece = guest.receive(fake.BUFFERED).body[10:]
        yield piece
        if len(piece) < size:
            return


# Events


def test_events_come_while_content_is_on_its_way(share: Path, client: RedirectedClient) -> None:
    client.call(0x1002, 1)
    handles = client.call(0x1007, 0xFFFFFFFF, 0, 0xFFFFFFFF).data or b""
    client.command(0x1009, struct.unpack_from("<I", handles, 4)[0])
    client.guest.read(512)
    (share / "new.txt").touch()
    assert client.event().code == 0x4002
    rest = len(client.read_transfer())
    assert rest == len(CONTENT) + 12 - 512
    client.read_transfer()


def test_events_are_for_who_listens(share: Path, client: RedirectedClient) -> None:
    client.call(0x1002, 1)
    client.call(0x1007, 0xFFFFFFFF, 0, 0xFFFFFFFF)
    stop = client.guest.send(fake.STOP_INTERRUPT, bytes([fake.EVENTS]))
    client.guest.receive(fake.INTERRUPT_STATUS, stop)
    (share / "new.txt").touch()
    assert client.guest.silent()
    client.guest.listen()
    assert client.event().code == 0x4002
    _, data = client.guest.control(0xA1, 0x65, 0, 0, 64)
    assert struct.unpack_from("<H", data)[0] in (0x4002, 0x400C)  # the storage has less room


def test_a_flood_of_events_comes_no_faster_than_a_guest_can_keep_them(
    client: RedirectedClient,
) -> None:
    client.call(0x1002, 1)
    begun = time.monotonic()
    for _ in range(1100):
        client.responder.device_info_changed()
    for _ in range(1100):
        assert client.event().code == 0x4008
    assert time.monotonic() - begun > 0.2  # a hundred were too many at once


@pytest.mark.parametrize("many", [5000, MOST + 1])
def test_a_guest_that_did_not_listen_is_told_all_or_to_list_anew(
    client: RedirectedClient, many: int
) -> None:
    client.call(0x1002, 1)
    stop = client.guest.send(fake.STOP_INTERRUPT, bytes([fake.EVENTS]))
    client.guest.receive(fake.INTERRUPT_STATUS, stop)
    for number in range(many):
        client.responder.changed(Change(ChangeKind.REMOVED, number))
    client.guest.listen()
    expected = [Heard(0x4003, (number,)) for number in range(500)]
    if many > MOST:
        (storage,) = client.responder.store.storage_ids()
        expected = [Heard(0x4005, (storage,)), Heard(0x4004, (storage,))]
    assert [client.event() for _ in expected] == expected


MANY = 1200  # more than go at once


@pytest.mark.parametrize("listens", [True, False])
def test_events_that_wait_are_no_silence_in_an_upload(
    share: Path, client: RedirectedClient, listens: bool
) -> None:
    begin_upload(client)
    for _ in range(MANY):
        client.responder.device_info_changed()
    if not listens:
        stop = client.guest.send(fake.STOP_INTERRUPT, bytes([fake.EVENTS]))
        client.guest.receive(fake.INTERRUPT_STATUS, stop)
    for _ in range(3):
        time.sleep(0.05)  # as a client that reads its file from a slow disk
        client.guest.write(bytes(16384))
    rest = (1 << 20) - 500 - 3 * 16384
    client.guest.write(bytes(rest))
    assert client.read_transfer()[6:8] == struct.pack("<H", OK)
    assert (share / "up.bin").stat().st_size == 1 << 20


def test_events_that_wait_do_not_end_the_wait_for_a_guest(client: RedirectedClient) -> None:
    """One that has taken a read back is still given its answer later."""
    client.call(0x1002, 1)
    number = client.guest.ask(512)
    client.guest.send(fake.CANCEL, number=number)
    assert client.guest.bulk_answer(number)[0] == fake.CANCELLED
    for _ in range(MANY):
        client.responder.device_info_changed()
    client.command(0x1004)
    time.sleep(0.05)
    assert client.read_transfer()[4:8] == struct.pack("<HH", 2, 0x1004)
    assert client.read_transfer()[4:8] == struct.pack("<HH", 3, OK)


def test_events_do_not_keep_an_upload_from_its_end(client: RedirectedClient) -> None:
    """Of a guest that sends no zero-length packet: the end is a moment of silence from it."""
    client.call(0x1002, 1)
    size = 16384 - 12
    info = struct.pack("<IHHIHIIIIIIIHIIB", 0, 0x3000, 0, size, *[0] * 11, 7)
    info += "up.bin\0".encode("utf-16-le") + bytes(3)
    assert client.call(0x100C, 0x10001, 0xFFFFFFFF, data=info).code == OK
    client.command(0x100D)
    answered = threading.Event()

    def happen() -> None:
        while not answered.wait(0.03):
            client.responder.device_info_changed()

    device = threading.Thread(target=happen)
    device.start()
    try:
        client.guest.write(struct.pack("<IHHI", size + 12, 2, 0x100D, 0) + bytes(size))
        assert client.read_transfer()[4:8] == struct.pack("<HH", 3, OK)
    finally:
        answered.set()
        device.join()


# Ends


def begin_download(client: RedirectedClient) -> None:
    client.call(0x1002, 1)
    handles = client.call(0x1007, 0xFFFFFFFF, 0, 0xFFFFFFFF).data or b""
    client.command(0x1009, struct.unpack_from("<I", handles, 4)[0])
    client.guest.read(512)


def begin_upload(client: RedirectedClient) -> None:
    client.call(0x1002, 1)
    info = struct.pack("<IHHIHIIIIIIIHIIB", 0, 0x3000, 0, 1 << 20, *[0] * 11, 7)
    info += "up.bin\0".encode("utf-16-le") + bytes(3)
    assert client.call(0x100C, 0x10001, 0xFFFFFFFF, data=info).code == OK
    client.command(0x100D)
    client.guest.write(struct.pack("<IHHI", (1 << 20) + 12, 2, 0x100D, 0) + bytes(500))


BEGINNINGS = {"idle": lambda client: None, "download": begin_download, "upload": begin_upload}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_guest_is_killed_and_the_next_one_served(
    share: Path, client: RedirectedClient, beginning: str
) -> None:
    BEGINNINGS[beginning](client)
    client.guest.close()
    other = client.another()
    assert other.call(0x1002, 1).code == OK
    until(lambda: not list(share.glob(".mtp-appliance/[0-9]*/*")))
    assert not (share / "up.bin").exists()


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_guest_is_reset_and_begins_anew(
    share: Path, client: RedirectedClient, beginning: str
) -> None:
    """The same connection: the machine restarts, its program does not."""
    BEGINNINGS[beginning](client)
    pending = client.guest.ask(512) if beginning == "upload" else None
    client.guest.send(fake.RESET)
    if pending is not None:
        assert client.guest.bulk_answer(pending)[0] == fake.IO_ERROR
    assert client.guest.control(0x80, 6, 0x0100, 0, 18)[0] == fake.SUCCESS
    assert client.guest.configure() == b"\0\1"
    client._transaction_id = 0
    assert client.call(0x1002, 1).code == OK
    assert client.call(0x1001).code == OK
    until(lambda: not list(share.glob(".mtp-appliance/[0-9]*/*")))


def test_a_guest_is_reset_and_begins_anew_before_the_disk_is_done(
    share: Path, client: RedirectedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says on the new connection is nothing of the upload that was under way."""
    begin_upload(client)
    hold, write = threading.Event(), StagedUpload.write
    writing = threading.Event()

    def slowly(self: StagedUpload, data: memoryview) -> None:
        writing.set()
        hold.wait(fake.PATIENCE)
        write(self, data)

    monkeypatch.setattr(StagedUpload, "write", slowly)
    client.guest.write(bytes(16384))
    assert writing.wait(fake.PATIENCE)
    client.guest.send(fake.RESET)
    assert client.guest.configure() == b"\0\1"
    client._transaction_id = 0
    client.command(0x1002, 1)
    assert client.guest.silent()
    hold.set()
    assert client.read_transfer() == struct.pack("<IHHI", 12, 3, OK, 1)
    assert client.call(0x1004).code == OK
    until(lambda: not list(share.glob(".mtp-appliance/[0-9]*/*")))


def test_a_guest_that_was_migrated_has_the_device_plugged_in_anew(path: Path) -> None:
    guest = Guest(dial(path), None)
    old = guest.ask(512)
    guest.receive(fake.DISCONNECT)
    guest.plug()
    assert guest.bulk_answer(old)[0] == fake.IO_ERROR
    assert guest.configure() == b"\0\1"
    guest.write(struct.pack("<IHHI", 16, 1, 0x1002, 0) + struct.pack("<I", 1))
    assert guest.read() == struct.pack("<IHHI", 12, 3, OK, 0)
    guest.close()


def test_several_guests_have_sessions_of_their_own(share: Path, client: RedirectedClient) -> None:
    other = client.another()
    for each in (client, other):
        assert each.call(0x1002, 1).code == OK
        each.call(0x1007, 0xFFFFFFFF, 0, 0xFFFFFFFF)
    (share / "new.txt").touch()
    assert client.event() == other.event()
    assert client.call(0x1003).code == OK
    assert other.call(0x1004).code == OK


HOSTILE = {
    "noise": os.urandom(64) + b"\xff" * 64,
    "another protocol": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a second hello": struct.pack("<III", 0, 68, 0) + bytes(68),
    "too much": struct.pack("<IIQ", 101, 0xFFFFFFFF, 1),
    "what a host sends": struct.pack("<IIQ", 1, 10, 1) + bytes(10),
    "bulk data that is not there": struct.pack("<IIQBBHIH", 101, 10, 1, 2, 0, 9, 0, 0),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_who_does_not_speak_usbredir_is_refused_in_one_line(
    path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    guest = plugged(path)
    with caplog.at_level("WARNING"):
        guest.raw(HOSTILE[what])
        assert guest.is_over()
    warned = [each.message for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(warned) == 1
    assert "REFUSED" in warned[0]
    guest.close()
    plugged(path).close()


def test_endless_transfers_without_listening_take_bounded_room(path: Path) -> None:
    guest = plugged(path)
    guest.socket.settimeout(2)
    with pytest.raises((ConnectionError, TimeoutError)):
        for _ in range(5000):
            guest.ask(1 << 20)
        assert guest.is_over()
        raise ConnectionResetError
    guest.close()
    plugged(path).close()


def test_who_asks_without_end_and_reads_nothing_is_not_heard_any_more(path: Path) -> None:
    guest = plugged(path)
    guest.socket.settimeout(1)
    request = struct.pack("<IIQBBBBHHH", 100, 10, 1, 0x80, 6, 0x80, 0, 0x200, 0, 255)
    with pytest.raises(TimeoutError):
        for _ in range(1000):
            guest.raw(request * 1000)
    guest.close()
    plugged(path).close()


def test_there_may_be_so_many_guests_and_no_more(path: Path) -> None:
    guests = [plugged(path) for _ in range(MAX_GUESTS)]
    late = dial(path)
    assert late.recv(1) == b""
    late.close()
    guests.pop().close()
    until(lambda: is_let_in(path))
    for each in guests:
        each.close()


def test_a_connection_that_says_nothing_makes_room_for_a_guest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only then: it may be that of a machine that is paused, or that is to migrate here."""
    monkeypatch.setattr(usbredir, "_SILENCE", 1000.0)
    silent = [dial(path) for _ in range(2)]  # first, lest one that knocks takes a place of theirs
    speaking = [plugged(path) for _ in range(MAX_GUESTS - 2)]
    until(lambda: not is_let_in(path))
    monkeypatch.setattr(usbredir, "_SILENCE", 0.0)
    late = plugged(path)
    (gone,) = select.select(silent, [], [], fake.PATIENCE)[0]
    assert gone.recv(1) == b""
    silent.remove(gone)
    paused = Guest(silent[0])
    paused.plug()
    monkeypatch.setattr(usbredir, "_SILENCE", 1000.0)
    assert not is_let_in(path)
    for each in (*speaking, late):
        assert each.control(0x80, 0, 0, 0, 2) == (fake.SUCCESS, b"\1\0")
        each.close()
    paused.close()
    gone.close()


def is_let_in(path: Path) -> bool:
    try:
        plugged(path).close()
    except ConnectionError:
        return False
    return True


def _held() -> tuple[int, int]:
    """Count this process's descriptors and threads; listing takes one."""
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


@pytest.mark.parametrize("how", ["in a transfer", "idle", "not plugged in"])
def test_nothing_is_kept_of_guests_that_went(path: Path, how: str) -> None:
    def come_and_go() -> None:
        guest = Guest(dial(path)) if how == "not plugged in" else plugged(path)
        if how == "in a transfer":
            guest.write(struct.pack("<IHHII", 16, 1, 0x1002, 1, 1))
            assert guest.read() == struct.pack("<IHHI", 12, 3, OK, 1)
            guest.write(struct.pack("<IHHII", 16, 1, 0x1009, 2, 1))
        guest.close()

    come_and_go()
    before = _held()
    for _ in range(20):
        come_and_go()
    until(lambda: all(now <= then for now, then in zip(_held(), before, strict=True)))


# Places


@pytest.fixture
def responder(share: Path) -> Iterator[Responder]:
    with responder_for([share]) as responder:
        yield responder


def test_a_socket_is_for_owner_and_group_and_goes_with_the_server(
    responder: Responder, tmp_path: Path
) -> None:
    path = tmp_path / "guest.sock"
    with UsbRedirServer(responder, [Place(path)], fake.DESCRIPTION):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


def test_a_socket_left_behind_is_replaced(responder: Responder, tmp_path: Path) -> None:
    path = tmp_path / "guest.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    with UsbRedirServer(responder, [Place(path)], fake.DESCRIPTION):
        plugged(path).close()


@pytest.mark.parametrize("what", ["a file", "a folder", "in use", "no folder", "too long"])
def test_where_one_cannot_listen(responder: Responder, tmp_path: Path, what: str) -> None:
    path = tmp_path / ("x" * 108 if what == "too long" else "guest.sock")
    with socket.socket(socket.AF_UNIX) as other:
        if what == "a file":
            path.write_bytes(b"precious")
        elif what == "a folder":
            path.mkdir()
        elif what == "in use":
            other.bind(str(path))
            other.listen()
        elif what == "no folder":
            path = tmp_path / "nowhere" / "guest.sock"
        with pytest.raises(ApplianceError, match="listen"):
            UsbRedirServer(responder, [Place(tmp_path / "first"), Place(path)], fake.DESCRIPTION)
    assert not (tmp_path / "first").exists()
    if what == "a file":
        assert path.read_bytes() == b"precious"


def test_over_tcp(responder: Responder) -> None:
    place = Place(address=Address("127.0.0.1", 0))
    with UsbRedirServer(responder, [place], fake.DESCRIPTION) as server:
        (found,) = server.places
        assert found.address is not None
        assert str(found) == f"tcp:{found.address}"
        guest = Guest(socket.create_connection(found.address))
        guest.plug()
        until(lambda: timers(found.address) == [KEEPALIVE])
        guest.close()


KEEPALIVE = 2


def timers(address: Address | None) -> list[int]:
    """Ask the kernel what it waits for in the connections that it has accepted at an address."""
    assert address is not None
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established, port = "01", f":{address.port:04X}"
    return [int(row[5][:2]) for row in rows if row[1].endswith(port) and row[3] == established]


def test_a_place_is_called_again_after_a_lack_of_descriptors(
    responder: Responder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "qemu.sock"
    failed = threading.Event()

    def fail(*_: object) -> None:
        failed.set()
        raise OSError(EMFILE, os.strerror(EMFILE))

    monkeypatch.setattr(usbredir, "_PAUSE", 0.05)
    with socket.socket(socket.AF_UNIX) as listener, monkeypatch.context() as patched:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(fake.PATIENCE)
        patched.setattr(os, "eventfd", fail)
        with UsbRedirServer(responder, [Place(path, calls=True)], fake.DESCRIPTION) as server:
            with listener.accept()[0] as refused:
                assert refused.recv(1) == b""
            assert failed.is_set()
            patched.undo()
            until(lambda: is_greeted(listener))
            assert server.is_alive


def is_greeted(listener: socket.socket) -> bool:
    """Whether the next one that calls stays, and has a device."""
    try:
        guest = Guest(listener.accept()[0])
        guest.plug()
        guest.close()
    except ConnectionError:
        return False
    return True


@pytest.mark.parametrize("road", ["unix", "tcp"])
def test_the_guest_s_program_may_be_the_one_that_listens(
    responder: Responder, tmp_path: Path, road: str
) -> None:
    """It is called again after each end."""
    path = tmp_path / "qemu.sock"
    with socket.socket(socket.AF_UNIX if road == "unix" else socket.AF_INET) as listener:
        listener.bind(str(path) if road == "unix" else ("127.0.0.1", 0))
        place = Place(path, calls=True)
        if road == "tcp":
            place = Place(address=Address.of(listener.getsockname()), calls=True)
        with UsbRedirServer(responder, [place], fake.DESCRIPTION):
            listener.listen()
            listener.settimeout(fake.PATIENCE)
            for _ in range(2):
                guest = Guest(listener.accept()[0])
                guest.plug()
                guest.close()


def test_closing_ends_every_guest(responder: Responder, tmp_path: Path) -> None:
    path = tmp_path / "guest.sock"
    with UsbRedirServer(responder, [Place(path)], fake.DESCRIPTION) as server:
        assert server.is_alive
        guest = plugged(path)
    assert guest.is_over()
    guest.close()
