# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `gadget` and `apply` below a prefix: kernel and systemctl are played."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.errors import ApplianceError
from appliance.services.apply import Applier, note_refusal, with_host
from appliance.services.concerns import Facts, concerns, read_failures
from appliance.settings.schema import Settings
from appliance.settings.secret_files import HIDDEN
from tests.unit.gadget.conftest import FakeSys
from tests.unit.services.fake_kernel import kernel

__all__ = ["kernel"]

NETWORKD = "run/systemd/network/10-mtp-appliance.network"


def gadget(root: Path, verb: str, *words: str, settings: str = "") -> int:
    file = root / "settings.toml"
    file.write_text(settings)
    return main(["gadget", verb, "--root", str(root), "--settings", str(file), *words])


def functions(root: Path) -> list[str]:
    folder = root / "sys/kernel/config/usb_gadget/mtp-appliance/configs/c.1"
    return sorted(path.name for path in folder.glob("*.*"))


def test_up_and_down(kernel: FakeSys, capsys: pytest.CaptureFixture[str]) -> None:
    assert [gadget(kernel.root, "up"), gadget(kernel.root, "up")] == [0, 0]
    assert capsys.readouterr().out.splitlines() == [
        "The gadget mtp-appliance is up.",
        "The gadget mtp-appliance is up already.",
    ]
    assert functions(kernel.root) == ["ffs.mtp", "ncm.usb0"]
    assert [gadget(kernel.root, "down"), gadget(kernel.root, "down")] == [0, 0]
    assert "not there" in capsys.readouterr().out
    assert list(kernel.gadgets.iterdir()) == []


def test_other_settings_make_another_gadget(kernel: FakeSys) -> None:
    gadget(kernel.root, "up")
    text = '[network]\nfunction = "none"\n[usb]\nvendor_id = 0x1209\nproduct_id = 1\n'
    assert gadget(kernel.root, "up", settings=text) == 0
    path = kernel.gadgets / "mtp-appliance"
    assert functions(kernel.root) == ["ffs.mtp"]
    assert (path / "idVendor").read_text() == "0x1209"
    assert (path / "idProduct").read_text() == "0x0001"


def test_a_failure_leaves_nothing(
    kernel: FakeSys, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, target: Path) -> bool:
        raise OSError(5, "it is broken")

    monkeypatch.setattr("appliance.gadget.configfs._link", fail)
    assert gadget(kernel.root, "up") == 1
    assert "LINK configs/c.1/ffs.mtp" in capsys.readouterr().err
    assert list(kernel.gadgets.iterdir()) == []
    assert not (kernel.root / "run/mtp-appliance-gadget/gadget.json").exists()


def test_status(kernel: FakeSys, capsys: pytest.CaptureFixture[str]) -> None:
    kernel.add_gadget("other", "fake.usb")
    gadget(kernel.root, "up")
    capsys.readouterr()
    assert gadget(kernel.root, "status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["there"], found["bound"]) == (True, False)
    assert (found["controller"], found["state"]) == ("fake.usb", "not attached")
    assert found["holder"] == "other"
    network = found["network"]
    assert network["urls"][0] == "http://mtp-appliance.local"
    assert network["urls"][1] == f"http://{network['device_address'].partition('/')[0]}"
    assert gadget(kernel.root, "status") == 0
    shown = capsys.readouterr().out
    assert "in use by other" in shown
    assert "http://mtp-appliance.local or http://10." in shown


def test_status_without_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gadget(tmp_path, "status", settings='[network]\nfunction = "none"\n') == 0
    shown = capsys.readouterr().out
    assert "not there" in shown
    assert "dtoverlay=dwc2" in shown


def test_an_unknown_user(kernel: FakeSys, capsys: pytest.CaptureFixture[str]) -> None:
    assert gadget(kernel.root, "up", "--user", "no-such-user") == 1
    assert "no user no-such-user" in capsys.readouterr().err


class Manager:
    """A systemctl that obeys, but for `broken`."""

    def __init__(self, broken: str = "") -> None:
        self.asked: list[str] = []
        self._broken = broken

    def __call__(self, command: Sequence[str]) -> bool:
        self.asked.append(" ".join(command).replace("systemctl --no-block ", ""))
        return not self._broken or self._broken not in self.asked[-1]


def apply(
    root: Path, manager: Manager, settings: Settings | None = None, *, boot: bool = False
) -> list[str]:
    Applier(settings or Settings(), "", root, manager).apply(boot=boot)
    return manager.asked


def test_a_start(kernel: FakeSys) -> None:
    (kernel.root / "etc").mkdir()
    (kernel.root / "etc/hosts").write_text("127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n")
    assert apply(kernel.root, Manager(), boot=True) == [
        "systemctl is-active --quiet systemd-networkd.service",
        "networkctl reload",
    ]
    assert functions(kernel.root) == ["ffs.mtp", "ncm.usb0"]
    assert "EmitRouter=no" in (kernel.root / NETWORKD).read_text()
    assert (kernel.root / NETWORKD).stat().st_mode & 0o777 == 0o644
    assert (kernel.root / "etc/hostname").read_text() == "mtp-appliance\n"
    hosts = (kernel.root / "etc/hosts").read_text()
    assert hosts == "127.0.0.1\tlocalhost\n127.0.1.1\tmtp-appliance\n"


def test_nothing_is_done_twice(kernel: FakeSys, caplog: pytest.LogCaptureFixture) -> None:
    apply(kernel.root, Manager(), boot=True)
    before = {path: path.stat().st_mtime_ns for path in kernel.root.rglob("etc/*")}
    caplog.set_level(logging.INFO)
    assert apply(kernel.root, Manager()) == []
    assert "APPLIED already" in caplog.messages
    assert apply(kernel.root, Manager(), boot=True) == []
    assert {path: path.stat().st_mtime_ns for path in kernel.root.rglob("etc/*")} == before


def test_what_the_pc_sees_is_made_anew_and_served_anew(kernel: FakeSys) -> None:
    apply(kernel.root, Manager(), boot=True)
    asked = apply(kernel.root, Manager(), Settings(network_function="none"))
    assert functions(kernel.root) == ["ffs.mtp"]
    assert asked[0] == "restart mtp-appliance.service"
    assert asked[-1] == "networkctl reload"
    assert not (kernel.root / NETWORKD).exists()


def test_small_changes_are_reloaded(kernel: FakeSys) -> None:
    apply(kernel.root, Manager(), boot=True)
    asked = apply(kernel.root, Manager(), Settings(trash_days=3, leds_brightness=5))
    assert asked == [
        "reload-or-restart mtp-appliance.service",
        "reload-or-restart mtp-appliance-leds.service",
    ]


def test_another_name_is_told_to_all(kernel: FakeSys) -> None:
    apply(kernel.root, Manager(), boot=True)
    asked = apply(kernel.root, Manager(), Settings(network_host_name="kitchen"))
    assert asked == ["try-restart avahi-daemon.service"]
    assert (kernel.root / "etc/hostname").read_text() == "kitchen\n"


def test_what_fails_keeps_nothing_else_from_being_done(kernel: FakeSys) -> None:
    apply(kernel.root, Manager(), boot=True)
    settings = Settings(name="Kitchen", network_host_name="kitchen", leds_pwm=False)
    manager = Manager(broken="mtp-appliance.service")
    with pytest.raises(ApplianceError, match="could not reload the responder"):
        apply(kernel.root, manager, settings)
    assert manager.asked[1:] == [
        "try-restart avahi-daemon.service",
        "reload-or-restart mtp-appliance-leds.service",
    ]
    assert apply(kernel.root, Manager(), settings) == ["reload-or-restart mtp-appliance.service"]


def test_a_gadget_that_cannot_be_made_leaves_the_network_and_the_name(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="could not make the gadget"):
        apply(tmp_path, Manager(), boot=True)
    assert (tmp_path / NETWORKD).exists()
    assert (tmp_path / "etc/hostname").exists()


DAMAGED = Settings(wifi_network="Home", wifi_passphrase=HIDDEN)


def test_what_fails_at_a_start_is_told_of_and_does_not_start_all_anew(kernel: FakeSys) -> None:
    """The unit fails only for the gadget: else systemd starts it again for ever, unplugged."""
    apply(kernel.root, Manager(broken="networkctl"), DAMAGED, boot=True)
    assert functions(kernel.root) == ["ffs.mtp", "ncm.usb0"]
    failures = read_failures(kernel.root / "run/mtp-appliance-failures")
    (warning,) = concerns(Facts(failures=failures, now=2e9))
    assert warning.text == (
        "could not tell networkd: networkctl reload failed;"
        " could not set up the Wi-Fi: the passphrase of the Wi-Fi cannot be read"
    )
    assert "settings passphrase" in warning.hint
    apply(kernel.root, Manager(), replace(DAMAGED, wifi_passphrase="correct horse"))
    assert read_failures(kernel.root / "run/mtp-appliance-failures") == ()


@pytest.mark.parametrize(
    "told",
    [
        "networkctl reload",
        "restart mtp-appliance-wifi.service",
        "stop mtp-appliance-web-wifi.socket",
        "try-restart avahi-daemon.service",
    ],
)
def test_who_was_not_told_is_told_the_next_time(kernel: FakeSys, told: str) -> None:
    """The files are written by then: from them it looks as if nothing were left to be done."""
    (kernel.root / "sys/class/net/wlan0").mkdir(parents=True)
    home = Settings(wifi_network="Home", wifi_passphrase="correct horse", wifi_page=True)
    apply(kernel.root, Manager(), replace(home, web_password="scrypt$..."), boot=True)
    changed = replace(home, wifi_passphrase="another horse", network_address="10.9.0.1/29")
    with pytest.raises(ApplianceError):
        apply(kernel.root, Manager(broken=told), changed)
    assert told in apply(kernel.root, Manager(), changed)
    assert apply(kernel.root, Manager(), changed) == []


def test_who_was_not_told_at_a_start_is_told_by_the_next(kernel: FakeSys) -> None:
    apply(kernel.root, Manager(broken="networkctl"), boot=True)
    assert "networkctl reload" in apply(kernel.root, Manager(), boot=True)


def test_a_hosts_file_in_another_encoding_keeps_its_bytes(kernel: FakeSys) -> None:
    (kernel.root / "etc").mkdir()
    hosts = kernel.root / "etc/hosts"
    hosts.write_bytes(b"10.0.0.2\tprinter # K\xfcche\n")
    apply(kernel.root, Manager(), boot=True)
    assert hosts.read_bytes() == b"10.0.0.2\tprinter # K\xfcche\n127.0.1.1\tmtp-appliance\n"


def test_what_fails_later_fails_its_command(kernel: FakeSys) -> None:
    apply(kernel.root, Manager(), boot=True)
    with pytest.raises(ApplianceError, match="could not set up the Wi-Fi"):
        apply(kernel.root, Manager(), DAMAGED)


def test_what_is_in_force_is_for_root_alone(kernel: FakeSys) -> None:
    apply(kernel.root, Manager(), Settings(wifi_passphrase="correct horse"), boot=True)
    applied = kernel.root / "run/mtp-appliance-gadget/applied.json"
    assert applied.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damaged", ["", "{", "[]"])
def test_a_damaged_memory_is_a_start(kernel: FakeSys, damaged: str) -> None:
    apply(kernel.root, Manager(), boot=True)
    (kernel.root / "run/mtp-appliance-gadget/applied.json").write_text(damaged)
    assert apply(kernel.root, Manager()) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "127.0.1.1\tnew\n"),
        ("::1 localhost", "::1 localhost\n127.0.1.1\tnew\n"),
        ("# mine\n127.0.1.1 old older\n1.2.3.4 x\n", "# mine\n127.0.1.1\tnew\n1.2.3.4 x\n"),
        ("127.0.1.1 full.name new # kept\n", "127.0.1.1 full.name new # kept\n"),
        ("127.0.1.1 old # new\n", "127.0.1.1\tnew\n"),
        ("#127.0.1.1 new\n", "#127.0.1.1 new\n127.0.1.1\tnew\n"),
    ],
)
def test_hosts(before: str, after: str) -> None:
    assert with_host(before, "new") == after


def test_settings_of_the_boot_partition_that_do_not_count_are_a_warning(tmp_path: Path) -> None:
    note_refusal("line 3: unfinished\nand more", tmp_path)
    failures = read_failures(tmp_path / "run/mtp-appliance-failures")
    (warning,) = concerns(Facts(failures=failures, now=2e9))
    assert warning.code == "card-settings"
    assert warning.text == "mtp-appliance.toml on the card does not count: line 3: unfinished"
    assert "on any PC" in warning.hint
    note_refusal("", tmp_path)
    assert read_failures(tmp_path / "run/mtp-appliance-failures") == ()
