# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of the USB cable, from what the kernel and FunctionFS say."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.mtp.monitor import Road
from appliance.services.cable import CableState, CableWatch
from appliance.status import Cable, Usb


def controller(root: Path, name: str, state: str, *, speed: str = "UNKNOWN") -> Path:
    directory = root / "sys/class/udc" / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "state").write_text(f"{state}\n")
    (directory / "current_speed").write_text(f"{speed}\n")
    return directory


def gadget(root: Path, name: str, bound_to: str) -> None:
    directory = root / "sys/kernel/config/usb_gadget" / name
    directory.mkdir(parents=True)
    (directory / "UDC").write_text(f"{bound_to}\n")


@pytest.mark.parametrize(
    ("road", "state", "expected"),
    [
        (Road.HIDDEN, "not attached", Cable.UNBOUND),
        (Road.SHOWN, "not attached", Cable.DETACHED),
        (Road.SHOWN, "attached", Cable.ATTACHED),
        (Road.SHOWN, "powered", Cable.ATTACHED),
        (Road.SHOWN, "default", Cable.ATTACHED),
        (Road.SHOWN, "addressed", Cable.ATTACHED),
        (Road.CONFIGURED, "configured", Cable.CONFIGURED),
        (Road.CONFIGURED, "suspended", Cable.SUSPENDED),
        (Road.ASLEEP, "suspended", Cable.SUSPENDED),
        (Road.ASLEEP, "configured", Cable.SUSPENDED),
        (Road.ASLEEP, "not attached", Cable.DETACHED),
        (Road.SHOWN, "something new", Cable.ATTACHED),
        (Road.SHOWN, "", Cable.DETACHED),
        (Road.CONFIGURED, "", Cable.CONFIGURED),
    ],
)
def test_states(tmp_path: Path, road: Road, state: str, expected: Cable) -> None:
    controller(tmp_path, "dwc2", state)
    watch = CableWatch(root=tmp_path)
    found = watch.look(road)
    assert (found.usb, found.holder) == (Usb("dwc2", expected), "")
    watch.close()


def test_a_change_is_seen_at_the_next_look(tmp_path: Path) -> None:
    controller(tmp_path, "dwc2", "not attached")
    watch = CableWatch(root=tmp_path)
    assert watch.look(Road.SHOWN).usb.cable is Cable.DETACHED
    assert watch.fileno() >= 0
    controller(tmp_path, "dwc2", "configured", speed="high-speed")
    assert watch.look(Road.CONFIGURED).usb == Usb("dwc2", Cable.CONFIGURED, "high-speed")
    watch.close()
    assert watch.fileno() == -1


def test_a_controller_comes_later(tmp_path: Path) -> None:
    watch = CableWatch(root=tmp_path)
    assert watch.look(Road.HIDDEN).usb == Usb("", Cable.NO_CONTROLLER)
    assert watch.fileno() == -1
    controller(tmp_path, "dwc2", "configured")
    assert watch.look(Road.CONFIGURED).usb.cable is Cable.CONFIGURED
    watch.close()


def test_the_one_that_was_asked_for(tmp_path: Path) -> None:
    controller(tmp_path, "a", "configured")
    watch = CableWatch("b", tmp_path)
    assert watch.look(Road.HIDDEN).usb == Usb("b", Cable.NO_CONTROLLER)
    controller(tmp_path, "b", "suspended")
    assert watch.look(Road.CONFIGURED).usb == Usb("b", Cable.SUSPENDED)
    watch.close()


def test_another_gadget_has_it(tmp_path: Path) -> None:
    directory = controller(tmp_path, "dwc2", "configured")
    (directory / "function").write_text("g_ether\n")
    watch = CableWatch(root=tmp_path)
    found = watch.look(Road.HIDDEN)
    assert (found.usb.cable, found.holder) == (Cable.UNBOUND, "g_ether")
    gadget(tmp_path, "somebody", "dwc2")
    assert watch.look(Road.HIDDEN).holder == "somebody"
    assert watch.look(Road.SHOWN).holder == "", "FunctionFS says that it is us"
    watch.close()


def test_our_own_gadget_is_bound_before_anybody_tells(tmp_path: Path) -> None:
    controller(tmp_path, "dwc2", "not attached")
    gadget(tmp_path, "mtp-appliance", "dwc2")
    watch = CableWatch(root=tmp_path)
    found = watch.look(Road.HIDDEN)
    assert (found.usb.cable, found.holder) == (Cable.DETACHED, "")
    watch.close()


@pytest.mark.parametrize(
    ("road", "holder", "is_told"),
    [(Road.HIDDEN, "", True), (Road.HIDDEN, "other", False), (Road.SHOWN, "", False)],
)
def test_what_keeps_it_from_being_shown(
    tmp_path: Path, road: Road, holder: str, is_told: bool
) -> None:
    controller(tmp_path, "dwc2", "not attached")
    if holder:
        gadget(tmp_path, holder, "dwc2")
    obstacle = ApplianceError("it cannot be")
    watch = CableWatch(root=tmp_path, obstacle=lambda: obstacle)
    assert watch.look(road).obstacle is (obstacle if is_told else None)
    assert watch.look(road).again == math.inf
    watch.close()
    watch = CableWatch(root=tmp_path, obstacle=lambda: None)
    assert (watch.look(road).again < math.inf) is is_told
    watch.close()


@pytest.mark.parametrize(
    ("obstacle", "alone", "is_missing", "comes"),
    [
        (None, True, True, False),
        (lambda: None, True, False, True),  # at a start it may come a little later
        (lambda: ApplianceError("none"), True, True, False),
        (lambda: ApplianceError("none"), False, False, False),  # over PTP/IP nobody needs it
    ],
)
def test_a_controller_that_does_not_come(
    tmp_path: Path,
    obstacle: Callable[[], ApplianceError | None] | None,
    alone: bool,
    is_missing: bool,
    comes: bool,
) -> None:
    watch = CableWatch("", tmp_path, obstacle, alone=alone)
    found = watch.look(Road.HIDDEN)
    usb = Usb("", Cable.NO_CONTROLLER)
    assert found == CableState(usb, is_missing=is_missing, again=found.again)
    assert (found.again < math.inf) is comes
