# SPDX-License-Identifier: GPL-3.0-or-later
"""Events on the interrupt endpoint: in order, bounded, and never in the way of anything."""

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import usb.core

from tests.usb.appliance import load_controller
from tests.usb.host import OK, Host

pytestmark = pytest.mark.guest

SERVER = """
import sys, threading
from pathlib import Path
from appliance.gadget.identity import device_identity
from appliance.mtp.ports import Change, ChangeKind
from appliance.services.usb import UsbOptions, usb_transport
from tests.fakes.device import responder_for

def announce(tell):
    for line in sys.stdin:
        first, count = map(int, line.split())
        for number in range(first, first + count):
            tell(Change(ChangeKind.ADDED, number))
        print("sent", flush=True)
identity = device_identity()
with responder_for([Path(sys.argv[1])]) as responder:
    with usb_transport(responder, identity, UsbOptions()) as transport:
        threading.Thread(target=announce, args=(responder.changed,), daemon=True).start()
        print("ready", flush=True)
        transport.serve()
"""


class Announcer:
    """The responder, told when to send which events."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def send(self, first: int, count: int = 1) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(first, count, file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "sent\n"


@pytest.fixture(autouse=True)
def device_log() -> None:
    """The device of these tests is their own."""


@pytest.fixture(scope="module")
def announcer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Announcer]:
    load_controller("high")
    folder: Path = tmp_path_factory.mktemp("share")
    argv = [sys.executable, "-c", SERVER, str(folder)]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Announcer(process)
        process.kill()


@pytest.fixture
def host(announcer: Announcer) -> Iterator[Host]:
    host = Host()
    host.control(0x21, 0x66)
    host.wait_until_ready()
    host.drain()
    events(host)
    yield host.open()
    host.die()


def events(host: Host, count: int = 0) -> list[int]:
    """The objects of all ObjectAdded events that come; `count` of them are waited for."""
    found: list[int] = []
    try:
        while True:
            data = bytes(host.interrupt.read(28, 10000 if len(found) < count else 300))
            size, kind, code, tid, number = struct.unpack("<IHHII", data)
            assert (size, kind, code, tid) == (16, 4, 0x4002, 0xFFFFFFFF)
            found.append(number)
    except usb.core.USBTimeoutError:
        return found


def test_events_come_in_order(host: Host, announcer: Announcer) -> None:
    announcer.send(100, 20)
    assert events(host, 20) == list(range(100, 120))


def test_the_last_event_can_be_asked_for(host: Host, announcer: Announcer) -> None:
    assert host.control(0xA1, 0x65, 64) == bytes(8)
    announcer.send(7)
    assert events(host, 1) == [7]
    expected = struct.pack("<HIHHI", 0x4002, 0xFFFFFFFF, 1, 4, 7)
    assert host.control(0xA1, 0x65, 64) == expected


def test_a_host_that_does_not_listen_blocks_nothing(host: Host, announcer: Announcer) -> None:
    announcer.send(1000, 5000)
    for _ in range(5):
        assert host.ask(0x1004).code == OK
    assert events(host, 5000) == list(range(1000, 6000))


def test_nobody_is_told_without_a_session(host: Host, announcer: Announcer) -> None:
    host.ask(0x1003)
    announcer.send(1, 10)
    assert events(host) == []
    host.open()
    announcer.send(50)
    assert events(host, 1) == [50]
