# SPDX-License-Identifier: GPL-3.0-or-later
"""The gadget that root makes and an unprivileged responder binds, as on the appliance."""

import contextlib
import json
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from appliance.control import ask
from appliance.gadget.identity import network_addresses, serial_number
from appliance.leds.patterns import Pattern, select
from appliance.network.plan import INTERFACE
from appliance.places import FUNCTIONFS
from appliance.status import read as read_status
from tests.usb.appliance import UDC, load_controller
from tests.usb.host import OK, Host, program, wait_for_device, wait_until_gone
from tests.usb.test_start import GADGETS, foreign_gadget

pytestmark = pytest.mark.guest

GADGET = GADGETS / "mtp-appliance"
USER = "nobody"
PATIENCE = 60.0


@pytest.fixture(scope="module", autouse=True)
def bus() -> None:
    """One for all: see `test_the_controller_goes_and_comes_under_a_network`."""
    load_controller("high")


@pytest.fixture(autouse=True)
def device_log() -> Iterator[None]:
    """Each test ends without a gadget."""
    yield
    command("gadget", "down")
    assert not GADGET.exists()


def command(*words: str) -> str:
    argv = [sys.executable, "-m", "appliance", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def up(folder: Path, network: str = "ncm") -> str:
    settings = folder / "settings.toml"
    settings.write_text(f'[network]\nfunction = "{network}"\n')
    return command("gadget", "up", "--user", USER, "--settings", str(settings))


def status() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command("gadget", "status", "--json"))
    return found


def wait_until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


class Responder:
    """A responder of a user without privileges, and what it has logged."""

    def __init__(self, folder: Path) -> None:
        self.log_file = folder / "log"
        self.state = folder / "state"
        argv = [sys.executable, "-m", "appliance", "serve", f"Card={folder / 'share'}", "-v"]
        argv += ["--functionfs", str(FUNCTIONFS), "--bind", "mtp-appliance"]
        argv += ["--state-dir", str(self.state)]
        user = pwd.getpwnam(USER)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=log, user=user.pw_uid, group=user.pw_gid,
                extra_groups=[],
            )  # fmt: skip
        assert self.process.stdout is not None
        with self.process.stdout as said:
            assert said.readline(), self.log()

    def log(self) -> str:
        return self.log_file.read_text()

    def wait_for_log(self, word: str) -> None:
        wait_until(lambda: word in self.log(), lambda: f"no {word!r} in:\n{self.log()}")

    def tells(self) -> tuple[bool, Pattern]:
        """Whether its status warns of a controller that is missing, and the light for that."""
        told = read_status(self.state / "status.json")
        return any(each.code == "no-controller" for each in told.warnings), select(told)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Responder]:
    for name in ("share", "state"):
        (folder / name).mkdir(exist_ok=True)
        shutil.chown(folder / name, USER)
    for each in (folder, *folder.parents):
        if each != Path("/"):
            each.chmod(each.stat().st_mode | 0o055)
    responder = Responder(folder)
    try:
        yield responder
    finally:
        responder.process.terminate()
        responder.process.wait(PATIENCE)
        print(responder.log())


def assert_mtp_works() -> None:
    with program() as host:
        assert host.ask(0x1004).code == OK


@pytest.mark.parametrize(
    ("network", "functions"),
    [
        ("ncm", ["ffs.mtp", "ncm.usb0"]),
        ("ecm", ["ecm.usb0", "ffs.mtp"]),
        ("rndis", ["ffs.mtp", "rndis.usb0"]),
        ("none", ["ffs.mtp"]),
    ],
)
def test_root_makes_it_and_a_user_binds_it(
    tmp_path: Path, network: str, functions: list[str]
) -> None:
    assert "is up." in up(tmp_path, network)
    assert (GADGET / "UDC").read_text().strip() == ""
    with serving(tmp_path):
        wait_for_device()
        assert_mtp_works()
        found = status()
        assert found["functions"] == functions
        assert (found["bound"], found["controller"], found["holder"]) == (
            *(True, UDC),
            "mtp-appliance",
        )
        assert_described(network)
    wait_until_gone()
    assert not status()["bound"]


def assert_described(network: str) -> None:
    """MTP is interface 0, and Windows is told what drivers to take."""
    host = Host()
    device = host.device
    composite = network != "none"
    kind = (device.bDeviceClass, device.bDeviceSubClass, device.bDeviceProtocol)
    assert kind == ((0xEF, 2, 1) if composite else (0, 0, 0))
    faces = {face.bInterfaceNumber: face for face in device.get_active_configuration()}
    assert faces[0].bInterfaceClass == 6
    if composite:
        assert faces[1].bInterfaceClass == 2
        assert faces[1].bInterfaceSubClass == {"ncm": 0x0D, "ecm": 6, "rndis": 2}[network]
    vendor_code = device.ctrl_transfer(0x80, 6, 0x03EE, 0, 18, 5000)[16]
    ids = bytes(device.ctrl_transfer(0xC0, vendor_code, 0, 4, 128, 5000))
    assert ids[18:26].rstrip(b"\0") == b"MTP"
    assert (b"WINNCM" in ids) == (network == "ncm")
    assert (b"RNDIS\0\0\x005162001\0" in ids) == (network == "rndis")
    host.die()


def test_twice_up_and_twice_down(tmp_path: Path) -> None:
    assert "is up." in up(tmp_path)
    inode = (GADGET / "functions").stat().st_ino
    assert "is up already." in up(tmp_path)
    assert (GADGET / "functions").stat().st_ino == inode
    mounts = Path("/proc/mounts").read_text()
    assert mounts.count(f"{FUNCTIONFS} functionfs") == 1
    assert "removed" in command("gadget", "down")
    assert "not there" in command("gadget", "down")
    assert str(FUNCTIONFS) not in Path("/proc/mounts").read_text()


def test_another_network_makes_it_anew(tmp_path: Path) -> None:
    up(tmp_path, "ncm")
    release = (GADGET / "bcdDevice").read_text()
    assert "is up." in up(tmp_path, "ecm")
    assert (GADGET / "bcdDevice").read_text() != release
    assert not (GADGET / "functions/ncm.usb0").exists()


def test_a_killed_responder_comes_back_with_the_same_network(tmp_path: Path) -> None:
    up(tmp_path)
    macs = network_addresses(serial_number())
    with serving(tmp_path) as first:
        wait_for_device()
        wait_until(lambda: macs.host in interfaces().values(), lambda: str(interfaces()))
        before = interfaces()
        assert before[INTERFACE] == macs.device
        first.kill()
        wait_until_gone()  # the kernel has unbound it
        assert not status()["bound"]
        with serving(tmp_path):
            wait_for_device()
            assert_mtp_works()
            wait_until(lambda: interfaces() == before, lambda: f"{before} {interfaces()}")


def bus_address() -> int:
    host = Host()
    try:
        return int(host.device.address)
    finally:
        host.die()


def interfaces() -> dict[str, str]:
    folders = Path("/sys/class/net").iterdir()
    return {each.name: (each / "address").read_text().strip() for each in folders}


def test_unbound_by_somebody(tmp_path: Path) -> None:
    up(tmp_path)
    with serving(tmp_path):
        wait_for_device()
        (GADGET / "UDC").write_text("\n")
        wait_until_gone()
        wait_for_device()
        assert_mtp_works()


def test_reconnect(tmp_path: Path) -> None:
    up(tmp_path)
    with serving(tmp_path) as responder:
        wait_for_device()
        address = bus_address()
        ask(responder.state / "control.sock", "reconnect")
        wait_for_device()
        assert bus_address() != address
        assert_mtp_works()


def test_a_controller_in_use_is_waited_for(tmp_path: Path) -> None:
    up(tmp_path)
    with foreign_gadget(), serving(tmp_path) as responder:
        responder.wait_for_log(f"WAITING the USB device controller {UDC} is in use by foreign")
        assert status()["holder"] == "foreign"
        (GADGETS / "foreign/UDC").write_text("\n")
        wait_for_device()
        assert_mtp_works()
        assert responder.log().count("WAITING") == 1


def test_removed_while_it_serves(tmp_path: Path) -> None:
    up(tmp_path)
    with serving(tmp_path):
        wait_for_device()
        command("gadget", "down")
        wait_until_gone()
    up(tmp_path)
    with serving(tmp_path):
        wait_for_device()
        assert_mtp_works()


def test_the_controller_goes_and_comes(tmp_path: Path) -> None:
    up(tmp_path, "none")
    with serving(tmp_path) as responder:
        wait_for_device()
        subprocess.run(["modprobe", "-r", "dummy_hcd"], check=True)
        responder.wait_for_log("WAITING no USB device controller")
        assert responder.process.poll() is None
        wait_until(lambda: responder.tells() == (True, Pattern.ERROR), responder.log)
        load_controller("high")
        wait_for_device()
        assert_mtp_works()
        wait_until(lambda: responder.tells() == (False, Pattern.CONNECTED), responder.log)


def test_the_controller_goes_and_comes_under_a_network(tmp_path: Path) -> None:
    """The kernel may refuse that function from now on, and is not asked a second time.

    It keeps the place of the network in the tree of a controller that is gone, and finds it again
    for one at the same address. So no test in this guest may bind a network after this one; and it
    may be refused at once where that of an earlier test was taken away under a network.
    """
    up(tmp_path)
    refused = f"WAITING mtp-appliance cannot use {UDC}"
    with serving(tmp_path) as responder:

        def is_settled(since: int) -> bool:
            return any(word in responder.log()[since:] for word in ("ATTACHED", refused))

        wait_until(partial(is_settled, 0), responder.log)
        subprocess.run(["modprobe", "-r", "dummy_hcd"], check=True)
        responder.wait_for_log("WAITING no USB device controller")
        since = len(responder.log())
        load_controller("high")
        wait_until(partial(is_settled, since), responder.log)
        assert responder.log()[since:].count("BIND mtp-appliance to") == 1
        assert responder.process.poll() is None
