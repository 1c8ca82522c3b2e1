# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that chooses a version at a start and watches over one on trial, in a root of its own.

What systemd says stands in a file, and what it is asked to do is written into another.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.update import choice as choices
from appliance.update import versions
from appliance.update.choice import CONFIRMED, IMAGE, TRIAL, Choice
from tests.unit.update.helpers import PROGRAM

SCRIPT = Path(__file__).parents[3] / "overlay/usr/lib/mtp-appliance/version"
RELEASE = "9.0.0 1 4711"
NEW, OLD = "9.1.0-0123abcd", "9.0.5-00000000"
UP = "ActiveState=active\nNRestarts=0\n" * 3
SYSTEMCTL = """#!/bin/sh
case $1 in
    show) cat "$MTP_APPLIANCE_ROOT/services" ;;
    --quiet) [ -e "$MTP_APPLIANCE_ROOT/page-socket" ] ;;
    start) [ -e "$MTP_APPLIANCE_ROOT/page-works" ] ;;
    *) echo "$@" >>"$MTP_APPLIANCE_ROOT/asked" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Machine:
    root: Path

    @property
    def versions(self) -> Path:
        return self.root / "var/lib/mtp-appliance-versions"

    @property
    def run_directory(self) -> Path:
        return self.root / "run/mtp-appliance-version"

    def choose(self, choice: Choice) -> None:
        choices.write(self.versions, choice)

    def choice(self) -> Choice:
        return choices.read(self.versions, RELEASE)

    def run(self, verb: str, *, patience: int = 60) -> str:
        environment = {"MTP_APPLIANCE_ROOT": str(self.root), "STEADY": "1"}
        environment["PATIENCE"] = str(patience)
        path = f"{self.root}/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", SCRIPT, verb],
            env=environment | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self) -> str:
        """Start; the version that runs then."""
        self.run("choose")
        try:
            return (self.run_directory / "current").readlink().name
        except FileNotFoundError:
            return IMAGE

    def taken_back(self) -> str:
        try:
            return (self.run_directory / "taken-back").read_text()
        except FileNotFoundError:
            return ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.versions.mkdir(parents=True)
    for name in (NEW, OLD):
        versions.install(machine.versions, name, PROGRAM)
    release = tmp_path / "usr/lib/mtp-appliance/release"
    release.parent.mkdir(parents=True)
    release.write_text(f"{RELEASE}\n")
    systemctl = tmp_path / "bin/systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    (tmp_path / "services").write_text(UP)
    return machine


def test_without_a_choice_the_image_runs(machine: Machine) -> None:
    assert machine.start() == IMAGE


def test_what_is_confirmed_runs_and_nothing_is_written(machine: Machine) -> None:
    machine.choose(Choice(NEW, RELEASE))
    before = (machine.versions / "chosen").stat().st_ino
    for _ in range(5):
        assert machine.start() == NEW
    assert (machine.versions / "chosen").stat().st_ino == before
    assert not (machine.run_directory / "trial").exists()


def cannot_be_written(versions: Path) -> None:
    """Have every write there fail, for root too."""
    for name in (".chosen.lock", "chosen.new"):
        (versions / name).unlink(missing_ok=True)
        (versions / name / "in the way").mkdir(parents=True)


def test_where_the_state_cannot_be_written_a_confirmed_one_runs(machine: Machine) -> None:
    machine.choose(Choice(NEW, RELEASE))
    cannot_be_written(machine.versions)
    assert machine.start() == NEW


def test_where_the_state_cannot_be_written_no_trial_goes_on(machine: Machine) -> None:
    machine.choose(Choice(OLD, RELEASE).on_trial(NEW, RELEASE))
    assert machine.start() == NEW
    cannot_be_written(machine.versions)
    (machine.root / "services").write_text(UP.replace("NRestarts=0", "NRestarts=2"))
    machine.run("watch")
    assert "restart" in (machine.root / "asked").read_text()
    assert machine.start() == OLD
    assert not (machine.run_directory / "trial").exists()


def test_a_trial_has_three_starts(machine: Machine) -> None:
    machine.choose(Choice(OLD, RELEASE).on_trial(NEW, RELEASE))
    for start in (1, 2, 3):
        assert machine.start() == NEW
        assert machine.choice().starts == start
        assert (machine.run_directory / "trial").read_text() == f"{NEW}\n"
    assert machine.start() == OLD
    assert not (machine.run_directory / "trial").exists()
    back = machine.choice()
    assert (back.version, back.state, back.failed) == (OLD, CONFIRMED, NEW)
    assert "3 times" in back.why
    assert machine.taken_back().startswith("version 9.1.0 was taken back: it was started 3 times")
    assert machine.start() == OLD


def test_back_to_the_image(machine: Machine) -> None:
    machine.choose(Choice(NEW, RELEASE, TRIAL, starts=3))
    (machine.run_directory).mkdir(parents=True)
    (machine.run_directory / "current").symlink_to("/somewhere/else")
    assert machine.start() == IMAGE


@pytest.mark.parametrize("name", [NEW, "../../etc", "/etc", ".new", "", "-"])
def test_what_is_damaged_or_elsewhere_does_not_run(name: str, machine: Machine) -> None:
    (machine.versions / NEW / "appliance/__init__.py").unlink()
    machine.choose(Choice(name, RELEASE, before=OLD))
    assert machine.start() == (OLD if name != IMAGE else IMAGE)


def test_when_the_one_before_is_damaged_too_the_image_runs(machine: Machine) -> None:
    for name in (NEW, OLD):
        (machine.versions / name / "appliance/__init__.py").unlink()
    machine.choose(Choice(NEW, RELEASE, before=OLD))
    assert machine.start() == IMAGE


def test_on_another_image_the_choice_counts_not(machine: Machine) -> None:
    machine.choose(Choice(NEW, "9.0.0 2 4711"))
    assert machine.start() == IMAGE


@pytest.mark.parametrize(
    "name", ["use-image-version", "use-image-version.txt", "Use-Image-Version.rtf"]
)
def test_the_owner_can_demand_the_image_by_a_file_on_the_boot_partition(
    machine: Machine, name: str
) -> None:
    machine.choose(Choice(NEW, RELEASE))
    boot = machine.root / "boot/firmware" / name
    boot.parent.mkdir(parents=True)
    boot.touch()
    assert machine.start() == IMAGE
    boot.unlink()
    assert machine.start() == NEW


@pytest.mark.parametrize(
    "content", [b"", b"\xff\0\xff", b"version=\n", b"starts=x\nversion", b"=" * 99]
)
def test_a_choice_that_is_no_choice(content: bytes, machine: Machine) -> None:
    (machine.versions / "chosen").write_bytes(content)
    assert machine.start() == IMAGE


def test_a_trial_that_cannot_be_counted_is_none(machine: Machine) -> None:
    machine.choose(Choice(OLD, RELEASE).on_trial(NEW, RELEASE))
    (machine.versions / "chosen.new").mkdir()  # so that nothing can be written there
    assert machine.start() == OLD
    assert "cannot be counted" in machine.taken_back()


def test_what_stays_up_is_confirmed(machine: Machine) -> None:
    machine.choose(Choice(OLD, RELEASE, failed="9.0.9-11111111", why="x").on_trial(NEW, RELEASE))
    machine.start()
    (machine.run_directory / "taken-back").touch()
    assert "is good" in machine.run("watch")
    assert machine.choice() == Choice(NEW, RELEASE, before=OLD)
    assert not (machine.run_directory / "trial").exists()
    assert not (machine.run_directory / "taken-back").exists()
    assert not (machine.root / "asked").exists()


def broken(machine: Machine, services: str, *, patience: int = 2) -> Choice:
    machine.choose(Choice(OLD, RELEASE).on_trial(NEW, RELEASE))
    assert machine.start() == NEW
    (machine.root / "services").write_text(services)
    machine.run("watch", patience=patience)
    assert (machine.root / "asked").read_text() == "--no-block restart mtp-appliance.target\n"
    assert machine.start() == OLD
    return machine.choice()


def controller(machine: Machine, *, function: str = "", bound: str | None = "") -> None:
    """Have a controller, and the gadget bound to one or to none."""
    there = machine.root / "sys/class/udc/20980000.usb"
    there.mkdir(parents=True)
    (there / "function").write_text(f"{function}\n" if function else "")
    if bound is not None:
        gadget = machine.root / "sys/kernel/config/usb_gadget/mtp-appliance"
        gadget.mkdir(parents=True)
        (gadget / "UDC").write_text(f"{bound}\n")


@pytest.mark.parametrize("bound", ["", None])
def test_what_the_pc_is_not_shown_is_taken_back(bound: str | None, machine: Machine) -> None:
    """The services are up, but the kernel has refused the gadget, or there is none."""
    controller(machine, bound=bound)
    assert "not shown to the PC within 2 seconds" in broken(machine, UP).why


@pytest.mark.parametrize(
    ("function", "bound"), [("mtp-appliance", "20980000.usb"), ("g_ether", ""), ("", "other.usb")]
)
def test_what_the_pc_is_shown_is_confirmed(function: str, bound: str, machine: Machine) -> None:
    """So is what a foreign gadget keeps away from the controller."""
    controller(machine, function=function, bound=bound)
    machine.choose(Choice(OLD, RELEASE).on_trial(NEW, RELEASE))
    machine.start()
    assert "is good" in machine.run("watch")


@pytest.mark.parametrize(
    ("services", "why"),
    [
        (UP.replace("active", "activating", 1), "not ready within 2 seconds"),
        (UP.replace("active", "failed", 1), "not ready within 2 seconds"),
        ("", "not ready within 2 seconds"),
        (UP.replace("NRestarts=0", "NRestarts=4", 1), "ended again and again"),
    ],
)
def test_what_does_not_come_up_is_taken_back(services: str, why: str, machine: Machine) -> None:
    back = broken(machine, services)
    assert (back.version, back.failed) == (OLD, NEW)
    assert why in back.why
    assert why in machine.taken_back()


def test_without_its_page_it_is_taken_back(machine: Machine) -> None:
    (machine.root / "page-socket").touch()
    assert "page does not start" in broken(machine, UP, patience=60).why


def test_with_its_page_it_is_confirmed(machine: Machine) -> None:
    (machine.root / "page-socket").touch()
    (machine.root / "page-works").touch()
    machine.choose(Choice(IMAGE, RELEASE).on_trial(NEW, RELEASE))
    machine.start()
    machine.run("watch")
    assert machine.choice().state == CONFIRMED


def test_what_was_chosen_meanwhile_stays(machine: Machine) -> None:
    """The watch ends the trial of the version it watches, not another one's."""
    machine.choose(Choice(IMAGE, RELEASE).on_trial(NEW, RELEASE))
    machine.start()
    other = Choice(OLD, RELEASE, TRIAL)
    machine.choose(other)
    machine.run("watch")
    assert machine.choice() == other


def test_called_wrongly() -> None:
    done = subprocess.run(["sh", SCRIPT, "rm"], capture_output=True, check=False)
    assert done.returncode == 2
