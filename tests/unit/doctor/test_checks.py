# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check, on machines that are well and on others."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.doctor.checks import CHECKS, examine
from appliance.doctor.findings import Finding, Grade
from appliance.doctor.machine import Machine
from appliance.settings.schema import Settings, StorageSetting
from appliance.status import Status, Warning
from tests.unit.doctor.machines import SHARE, UDC, MadeUp
from tests.unit.test_cli import run

GADGET = "sys/kernel/config/usb_gadget/mtp-appliance"


@pytest.fixture
def made_up(tmp_path: Path) -> MadeUp:
    return MadeUp(tmp_path)


def findings(machine: Machine) -> list[Finding]:
    return list(examine(machine))


def bad(machine: Machine) -> list[Finding]:
    return [each for each in findings(machine) if each.grade in (Grade.WARNING, Grade.PROBLEM)]


def test_nothing_is_wrong_where_all_is_well(made_up: MadeUp) -> None:
    assert bad(made_up.machine(status=Status(ready=True))) == []


def gadget_of_another(made_up: MadeUp) -> None:
    made_up.write(f"{GADGET}/UDC", "\n")
    made_up.write("sys/kernel/config/usb_gadget/other/UDC", UDC)


def share_is_a_file(made_up: MadeUp) -> None:
    shutil.rmtree(made_up.root / "srv/share")
    made_up.write("srv/share", "")


def change(**changes: object) -> Callable[[MadeUp], None]:
    def act(made_up: MadeUp) -> None:
        made_up.settings = replace(made_up.settings, **changes)  # type: ignore[arg-type]

    return act


def say(command: str, text: str) -> Callable[[MadeUp], None]:
    return lambda made_up: made_up.answers.update({command: text})


def with_wifi(state: str, address: str = "inet 192.168.1.7/24") -> Callable[[MadeUp], None]:
    def act(made_up: MadeUp) -> None:
        made_up.settings = replace(made_up.settings, wifi_network="Home")
        made_up.write("sys/class/net/wlan0/operstate", f"{state}\n")
        made_up.answers["ip -o -4 address show dev wlan0"] = address

    return act


FAULTS = [
    ("kernel", "usb_f_rndis", change(network_function="rndis")),
    ("kernel", "libcomposite", lambda m: m.write("lib/modules/6.12.1/modules.builtin", "")),
    ("configfs", "not mounted", lambda m: shutil.rmtree(m.root / "sys/kernel/config")),
    ("configfs", "no gadgets", lambda m: shutil.rmtree(m.root / "sys/kernel/config/usb_gadget")),
    ("controller", "no USB device controller", lambda m: shutil.rmtree(m.root / "sys/class/udc")),
    ("controller", "in use by other", gadget_of_another),
    ("gadget", "not been made", lambda m: shutil.rmtree(m.root / GADGET)),
    ("gadget", "instead of ffs", lambda m: (m.root / GADGET / "configs/c.1/ncm.usb0").rmdir()),
    ("gadget", "not shown", lambda m: m.write(f"{GADGET}/UDC", "\n")),
    ("functionfs", "not mounted", lambda m: m.mounts.pop()),
    ("cable", "no PC", lambda m: m.write(f"sys/class/udc/{UDC}/state", "not attached")),
    ("cable", "not taken", lambda m: m.write(f"sys/class/udc/{UDC}/state", "powered")),
    ("network", "no usb0", say("ip", "")),
    ("name", "not kitchen", change(network_host_name="kitchen")),
    ("name", "not announced", say("systemctl is-active", "inactive\n")),
    ("wifi", "there is no wlan0", change(wifi_network="Home")),
    ("wifi", "has not joined Home", with_wifi("down")),
    ("wifi", "has no address in Home", with_wifi("up", "")),
    ("storages", "there is none", change(storages=())),
    ("storage Files", "not there", lambda m: (m.root / "srv/share").rmdir()),
    ("storage Files", "no folder", share_is_a_file),
    (
        "storage Files",
        "read-only",
        lambda m: m.mounts.append("25 23 179:3 / /srv/share rw - ext4 /dev/mmcblk0p3 ro"),
    ),
    ("services", "the lights is failed", say(
        "systemctl show -p LoadState,ActiveState,NRestarts mtp-appliance-leds",
        "LoadState=loaded\nActiveState=failed\nNRestarts=5\n",
    )),
    ("services", "the settings page, on call, is failed", say(
        "systemctl show -p LoadState,ActiveState,NRestarts mtp-appliance-web.socket",
        "LoadState=loaded\nActiveState=failed\nNRestarts=\n",
    )),
    ("services", "started anew 3 times", say(
        "systemctl show", "LoadState=loaded\nActiveState=active\nNRestarts=3\n"
    )),
    ("services", "unit failed: signal", lambda m: m.write(
        "run/mtp-appliance-failures/unit", "signal\n"
    )),
    ("watches", "only 100", lambda m: m.write("proc/sys/fs/inotify/max_user_watches", "100")),
    ("card", "I/O error", say("dmesg", "I/O error, dev mmcblk0, sector 1\n")),
    ("card", "worn out", lambda m: m.write("sys/block/mmcblk0/device/life_time", "0x0b 0x01")),
]  # fmt: skip


@pytest.mark.parametrize(("about", "words", "fault"), FAULTS)
def test_what_is_wrong_is_found_and_has_advice(
    made_up: MadeUp, about: str, words: str, fault: Callable[[MadeUp], object]
) -> None:
    fault(made_up)
    # What a fault says of one unit comes before what is said of all.
    made_up.answers = {
        key: made_up.answers[key] for key in sorted(made_up.answers, key=len, reverse=True)
    }
    found = bad(made_up.machine(status=Status(ready=True)))
    assert any(each.about == about and words in each.text for each in found), found
    assert all(each.advice for each in found)


def test_without_a_network_on_the_cable_there_is_no_page_to_miss(made_up: MadeUp) -> None:
    made_up.settings = replace(made_up.settings, network_function="none")
    texts = [each.text for each in examine(made_up.machine(status=Status(ready=True)))]
    assert "the responder runs" in texts
    assert not [each for each in texts if "settings page" in each]


def test_the_settings_and_the_responder_have_their_say(made_up: MadeUp) -> None:
    status = Status(ready=True, warnings=(Warning("storage-full", "Files is full", "delete"),))
    machine = made_up.machine(errors=("name: 5 is no text",), warnings=("x: odd",), status=status)
    texts = [each.text for each in bad(machine)]
    assert texts == ["name: 5 is no text", "x: odd", "Files is full"]
    assert any("does not run" in each.text for each in bad(made_up.machine()))


def test_the_wifi_is_where_it_should_be(made_up: MadeUp) -> None:
    with_wifi("up")(made_up)
    (found,) = (each for each in findings(made_up.machine()) if each.about == "wifi")
    assert (found.grade, found.text) == (Grade.GOOD, "is in Home as 192.168.1.7")


def test_read_only_and_weak_file_systems(made_up: MadeUp) -> None:
    made_up.settings = Settings(storages=(replace(SHARE, read_only=True),))
    made_up.mounts.append("25 23 8:1 / /srv/share ro - vfat /dev/sda1 ro")
    machine = made_up.machine(status=Status(ready=True))
    assert bad(machine) == []
    assert any("FAT" in each.text for each in findings(machine))


def test_a_sandbox_that_may_not_write_makes_no_storage_read_only(made_up: MadeUp) -> None:
    """The page asks root's helper, before whom systemd mounts everything read-only."""
    made_up.mounts.append("25 23 179:3 /share /srv/share ro,relatime - ext4 /dev/mmcblk0p3 rw")
    assert bad(made_up.machine(status=Status(ready=True))) == []


def test_what_cannot_be_seen_is_said(tmp_path: Path) -> None:
    """An empty machine, on which no program gives an answer."""
    machine = Machine(
        tmp_path, Settings(storages=(StorageSetting(Path("/x")),)), run=lambda _: None
    )
    found = findings(machine)
    assert {each.grade for each in found} > {Grade.UNKNOWN}
    assert {check.__name__ for check in CHECKS}


def test_a_check_that_fails_is_no_reason_to_fail(made_up: MadeUp) -> None:
    def broken(machine: Machine):  # type: ignore[no-untyped-def]
        yield Finding("first", Grade.GOOD, "")
        raise ValueError("a defect")

    found = list(examine(made_up.machine(), (broken, CHECKS[1])))
    assert [each.grade for each in found] == [Grade.GOOD, Grade.UNKNOWN, Grade.GOOD]


def test_as_a_command(made_up: MadeUp) -> None:
    made_up.write("etc/mtp-appliance/settings.toml", '[[storages]]\npath = "/srv/share"\n')
    made_up.machine()
    done = run("doctor", "--root", made_up.root)
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
    assert "a PC is connected (high-speed)" in done.stdout
    document = json.loads(run("doctor", "--json", "--root", made_up.root).stdout)
    assert {"about", "grade", "text", "advice"} == set(document[0])
    done = run("doctor")
    assert "Traceback" not in done.stderr
