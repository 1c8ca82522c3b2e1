# SPDX-License-Identifier: GPL-3.0-or-later
"""Each part killed, stopped, hung and started anew; the cable and its controller pulled."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.mtp.codes import OperationCode as Op
from tests.appliance import cable, units
from tests.clients.mtp_tools import MtpTools
from tests.usb.host import Host, data_header
from tests.usb.mtp import announce, find, pattern

pytestmark = pytest.mark.guest("appliance")

DAEMONS = (units.RESPONDER, units.LEDS)
SIZE = 20_000_000


def assert_serves(share: Path, tmp_path: Path) -> None:
    """The PC gets a file and puts one; nothing has failed."""
    cable.wait_until_on_the_bus()
    libmtp = MtpTools()
    (share / "here").write_bytes(b"on the device")
    libmtp.get("here", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"on the device"
    (tmp_path / "there").write_bytes(b"from the PC")
    libmtp.put(tmp_path / "there", "")
    assert (share / "there").read_bytes() == b"from the PC"
    units.wait_until(lambda: units.failed() == "", "no unit has failed")
    units.wait_until(lambda: not list(units.FAILURES.iterdir()), "no failure is told of")


def kill_responder() -> None:
    before = units.main_pid(units.RESPONDER)
    os.kill(before, signal.SIGKILL)
    units.wait_until_anew(units.RESPONDER, before)


def restart_responder() -> None:
    units.run("systemctl", "restart", units.RESPONDER)


def make_gadget_anew() -> None:
    before = units.main_pid(units.RESPONDER)
    units.run("systemctl", "restart", units.GADGET)
    units.wait_until_anew(units.RESPONDER, before)


#: Not the controller's module taken out: after that kernels up to 6.12 at least refuse to bind a
#: network function, or crash. No board takes its controller out; tests/usb/test_gadget.py has it.
BLOWS = [kill_responder, restart_responder, make_gadget_anew, cable.pull_and_plug]


@pytest.mark.parametrize("blow", BLOWS)
def test_in_the_middle_of_an_upload(blow: Callable[[], None], share: Path, tmp_path: Path) -> None:
    (share / "old").write_bytes(b"as it was")
    host = Host().open()
    announce(host, "coming", SIZE)
    tid = host.send_command(Op.SEND_OBJECT)
    host.write(data_header(Op.SEND_OBJECT, tid, 12 + SIZE) + pattern(1_000_000 - 12))
    blow()
    host.die()
    assert_serves(share, tmp_path)
    assert not (share / "coming").exists()
    assert (share / "old").read_bytes() == b"as it was"


@pytest.mark.parametrize("blow", BLOWS)
def test_in_the_middle_of_a_download(blow: Callable[[], None], share: Path, tmp_path: Path) -> None:
    (share / "big").write_bytes(pattern(SIZE))
    host = Host().open()
    host.send_command(Op.GET_OBJECT, find(host, "big"))
    host.read(65536)
    blow()
    host.die()
    assert_serves(share, tmp_path)
    MtpTools().get("big", tmp_path / "big")
    assert (tmp_path / "big").read_bytes() == pattern(SIZE)


def test_the_lights_killed(share: Path, tmp_path: Path) -> None:
    before = units.main_pid(units.LEDS)
    os.kill(before, signal.SIGKILL)
    units.wait_until_anew(units.LEDS, before)
    assert_serves(share, tmp_path)


def test_hung(share: Path, tmp_path: Path) -> None:
    before = {unit: units.main_pid(unit) for unit in DAEMONS}
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    for unit, pid in before.items():
        units.wait_until_anew(unit, pid)
    assert_serves(share, tmp_path)


@pytest.mark.parametrize("unit", [*DAEMONS, units.GADGET])
def test_stopped_and_started(unit: str, share: Path, tmp_path: Path) -> None:
    units.run("systemctl", "stop", unit)
    units.run("systemctl", "start", units.GADGET, *DAEMONS)
    assert_serves(share, tmp_path)


def test_killed_again_and_again(share: Path, tmp_path: Path) -> None:
    for _ in range(8):
        kill_responder()
    assert_serves(share, tmp_path)


def test_a_failure_is_told_of_until_it_is_healed() -> None:
    """What cannot start leaves its line, and takes it away when it can again."""
    drop_in = Path("/run/systemd/system") / f"{units.LEDS}.d" / "zz-broken.conf"
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text("[Service]\nExecStart=\nExecStart=/bin/false\n")
    units.run("systemctl", "daemon-reload")
    os.kill(units.main_pid(units.LEDS), signal.SIGKILL)
    told = units.FAILURES / units.LEDS
    units.wait_until(lambda: told.exists() and "exit-code" in told.read_text(), "it is told of")
    assert told.stat().st_mode & 0o444 == 0o444
    drop_in.unlink()
    units.run("systemctl", "daemon-reload")
    units.wait_until_active(units.LEDS)
    units.wait_until(lambda: not told.exists(), "it is told of no more")


def test_the_rest_serves_while_the_leds_are_broken(share: Path, tmp_path: Path) -> None:
    units.run("systemctl", "stop", units.LEDS)
    cable.wait_until_on_the_bus()
    (share / "here").write_bytes(b"still")
    MtpTools().get("here", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"still"
    units.run("systemctl", "start", units.LEDS)
