# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers: found, waited for, held by somebody, bound."""

import contextlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, ExitStatus
from appliance.gadget import udc
from appliance.gadget.configfs import Gadget
from tests.unit.gadget.conftest import FakeSys


def test_all_are_listed(sys_tree: FakeSys) -> None:
    sys_tree.add_controller("b.usb")
    sys_tree.add_controller("a.usb")
    assert udc.controllers(sys_tree.root) == ["a.usb", "b.usb"]


def test_a_kernel_without_any(tmp_path: Path) -> None:
    assert udc.controllers(tmp_path) == []


def test_the_first_is_taken_or_the_one_that_is_named(sys_tree: FakeSys) -> None:
    sys_tree.add_controller("a.usb")
    sys_tree.add_controller("b.usb")
    assert udc.wait_for_controller(root=sys_tree.root) == "a.usb"
    assert udc.wait_for_controller("b.usb", root=sys_tree.root) == "b.usb"


def test_one_that_comes_late_is_waited_for(sys_tree: FakeSys) -> None:
    timer = threading.Timer(0.15, sys_tree.add_controller, ("late.usb",))
    timer.start()
    assert udc.wait_for_controller(seconds=10, root=sys_tree.root) == "late.usb"
    timer.join()


def test_none_is_an_error_that_says_what_to_do(sys_tree: FakeSys) -> None:
    with pytest.raises(ApplianceError) as caught:
        udc.wait_for_controller(root=sys_tree.root)
    assert caught.value.status is ExitStatus.NO_HARDWARE
    assert "dtoverlay=dwc2" in caught.value.hint
    assert "modprobe dummy_hcd" in caught.value.hint


def test_a_wrong_name_is_an_error_that_names_the_others(sys_tree: FakeSys) -> None:
    sys_tree.add_controller("a.usb")
    with pytest.raises(ApplianceError, match=r"no USB device controller x; there is a\.usb"):
        udc.wait_for_controller("x", root=sys_tree.root)


def test_state(sys_tree: FakeSys) -> None:
    sys_tree.add_controller("a.usb")
    assert udc.state("a.usb", sys_tree.root) == "not attached"
    assert udc.state("none", sys_tree.root) == ""


def test_who_holds_it(sys_tree: FakeSys) -> None:
    for name, function in (("a.usb", ""), ("b.usb", "g_ether"), ("c.usb", "")):
        sys_tree.add_controller(name, function)
    sys_tree.add_gadget("mine", "a.usb")
    sys_tree.add_gadget("other")
    holders = [udc.holder(name, sys_tree.root) for name in ("a.usb", "b.usb", "c.usb")]
    assert holders == ["mine", "g_ether", None]


def test_bound_and_unbound(sys_tree: FakeSys) -> None:
    sys_tree.add_controller("a.usb")
    sys_tree.add_gadget("mine")
    gadget = Gadget("mine", sys_tree.root)
    udc.bind(gadget, "a.usb", sys_tree.root)
    udc.bind(gadget, "a.usb", sys_tree.root)
    assert udc.bound_to(gadget) == "a.usb"
    udc.unbind(gadget)
    udc.unbind(gadget)
    assert udc.bound_to(gadget) is None


def test_unbinding_what_does_not_exist(sys_tree: FakeSys) -> None:
    udc.unbind(Gadget("none", sys_tree.root))


def test_the_error_names_who_is_in_the_way(sys_tree: FakeSys) -> None:
    error = udc.in_use("a.usb", "other")
    assert str(error).startswith("the USB device controller a.usb is in use by other")
    assert "/sys/kernel/config/usb_gadget/other/UDC" in error.hint


def test_a_gadget_that_cannot_be_bound(sys_tree: FakeSys) -> None:
    with pytest.raises(ApplianceError, match=r"none cannot use a\.usb"):
        udc.bind(Gadget("none", sys_tree.root), "a.usb", sys_tree.root)


def test_what_the_kernel_refuses_is_not_tried_again(sys_tree: FakeSys) -> None:
    sys_tree.add_gadget("mine")
    with _nothing_can_be_written(), pytest.raises(ApplianceError):
        before = _writes()
        udc.bind(Gadget("mine", sys_tree.root), "a.usb", sys_tree.root)
    assert _writes() == before + 1


@contextlib.contextmanager
def _nothing_can_be_written() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _writes() -> int:
    """System calls of this process that have written something, or tried to."""
    return int(Path("/proc/self/io").read_text().split("syscw:")[1].split()[0])
