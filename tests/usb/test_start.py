# SPDX-License-Identifier: GPL-3.0-or-later
"""Beginning and end: what is in the way of a start, and what an end leaves behind."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from appliance.errors import ExitStatus
from tests.usb.appliance import UDC, load_controller, plugged_in
from tests.usb.host import OK, program

pytestmark = pytest.mark.guest

GADGETS = Path("/sys/kernel/config/usb_gadget")


@pytest.fixture(autouse=True)
def device_log() -> None:
    """There is no device that stays over these tests."""
    load_controller("high")


def start_in_vain(share: Path, *options: str) -> tuple[int, str]:
    argv = [sys.executable, "-m", "appliance", "serve", *options, str(share)]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stderr


@contextmanager
def foreign_gadget() -> Iterator[None]:
    gadget = GADGETS / "foreign"
    folders = (gadget, gadget / "configs/c.1", gadget / "functions/acm.a")
    for folder in folders:
        folder.mkdir()
    (gadget / "configs/c.1/acm.a").symlink_to(gadget / "functions/acm.a")
    (gadget / "UDC").write_text(UDC)
    try:
        yield
    finally:
        with suppress(OSError):  # the test has unbound it
            (gadget / "UDC").write_text("\n")
        (gadget / "configs/c.1/acm.a").unlink()
        for folder in reversed(folders):
            folder.rmdir()


def test_an_end_leaves_nothing_behind(tmp_path: Path) -> None:
    with plugged_in(tmp_path, tmp_path):
        assert [path.name for path in GADGETS.iterdir()] == ["mtp-appliance"]
    assert list(GADGETS.iterdir()) == []
    assert "functionfs" not in Path("/proc/mounts").read_text()


def test_a_start_after_a_killed_process(tmp_path: Path) -> None:
    """Power cuts and kill -9 leave a gadget and a mount; they are no obstacle."""
    for _ in range(2):
        with (
            pytest.raises(AssertionError, match="ended by itself"),
            plugged_in(tmp_path, tmp_path) as appliance,
        ):
            appliance.process.kill()
            appliance.process.wait()
    with plugged_in(tmp_path, tmp_path), program() as host:
        assert host.status()
    assert list(GADGETS.iterdir()) == []


def test_a_controller_in_use(tmp_path: Path) -> None:
    with foreign_gadget():
        status, error = start_in_vain(tmp_path, "--usb")
    assert status != 0
    assert "dummy_udc.0 is in use by foreign" in error
    assert "Traceback" not in error
    assert list(GADGETS.iterdir()) == []


def test_a_second_one(tmp_path: Path) -> None:
    """It gives way, and does not disturb the first."""
    (tmp_path / "share").mkdir()
    with plugged_in(tmp_path / "share", tmp_path), program() as host:
        status, error = start_in_vain(tmp_path / "share", "--usb")
        assert status != 0
        assert "dummy_udc.0 is in use by mtp-appliance" in error
        assert host.ask(0x1004).code == OK


def test_no_controller(tmp_path: Path) -> None:
    subprocess.run(["modprobe", "-r", "dummy_hcd"], check=True)
    status, error = start_in_vain(tmp_path, "--usb")
    assert status == ExitStatus.NO_HARDWARE
    assert "dtoverlay=dwc2" in error


def test_a_mountpoint_that_is_none(tmp_path: Path) -> None:
    status, error = start_in_vain(tmp_path, "--functionfs", str(tmp_path))
    assert status != 0
    assert "is no mounted FunctionFS" in error
    assert "Traceback" not in error
