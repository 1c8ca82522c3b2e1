# SPDX-License-Identifier: GPL-3.0-or-later
"""What the status says while initiators over TCP do things."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from appliance import status as contract
from appliance.errors import ApplianceError
from appliance.mtp.device import Device
from appliance.mtp.monitor import NOBODY
from appliance.mtp.responder import Responder
from appliance.services.reporting import Places, Reporter
from appliance.services.status_file import StatusFile
from appliance.services.traffic import rest_after
from appliance.settings.interpretation import Findings
from appliance.settings.schema import Settings
from appliance.settings.store import Reading
from appliance.status import Cable, Direction, Outcome, Status
from appliance.storage import Catalogue, Folder, WriteSafety, flushing
from appliance.transports.ptpip import PtpIpServer
from appliance.transports.ptpip_listen import Address
from tests.fakes.device import IDENTITY, ForgetfulState, TestHost
from tests.fakes.ptpip_client import PATIENCE, PtpIpClient
from tests.unit.mtp.test_monitor import object_info, text

OPEN, CLOSE, GET, SEND_INFO, SEND = 0x1002, 0x1003, 0x1009, 0x100C, 0x100D
GET_PARTIAL = 0x101B
ALL = 0xFFFFFFFF


class Rig:
    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.path = root / "run" / "status.json"
        self.failures = root / "failures"
        self.failures.mkdir()
        self.share = root / "share"
        self.share.mkdir()
        folder = Folder(self.share, "Card")
        self.catalogue = stack.enter_context(Catalogue([folder], watch=True))
        self.writes = 0
        file = StatusFile.claim(self.path)
        assert file is not None
        self.reporter = Reporter(self.catalogue, lambda: "Kitchen", Places(file, self.failures))
        stack.enter_context(self.reporter)
        self.reporter.ready()
        device = Device(IDENTITY, ForgetfulState(), TestHost())
        responder = Responder(device, self.catalogue, self.reporter.monitor)
        server = PtpIpServer(responder, [Address("127.0.0.1", 0)])
        stack.enter_context(server)
        self.address = server.addresses[0]

    def wait_for(self, condition: Callable[[Status], bool]) -> Status:
        deadline = time.monotonic() + PATIENCE
        status = None
        while time.monotonic() < deadline:
            if self.path.exists():
                status = contract.read(self.path)
                if condition(status):
                    return status
            time.sleep(0.02)
        raise AssertionError(f"it never came to that: {status}")

    @contextmanager
    def pc(self) -> Iterator[PtpIpClient]:
        with PtpIpClient(self.address) as client:
            assert client.call(OPEN, 1).ok
            yield client


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(tmp_path, stack)


def test_what_it_is_to_begin_with(rig: Rig) -> None:
    status = rig.wait_for(lambda status: status.ready)
    assert status.name == "Kitchen"
    assert {"appliance", "python", "kernel"} <= set(status.versions)
    (card,) = status.storages
    space = os.statvfs(rig.share)
    assert (card.name, card.path, card.state, card.read_only) == (
        *("Card", str(rig.share), "in"),
        False,
    )
    assert card.capacity == space.f_blocks * space.f_frsize
    assert 0 < card.free <= card.capacity
    assert (status.sessions, status.transfers) == ((), ())
    assert status.started <= status.written <= time.time()


def test_sessions_and_who_they_are(rig: Rig) -> None:
    with rig.pc() as pc:
        (session,) = rig.wait_for(lambda status: len(status.sessions) == 1).sessions
        assert (session.road, session.client) == ("ptpip", "tester")
        assert session.peer.startswith("127.0.0.1")
        pc.call(0x1016, 0xD406, data=text("Windows/10"))
        rig.wait_for(lambda status: status.sessions[0].client == "Windows/10")
        with rig.pc():
            rig.wait_for(lambda status: len(status.sessions) == 2)
        rig.wait_for(lambda status: len(status.sessions) == 1)
        pc.call(CLOSE)
        rig.wait_for(lambda status: not status.sessions)


def test_an_upload_is_seen_while_it_comes_and_counted_when_it_is_there(rig: Rig) -> None:
    size = 300_000
    with rig.pc() as pc:
        pc.call(SEND_INFO, 0, 0, data=object_info("holiday.jpg", size))
        pc.request(SEND, phase=2)
        pc.start_data(size)
        pc.data(b"x" * 100_000)
        status = rig.wait_for(lambda status: [each.done for each in status.transfers] == [100_000])
        (transfer,) = status.transfers
        assert (transfer.name, transfer.direction, transfer.total) == (
            "holiday.jpg",
            Direction.OUT,
            size,
        )
        assert status.totals.bytes_out == 0
        pc.data(b"x" * 200_000, last=True)
        assert pc.response()[0] == 0x2001
        status = rig.wait_for(lambda status: not status.transfers)
    assert (status.totals.files_out, status.totals.bytes_out) == (1, size)
    (finished,) = status.recent
    assert (finished.name, finished.direction, finished.size, finished.outcome) == (
        *("holiday.jpg", Direction.OUT, size),
        Outcome.WHOLE,
    )
    assert status.started <= finished.since <= finished.ended <= time.time()
    samples = rig.reporter.history()
    assert sum(from_pc for _, _, from_pc in samples) > 0
    assert not any(to_pc for _, to_pc, _ in samples)
    assert (status.totals.files_in, status.totals.bytes_in) == (0, 0)


@pytest.mark.parametrize("size", [1000, 3 << 20])
def test_a_download_is_counted(rig: Rig, size: int) -> None:
    """Also where the kernel moves it, by sendfile."""
    with (rig.share / "film").open("wb") as file:
        file.truncate(size)
    with rig.pc() as pc:
        handles = pc.call(0x1007, ALL, 0, 0).data or b""
        answer = pc.call(GET, int.from_bytes(handles[4:8], "little"))
        assert len(answer.data or b"") == size
        status = rig.wait_for(lambda status: status.totals.files_in == 1 and not status.transfers)
    assert status.totals.bytes_in == size


def test_a_download_is_seen_while_it_goes(rig: Rig) -> None:
    size = 64 << 20
    with (rig.share / "film").open("wb") as file:
        file.truncate(size)
    with PtpIpClient(rig.address, receive_buffer=4096) as pc:
        pc.call(OPEN, 1)
        handles = pc.call(0x1007, ALL, 0, 0).data or b""
        pc.request(GET, int.from_bytes(handles[4:8], "little"))
        status = rig.wait_for(lambda status: any(each.done for each in status.transfers))
        (transfer,) = status.transfers
        assert (transfer.name, transfer.direction, transfer.total) == ("film", Direction.IN, size)
        assert 0 < transfer.done < size
        pc.kill()
    status = rig.wait_for(lambda status: not status.transfers and not status.sessions)
    assert status.totals.files_in == 0
    assert 0 < status.totals.bytes_in < size
    assert [each.outcome for each in status.recent] == [Outcome.BROKEN_OFF]


def test_a_file_read_in_parts_is_one_transfer(rig: Rig) -> None:
    (rig.share / "book").write_bytes(b"x" * 3000)
    with rig.pc() as pc:
        handles = pc.call(0x1007, ALL, 0, 0).data or b""
        handle = int.from_bytes(handles[4:8], "little")
        for offset in (0, 1000):
            pc.call(GET_PARTIAL, handle, offset, 1000)
        recent = rig.wait_for(lambda status: [each.size for each in status.recent] == [2000]).recent
        assert recent[0].outcome is Outcome.PART
        pc.call(GET_PARTIAL, handle, 2000, 1000)
        recent = rig.wait_for(lambda status: [each.size for each in status.recent] == [3000]).recent
        assert recent[0].outcome is Outcome.WHOLE


def test_while_nothing_happens_nothing_is_written(rig: Rig) -> None:
    """The thread is asleep, as the kernel counts: it is not woken either."""
    with rig.pc() as pc:
        pc.call(SEND_INFO, 0, 0, data=object_info("small", 10))
        pc.call(SEND, data=b"0123456789")
        rig.wait_for(lambda status: status.totals.files_out == 1 and not status.transfers)
        thread = next(each for each in threading.enumerate() if each.name == "status")
        seen = settled(rig.path, thread)
        assert settled(rig.path, thread) == seen


def settled(path: Path, thread: threading.Thread) -> tuple[int, int, int]:
    """What file and thread look like once they have been the same for a while."""
    before, since = (0, 0, 0), time.monotonic()
    deadline = since + 2 * PATIENCE
    while time.monotonic() < min(since + 3.0, deadline):
        found = path.stat()
        now = (found.st_ino, found.st_mtime_ns, switches(thread))
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.05)
    assert time.monotonic() < deadline, "it is never at rest"
    return before


def switches(thread: threading.Thread) -> int:
    """How often a thread has gone to sleep."""
    said = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    return int(said.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def codes(status: Status) -> set[str]:
    return {each.code for each in status.warnings}


def test_what_is_wrong_and_right_again(rig: Rig) -> None:
    bad = Reading(Settings(), Findings(["name: is no name"]), from_good_copy=True)
    rig.reporter.settings_read(bad)
    rig.reporter.storages_failed([ApplianceError("/x does not exist", hint="make it")])
    (rig.failures / "mtp-appliance-leds.service").write_text("no such pin\nmore\n")
    words = ("name: is no name", "/x does not exist", "no such pin", "mtp-appliance-leds")
    status = rig.wait_for(lambda status: all(word in repr(status.warnings) for word in words))
    assert {"settings-errors", "storage-failed", "unit-failed"} <= codes(status)
    assert all(each.hint for each in status.warnings)
    (rig.failures / "mtp-appliance-leds.service").unlink()
    rig.reporter.settings_read(Reading(Settings(), Findings()))
    rig.reporter.storages_failed([])
    gone = {"settings-errors", "storage-failed", "unit-failed"}
    rig.wait_for(lambda status: not gone & codes(status))


def test_where_the_page_is_is_told_with_a_cable_alone(rig: Rig) -> None:
    rig.reporter.settings_read(Reading(Settings(), Findings()))
    assert rig.wait_for(lambda status: status.ready).page == ""
    rig.reporter.serves_usb("no such controller", None, alone=True)
    rig.wait_for(lambda status: status.page == "http://mtp-appliance.local")


def test_a_controller_that_does_not_come_is_told_of_though_nothing_happens(rig: Rig) -> None:
    lasting: list[ApplianceError | None] = [None]
    rig.reporter.serves_usb("no such controller", lambda: lasting[0], alone=True)
    rig.wait_for(lambda status: status.usb.cable is Cable.NO_CONTROLLER)
    lasting[0] = ApplianceError("it is none")
    rig.wait_for(lambda status: "no-controller" in codes(status))


@pytest.mark.parametrize(("took", "rest"), [(0.0, 0.25), (0.1, 2.0), (0.5, 5.0), (30.0, 5.0)])
def test_a_slow_disk_does_not_silence_it(took: float, rest: float) -> None:
    assert rest_after(took) == pytest.approx(rest)


def test_storages_come_and_go(rig: Rig, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (first,) = rig.catalogue.storage_ids()
    second = rig.catalogue.add_storage(Folder(more, "More"))
    rig.wait_for(lambda status: [each.name for each in status.storages] == ["Card", "More"])
    rig.catalogue.eject(first)
    status = rig.wait_for(lambda status: status.storages[0].state == "ejected")
    assert (status.ejected, status.storages[0].capacity) == (False, 0)
    rig.catalogue.lock()
    rig.wait_for(lambda status: status.ejected)
    rig.catalogue.unlock()
    rig.catalogue.load(first)
    rig.catalogue.set_read_only(second, read_only=True)
    rig.wait_for(lambda status: not status.ejected and status.storages[1].read_only)
    more.rmdir()
    rig.reporter.look()
    rig.wait_for(lambda status: "storage-missing" in codes(status))
    rig.catalogue.remove_storage(second)
    rig.wait_for(lambda status: [each.name for each in status.storages] == ["Card"])


def test_many_small_files_are_one_transfer_that_has_a_rate(rig: Rig) -> None:
    with rig.pc() as pc:
        rates: list[float] = []
        deadline = time.monotonic() + PATIENCE
        count = 0
        while not any(rates) and time.monotonic() < deadline:
            pc.call(SEND_INFO, 0, 0, data=object_info(f"{count}", 5000))
            pc.call(SEND, data=bytes(5000))
            count += 1
            if rig.path.exists():
                rates += [each.rate for each in contract.read(rig.path).transfers]
        assert any(rates)
        rig.wait_for(lambda status: status.totals.files_out == count and not status.transfers)


def test_systemd_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, ExitStack() as stack:
        channel.settimeout(PATIENCE)
        channel.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        rig = Rig(tmp_path, stack)
        assert channel.recv(100).startswith(b"STATUS=Waiting for a PC")
        with rig.pc() as pc:
            assert channel.recv(100).startswith(b"STATUS=Connected to a PC")
            pc.call(SEND_INFO, 0, 0, data=object_info("secret name", 5))
            pc.call(SEND, data=b"12345")
            said = channel.recv(100)
            assert said.startswith(b"STATUS=Receiving from the PC")
            assert b"secret" not in said


def test_where_nobody_reads_it_nobody_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    before = threading.active_count()
    with (
        Catalogue([Folder(tmp_path, "Card")]) as catalogue,
        Reporter(catalogue, lambda: "", Places(None)) as reporter,
    ):
        reporter.ready()
        assert reporter.monitor is NOBODY
        assert reporter.is_alive
        assert threading.active_count() == before


def test_what_is_not_on_the_card_yet_is_told_until_it_is(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "_PAUSE", 3600)
    rig.catalogue.set_write_safety(WriteSafety.FAST)
    with rig.pc() as pc:
        pc.call(SEND_INFO, 0, 0, data=object_info("holiday.jpg", 5))
        assert pc.call(SEND, data=b"12345").ok
        unsafe = rig.wait_for(lambda status: status.unsafe.files == 1).unsafe
        assert unsafe.size == 5
        assert unsafe.until > 0
        rig.catalogue.settle()
        rig.wait_for(lambda status: not status.unsafe.files)
        assert (rig.share / "holiday.jpg").read_bytes() == b"12345"
