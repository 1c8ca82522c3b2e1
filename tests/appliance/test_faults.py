# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the machine: what the PC is answered, what light, page and log say, and that it heals.

A controller whose driver goes is in tests/usb/test_gadget.py: under a network function it ends the
kernel.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from appliance import places, status
from appliance.leds.patterns import Pattern, select
from appliance.mtp.codes import DevicePropertyCode, FormatCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.wire import encode_string
from appliance.settings.passwords import hash_password
from tests.appliance import cable, units
from tests.appliance.browser import Browser
from tests.appliance.failing_disk import FailingDisk
from tests.appliance.led import Led
from tests.appliance.pc import Pc
from tests.appliance.test_page import PASSWORD, settings
from tests.usb.host import OK, Answer, Host, program
from tests.usb.mtp import ROOT, STORAGE, announce, find, handles, pattern
from tests.usb.test_start import foreign_gadget

pytestmark = pytest.mark.guest("appliance")

SECOND = 0x00020001
NAME = DevicePropertyCode.DEVICE_FRIENDLY_NAME
FAULTY = Path("/srv/faulty")
#: Years, in seconds.
JUMPS = (20 * 366 * 86_400, -20 * 366 * 86_400)
SIZE = 3_000_000


class Home:
    """The page's home, for somebody at the PC who has logged in."""

    def __init__(self, pc: Pc) -> None:
        self._pc = pc
        self.plug_in()
        self.browser = Browser(pc, f"http://{cable.addresses()['inet']}")
        units.wait_until(lambda: self.browser.get("/login").status == 200, "the page is served")
        assert self.browser.post("/login", "/login", {"password": PASSWORD}).status == 303

    def plug_in(self) -> None:
        """Take the cable's interface again, after the device was gone."""
        cable.wait_until_on_the_bus()
        self._pc.plug_in()

    def wait_until_says(self, words: str) -> None:
        """Wait until the page has these words; it starts anew with the cable's interface."""
        units.wait_until(lambda: words in self.browser.get("/").text, f"the page says {words}")


@pytest.fixture(scope="module")
def home(pc: Pc) -> Iterator[Home]:
    units.wait_until_active(units.RESPONDER)
    before = settings().text()
    settings().set({"web.password": hash_password(PASSWORD)})
    try:
        yield Home(pc)
    finally:
        settings().forget_secrets()
        settings().replace(before)


@pytest.fixture(scope="module")
def led() -> Iterator[Led]:
    """A LED that can be looked at, in some of the tests."""
    led = Led()
    led.make()
    yield led
    led.remove()


def light() -> Pattern:
    """What the light has to show."""
    failures = [each.name for each in units.FAILURES.iterdir()]
    alive = status.is_kept(places.STATUS)
    return select(status.read(places.STATUS) if alive else None, failures)


def wait_until_lit(pattern: Pattern, led: Led | None = None) -> None:
    """Wait for a pattern, on the LED too; what moves files shows its own first."""
    units.wait_until(lambda: light() is pattern, f"the light has to show {pattern.label}")
    if led:
        units.wait_until(lambda: led.shows(pattern), f"the light shows {pattern.label}")


def warned() -> set[str]:
    """Name what the status warns of."""
    return {each.code for each in status.read(places.STATUS).warnings}


def wait_until_warned(code: str) -> None:
    units.wait_until(lambda: code in warned(), f"the status warns of {code}")
    # What was logged in 1970 may be anywhere in it.
    units.wait_until(lambda: code in units.journal(10_000), f"the log tells of {code}")


def wait_until_not_warned(code: str) -> None:
    units.wait_until(lambda: code not in warned(), f"the status warns of {code} no more")


def put(host: Host, name: str, data: bytes, storage: int = STORAGE) -> Answer:
    """Upload a file; the answer to what failed, or to the end."""
    info = ObjectInfo(storage, FormatCode.UNDEFINED, len(data), 0, name)
    answer = host.send(Op.SEND_OBJECT_INFO, storage, ROOT, data=info.encode())
    return answer if answer.code != OK else host.send(Op.SEND_OBJECT, data=data)


# The clock


@contextmanager
def clock_at(seconds: float) -> Iterator[None]:
    """Set the clock for a while; the true time goes on."""
    true, since = time.time(), time.monotonic()
    time.clock_settime(time.CLOCK_REALTIME, seconds)
    try:
        yield
    finally:
        time.clock_settime(time.CLOCK_REALTIME, true + time.monotonic() - since)


def test_no_clock_and_one_that_jumps_by_years(share: Path, home: Home, led: Led) -> None:
    before = units.main_pid(units.RESPONDER)
    with program() as host:
        with clock_at(time.monotonic() + 60):  # the kernel takes none from before its start
            assert put(host, "of 1970", b"1").code == OK
            wait_until_warned("clock-not-set")
            wait_until_lit(Pattern.CONNECTED, led)
            home.wait_until_says("The clock has not been set")
        for jump in JUMPS:
            with clock_at(time.time() + jump):
                assert put(host, f"jump {jump}", b"2").code == OK
                assert host.ask(Op.DELETE_OBJECT, find(host, f"jump {jump}")).code == OK
        wait_until_not_warned("clock-not-set")
        assert host.ask(Op.GET_OBJECT, find(host, "of 1970")).data == b"1"
    assert units.main_pid(units.RESPONDER) == before
    kept = units.run("mtp-appliance", "trash", "list")
    assert all(kept.count(f"jump {jump}") for jump in JUMPS), kept
    units.run("mtp-appliance", "trash", "empty")


# The state


@contextmanager
def full_state() -> Iterator[None]:
    """Put a partition without any room over settings and state, in all services' sandboxes too."""
    full = Path("/run/full")
    copies = {places.STATE: full / "state", places.SETTINGS.parent: full / "settings"}
    with ExitStack() as held:
        full.mkdir()
        held.callback(full.rmdir)
        units.run("mount", "-t", "tmpfs", "-o", "size=512k", "none", str(full))
        held.callback(units.run, "umount", "--lazy", str(full))
        for place, copy in copies.items():
            units.run("cp", "-a", str(place), str(copy))
        with (full / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="28"):
            while True:
                file.write(bytes(4096))
        for place, copy in copies.items():
            units.run("mount", "--bind", str(copy), str(place))
            held.callback(units.run, "umount", "--lazy", str(place))
        yield


def test_a_full_state_partition(share: Path, home: Home) -> None:
    text = places.SETTINGS.read_text()
    with full_state():
        with program() as host:
            assert put(host, "new", pattern(SIZE)).code == OK
            assert (share / "new").read_bytes() == pattern(SIZE)
            wait_until_warned("state-full")
            wait_until_lit(Pattern.ERROR)
            named = host.send(Op.SET_DEVICE_PROP_VALUE, NAME, data=encode_string("Kitchen"))
            assert named.code == Code.ACCESS_DENIED, hex(named.code)
            home.wait_until_says("There is no room left for settings")
            sent = home.browser.post("/settings/change", "/settings", {"trash.days": "77"})
            told = sent.text + home.browser.get("/settings").text
            assert "No space left" in told, told
        assert places.SETTINGS.read_text() == text
    wait_until_not_warned("state-full")


# The card


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    """A disk that can fail; what it has done is told of until the responder starts anew."""
    disk = FailingDisk(FAULTY)
    disk.make()
    yield disk
    disk.remove()
    units.run("systemctl", "restart", units.RESPONDER)


@contextmanager
def served(disk: FailingDisk) -> Iterator[None]:
    """Let a disk be the second storage for a while."""
    before = settings().text()
    settings().replace(f'{before}\n[[storages]]\npath = "{disk.place}"\n')
    try:
        units.wait_until(lambda: str(disk.place) in _paths(), "the disk is served")
        yield
    finally:
        settings().replace(before)
        units.wait_until(lambda: str(disk.place) not in _paths(), "it is served no more")


def _paths() -> list[str]:
    return [each.path for each in status.read(places.STATUS).storages]


def test_a_card_that_fails(disk: FailingDisk, share: Path, home: Home) -> None:
    """It gives nothing, then takes nothing; the other one works as before."""
    with served(disk), program() as host:
        assert put(host, "good", pattern(SIZE)).code == OK
        assert put(host, "old", pattern(SIZE), SECOND).code == OK
        (old,) = handles(host, SECOND)
        disk.fail()
        assert host.ask(Op.GET_OBJECT, old).code in {Code.GENERAL_ERROR, Code.INCOMPLETE_TRANSFER}
        wait_until_warned("storage-errors")
        wait_until_lit(Pattern.ERROR)
        home.wait_until_says("The card, or a disk, has errors")
        assert "DISK    failed: Input/output error" in units.journal(200)
        assert host.ask(Op.GET_OBJECT, find(host, "good")).data == pattern(SIZE)
        disk.heal()
        assert host.ask(Op.GET_OBJECT, old).data == pattern(SIZE)
        disk.fail_writes()
        new = put(host, "new", pattern(SIZE), SECOND)
        assert new.code in {Code.GENERAL_ERROR, Code.STORE_READ_ONLY}, hex(new.code)
        assert put(host, "good too", pattern(SIZE)).code == OK
    disk.start_anew()
    assert (FAULTY / "old").read_bytes() == pattern(SIZE)
    assert not (FAULTY / "new").exists()


# Memory


def test_a_responder_without_memory(share: Path, home: Home) -> None:
    """It is killed, told of, and back as soon as it has memory; what was whole is whole."""
    with program() as host:
        assert put(host, "old", pattern(SIZE)).code == OK
        announce(host, "coming", SIZE)
    units.run("systemctl", "set-property", "--runtime", units.RESPONDER, "MemoryMax=8M")
    told = units.FAILURES / units.RESPONDER
    try:
        units.wait_until(lambda: told.exists() and "KILL" in told.read_text(), "it is told of")
        wait_until_lit(Pattern.ERROR)
        assert "OOM killer" in units.run("journalctl", "-n", "80", "-u", units.RESPONDER)
    finally:
        units.run("systemctl", "set-property", "--runtime", units.RESPONDER, "MemoryMax=70%")
    units.wait_until(lambda: units.is_active(units.RESPONDER) and not told.exists(), "it is back")
    home.plug_in()
    with program() as host:
        assert host.ask(Op.GET_OBJECT, find(host, "old")).data == pattern(SIZE)
        assert put(host, "new", b"4").code == OK
    assert not (share / "coming").exists()
    home.wait_until_says("MTP Appliance")


# The controller


def test_another_program_takes_the_controller(share: Path, home: Home, led: Led) -> None:
    responder = units.main_pid(units.RESPONDER)
    units.run("modprobe", "usb_f_acm")  # what is stopped for long is killed by the watchdog
    os.kill(responder, signal.SIGSTOP)
    try:
        (cable.GADGET / "UDC").write_text("\n")
        with foreign_gadget():
            os.kill(responder, signal.SIGCONT)
            wait_until_warned("controller-taken")
            wait_until_lit(Pattern.ERROR, led)
            units.wait_until(lambda: not cable.is_on_the_bus(), "it is off the bus")
            assert "in use by foreign" in units.run("mtp-appliance", "status")
    finally:
        os.kill(responder, signal.SIGCONT)
    home.plug_in()
    with program() as host:
        assert put(host, "after", b"3").code == OK
        wait_until_not_warned("controller-taken")
        wait_until_lit(Pattern.CONNECTED, led)
    home.wait_until_says("MTP Appliance")
    assert units.main_pid(units.RESPONDER) == responder
