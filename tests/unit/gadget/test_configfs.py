# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a plan out, twice, half, and back."""

import logging

import pytest

from appliance.errors import ApplianceError, ExitStatus
from appliance.gadget.configfs import Gadget
from appliance.gadget.plan import GadgetSettings, Link, MakeDirectory, Write, plan
from tests.unit.gadget.conftest import FakeSys

STEPS = (
    MakeDirectory("."),
    Write("idVendor", "0x1d6b"),
    MakeDirectory("functions"),
    MakeDirectory("functions/ffs.mtp"),
    MakeDirectory("configs"),
    Link("configs/ffs.mtp", "functions/ffs.mtp"),
)


def test_made_and_removed(sys_tree: FakeSys, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    gadget = Gadget("g", sys_tree.root)
    gadget.make(STEPS)
    assert (gadget.path / "idVendor").read_text() == "0x1d6b"
    assert (gadget.path / "configs/ffs.mtp").resolve() == gadget.path / "functions/ffs.mtp"
    assert caplog.messages == [str(step) for step in STEPS]
    sys_tree.forget_attributes()
    gadget.remove(STEPS)
    assert not gadget.path.exists()
    assert caplog.messages[-1] == "RMDIR ."


def test_making_and_removing_again_is_harmless(
    sys_tree: FakeSys, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gadget = Gadget("g", sys_tree.root)
    gadget.make(STEPS)
    gadget.make(STEPS)
    assert "LINK configs/ffs.mtp -> functions/ffs.mtp (is there)" in caplog.messages
    sys_tree.forget_attributes()
    gadget.remove(STEPS)
    gadget.remove(STEPS)


def test_a_failure_leaves_nothing(sys_tree: FakeSys) -> None:
    gadget = Gadget("g", sys_tree.root)
    steps = [step for step in STEPS if not isinstance(step, Write)]
    with pytest.raises(ApplianceError, match="MKDIR functions/none/deep") as caught:
        gadget.make([*steps, MakeDirectory("functions/none/deep")])
    assert "modprobe" in caught.value.hint
    assert not gadget.path.exists()


def test_what_was_there_before_a_failure_stays(sys_tree: FakeSys) -> None:
    gadget = Gadget("g", sys_tree.root)
    gadget.make(STEPS[:3])
    with pytest.raises(ApplianceError):
        gadget.make([*STEPS, MakeDirectory("nowhere/deep")])
    assert (gadget.path / "functions").is_dir()
    assert not (gadget.path / "configs").exists()


def test_another_link_of_that_name_is_an_error(sys_tree: FakeSys) -> None:
    gadget = Gadget("g", sys_tree.root)
    gadget.make(STEPS)
    with pytest.raises(ApplianceError, match="LINK"):
        gadget.make([Link("configs/ffs.mtp", "configs")])


def test_a_kernel_without_gadgets(sys_tree: FakeSys) -> None:
    sys_tree.gadgets.rmdir()
    with pytest.raises(ApplianceError, match="no USB gadgets") as caught:
        Gadget("g", sys_tree.root).make(STEPS)
    assert caught.value.status is ExitStatus.NO_HARDWARE
    assert "modprobe libcomposite" in caught.value.hint


def test_what_a_killed_process_left_is_swept_away(sys_tree: FakeSys) -> None:
    gadget = Gadget("g", sys_tree.root)
    for folder in ("strings/0x409", "configs/c.1", "functions/ncm.usb0", "os_desc"):
        (gadget.path / folder).mkdir(parents=True)
    (gadget.path / "os_desc/c.1").symlink_to(gadget.path / "configs/c.1")
    (gadget.path / "configs/c.1/ncm.usb0").symlink_to(gadget.path / "functions/ncm.usb0")
    with pytest.raises(OSError, match="not empty"):
        gadget.sweep()  # what the kernel removes by itself is left of an ordinary tree
    left = {str(path.relative_to(gadget.path)) for path in gadget.path.rglob("*")}
    assert left == {"os_desc", "strings", "configs", "functions"}


def test_sweeping_nothing(sys_tree: FakeSys) -> None:
    Gadget("g", sys_tree.root).sweep()


def test_the_whole_plan_fits(sys_tree: FakeSys) -> None:
    gadget = Gadget("g", sys_tree.root)
    for folder in ("strings", "configs", "functions", "os_desc"):
        (gadget.path / folder).mkdir(parents=True)
    steps = [step for step in plan(GadgetSettings("S", "M", "P")) if "c.1/strings" not in step.path]
    gadget.make(steps)
    assert (gadget.path / "os_desc/c.1").resolve() == gadget.path / "configs/c.1"
