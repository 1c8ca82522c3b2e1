# SPDX-License-Identifier: GPL-3.0-or-later
"""The cable: pulled, plugged, reset and put to sleep in the middle of transfers."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.codes import ResponseCode as Rc
from tests.usb.appliance import Appliance
from tests.usb.host import OK, Host, data_header, may_sleep, program, sysfs_folder
from tests.usb.mtp import announce, find, pattern

pytestmark = pytest.mark.guest

SIZE = 30_000_000


@contextlib.contextmanager
def in_a_download(share: Path) -> Iterator[Host]:
    if not (share / "big").exists():
        (share / "big").write_bytes(pattern(SIZE))
    host = Host().open()
    host.send_command(Op.GET_OBJECT, find(host, "big"))
    host.read(65536)
    yield host
    host.die()


@contextlib.contextmanager
def in_an_upload(share: Path) -> Iterator[Host]:
    host = Host().open()
    announce(host, "coming", SIZE)
    tid = host.send_command(Op.SEND_OBJECT)
    host.write(data_header(Op.SEND_OBJECT, tid, 12 + SIZE) + pattern(1_000_000 - 12))
    yield host
    host.die()
    assert not (share / "coming").exists()


@contextlib.contextmanager
def idle(share: Path) -> Iterator[Host]:
    host = Host().open()
    yield host
    host.die()


State = Callable[[Path], contextlib.AbstractContextManager[Host]]
STATES = [idle, in_a_download, in_an_upload]


def assert_fresh(appliance: Appliance) -> None:
    """There is no session, and everything works."""
    host = Host()
    assert host.ask(Op.GET_STORAGE_IDS).code == Rc.SESSION_NOT_OPEN
    host.die()
    with program() as again:
        announce(again, "after", 70_000)
        assert again.send(Op.SEND_OBJECT, data=pattern(70_000)).code == OK
        assert again.ask(Op.GET_OBJECT, find(again, "after")).data == pattern(70_000)
    (appliance.share / "after").unlink()


@pytest.mark.parametrize("state", STATES)
def test_unplugged_and_plugged_in(appliance_device: Appliance, share: Path, state: State) -> None:
    with state(share):
        appliance_device.unbind()
        appliance_device.bind()
        assert_fresh(appliance_device)


@pytest.mark.parametrize("state", STATES)
def test_reset_by_the_bus(appliance_device: Appliance, share: Path, state: State) -> None:
    with state(share) as host:
        host.device.reset()
        host.die()
        assert_fresh(appliance_device)


@pytest.mark.parametrize("state", STATES)
def test_configured_anew(appliance_device: Appliance, share: Path, state: State) -> None:
    with state(share) as host:
        folder = sysfs_folder(host)
        (folder / "bConfigurationValue").write_text("0")
        (folder / "bConfigurationValue").write_text("1")
        host.die()
        assert_fresh(appliance_device)


def test_unplugged_many_times(appliance_device: Appliance) -> None:
    """It serves as before, and nothing is kept of each time."""
    appliance_device.unbind()
    appliance_device.bind()
    assert_fresh(appliance_device)
    before = appliance_device.holds()
    for _ in range(10):
        appliance_device.unbind()
        appliance_device.bind()
    assert_fresh(appliance_device)
    appliance_device.wait_until_holds(before)


def test_sleep_loses_nothing(appliance_device: Appliance, share: Path) -> None:
    """The bus sleeps between two transactions, and the session is still open after it."""
    host = Host().open()
    power = sysfs_folder(host) / "power"
    host.die()
    appliance_device.sleep(power)
    host = Host()
    assert host.ask(Op.GET_STORAGE_IDS).code == OK
    host.die()


def test_a_client_that_sleeps_in_a_download_reads_on(
    appliance_device: Appliance, share: Path
) -> None:
    with in_a_download(share) as host:
        with may_sleep(host):
            appliance_device.sleep(sysfs_folder(host) / "power")
        assert host.read_transfer() == pattern(SIZE)[65536 - 12 :]
        assert host.response().code == OK


def test_a_client_that_sleeps_in_an_upload_sends_on(
    appliance_device: Appliance, share: Path
) -> None:
    size, packets = 2_000_000, 1 << 20
    with program() as host:
        announce(host, "slept", size)
        tid = host.send_command(Op.SEND_OBJECT)
        sent = data_header(Op.SEND_OBJECT, tid, 12 + size) + pattern(size)
        host.write(sent[:packets])
        with may_sleep(host):
            appliance_device.sleep(sysfs_folder(host) / "power")
        host.write(sent[packets:])
        assert host.response().code == OK
    assert (share / "slept").read_bytes() == pattern(size)


def test_the_host_may_wait_before_it_reads_on(share: Path) -> None:
    with in_a_download(share) as host:
        time.sleep(3)
        rest = host.read_transfer()
        assert len(rest) == 12 + SIZE - 65536
        assert host.response().code == OK
