# SPDX-License-Identifier: GPL-3.0-or-later
"""From power to files, with nothing typed."""

from pathlib import Path

import pytest

from tests.appliance import cable, units
from tests.usb.host import Host

pytestmark = pytest.mark.guest("appliance")

DAEMONS = (units.RESPONDER, units.LEDS, units.WEB)
#: What of overlay/usr/lib/sysctl.d is in force.
DIRTY = {"dirty_bytes": "16777216", "dirty_background_bytes": "4194304"}
#: What a responder that is ready first must not wait for, directly or through others.
LATE = {
    *("network.target", "network-online.target", "network-pre.target", "time-sync.target"),
    *("time-set.target", "systemd-networkd.service", "avahi-daemon.service", "dbus.service"),
    *("sysinit.target", "basic.target", "multi-user.target", "sockets.target"),
}


def test_one_composite_device_with_both_functions() -> None:
    host = Host()
    device = host.device
    assert (device.bDeviceClass, device.bDeviceSubClass, device.bDeviceProtocol) == (0xEF, 2, 1)
    faces = {face.bInterfaceNumber: face for face in device.get_active_configuration()}
    assert (faces[0].bInterfaceClass, faces[0].bInterfaceSubClass) == (6, 1)
    assert (faces[1].bInterfaceClass, faces[1].bInterfaceSubClass) == (2, 0x0D)
    host.die()


def _before(unit: str) -> set[str]:
    """Name all that must have started before a unit, directly or through others.

    File systems are what it may wait for; the virtual Pi has some over 9p, as if from a network.
    """
    found: set[str] = set()
    todo = [unit]
    while todo:
        for each in units.show(todo.pop(), "After").split():
            if each not in found and each.endswith((".service", ".target", ".socket", ".path")):
                found.add(each)
                todo.append(each)
    return found


@pytest.mark.parametrize("unit", [units.RESPONDER, units.LEDS, units.GADGET])
def test_nothing_waits_for_network_time_or_services(unit: str) -> None:
    assert _before(unit) & LATE == set()


def test_the_responder_was_ready_before_the_rest() -> None:
    units.wait_until_active("multi-user.target")

    def ready(unit: str) -> int:
        return int(units.show(unit, "ActiveEnterTimestampMonotonic"))

    assert 0 < ready(units.RESPONDER) < ready("multi-user.target")


def test_the_files_do_not_wait_for_the_page() -> None:
    assert not [each for each in _before(units.RESPONDER) if "web" in each or "helper" in each]


def test_no_unit_has_failed() -> None:
    assert units.failed() == ""
    assert list(units.FAILURES.iterdir()) == []


@pytest.mark.parametrize("unit", DAEMONS)
def test_the_daemons_are_locked_in(unit: str) -> None:
    units.run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit)


@pytest.mark.parametrize("unit", DAEMONS)
def test_the_daemons_are_nobody(unit: str) -> None:
    units.run("systemctl", "start", unit)  # the page is on call
    status = units.run("cat", f"/proc/{units.main_pid(unit)}/status")
    numbers = {line.split(":")[0]: line.split()[1:] for line in status.splitlines()}
    assert "0" not in numbers["Uid"]
    assert numbers["NoNewPrivs"] == ["1"]


def test_the_units_are_understood() -> None:
    said = units.run(
        *("systemd-analyze", "verify", "--man=no", "mtp-appliance.target", "avahi-daemon.service"),
        *(*DAEMONS, units.GADGET, units.APPLY, "mtp-appliance-apply.path"),
        *(units.HELPER, units.WEB_SOCKET, "mtp-appliance-web-wifi.socket"),
        "mtp-appliance-wifi.service",
    )
    assert "mtp-appliance" not in said


def test_little_that_is_written_waits_in_memory() -> None:
    waits = {name: Path(f"/proc/sys/vm/{name}").read_text().strip() for name in DIRTY}
    assert waits == DIRTY


def test_the_gadget_is_bound() -> None:
    assert cable.controller().startswith("dummy_udc")
