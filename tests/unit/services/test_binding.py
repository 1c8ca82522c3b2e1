# SPDX-License-Identifier: GPL-3.0-or-later
"""The gadget stays bound; what is in the way is told once."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.gadget import udc
from appliance.gadget.configfs import Gadget
from appliance.services import binding
from appliance.services.binding import Binder
from tests.unit.gadget.conftest import FakeSys

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_RETRY", "_LOOK", "_GONE"):
        monkeypatch.setattr(binding, name, 0.01)


@pytest.fixture
def fake(tmp_path: Path) -> FakeSys:
    fake = FakeSys(tmp_path)
    fake.add_gadget("mine")
    return fake


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def bound(fake: FakeSys) -> str:
    return (fake.gadgets / "mine/UDC").read_text().strip()


def test_bound_when_the_controller_comes_and_unbound_at_the_end(
    fake: FakeSys, caplog: pytest.LogCaptureFixture
) -> None:
    with Binder("mine", root=fake.root) as binder:
        wait_until(lambda: bool(binder.obstacle.text))
        fake.add_controller("late.usb")
        wait_until(lambda: bound(fake) == "late.usb" and not binder.obstacle.text)
    assert bound(fake) == ""
    assert sum("WAITING no USB device controller" in each for each in caplog.messages) == 1


def test_bound_again_by_itself(fake: FakeSys) -> None:
    fake.add_controller("a.usb")
    with Binder("mine", root=fake.root):
        for _ in range(3):
            wait_until(lambda: bound(fake) == "a.usb")
            (fake.gadgets / "mine/UDC").write_text("\n")


def test_from_a_controller_that_is_gone_to_one_that_is_there(fake: FakeSys) -> None:
    (fake.gadgets / "mine/UDC").write_text("gone.usb\n")
    fake.add_controller("here.usb")
    with Binder("mine", root=fake.root):
        wait_until(lambda: bound(fake) == "here.usb")


def test_only_the_controller_that_is_named(fake: FakeSys) -> None:
    fake.add_controller("a.usb")
    fake.add_controller("b.usb")
    with Binder("mine", "b.usb", fake.root):
        wait_until(lambda: bound(fake) == "b.usb")


def test_who_is_in_the_way_is_named_once(fake: FakeSys, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    fake.add_controller("a.usb")
    other = fake.add_gadget("other", "a.usb")
    with Binder("mine", root=fake.root) as binder:
        wait_until(lambda: "in use by other" in binder.obstacle.text)
        with pytest.raises(ApplianceError, match="in use by other"):
            binder.reconnect()
        assert len(caplog.messages) == 1
        (other / "UDC").write_text("\n")
        wait_until(lambda: bound(fake) == "a.usb" and not binder.obstacle.text)


def test_reconnecting(fake: FakeSys, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fake.add_controller("a.usb")
    with Binder("mine", root=fake.root) as binder:
        wait_until(lambda: bound(fake) == "a.usb")
        binder.reconnect()
        assert bound(fake) == "a.usb"
    lines = [each.partition(" ")[0] for each in caplog.messages]
    assert lines == ["BIND", "UNBIND", "BIND", "UNBIND"]


def test_what_the_kernel_refuses_is_not_tried_again_until_it_is_another(
    fake: FakeSys, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def refuse(gadget: Gadget, name: str, root: Path) -> None:
        tries.append(name)
        raise ApplianceError("it cannot be")

    monkeypatch.setattr(udc, "bind", refuse)
    fake.add_controller("a.usb")
    with Binder("mine", root=fake.root) as binder:
        wait_until(lambda: binder.obstacle.text == "it cannot be")
        with pytest.raises(ApplianceError, match="make the gadget anew"):
            binder.reconnect()
        assert tries == ["a.usb"]
        (fake.gadgets / "mine").rename(fake.root / "old")
        fake.add_gadget("mine")
        wait_until(lambda: len(tries) == 2)


def test_a_gadget_that_is_not_there_yet(tmp_path: Path) -> None:
    fake = FakeSys(tmp_path)
    fake.add_controller("a.usb")
    with Binder("mine", root=fake.root) as binder:
        wait_until(lambda: "mine cannot use a.usb" in binder.obstacle.text)
        fake.add_gadget("mine")
        wait_until(lambda: bound(fake) == "a.usb")


def test_what_stays_in_the_way_is_told_of(fake: FakeSys, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends by itself, as a gadget that is just made anew, is not."""

    def refuse(gadget: Gadget, name: str, root: Path) -> None:
        raise ApplianceError("it cannot be")

    monkeypatch.setattr(udc, "bind", refuse)
    fake.add_controller("a.usb")
    with Binder("mine", root=fake.root) as binder:
        assert binder.lasting() is None
        wait_until(lambda: bool(binder.obstacle.text))
        assert binder.lasting() is None
        monkeypatch.setattr(binding, "_LONG", 0.0)
        found = binder.lasting()
        assert found is not None
        assert (found.message, "make the gadget anew" in found.hint) == ("it cannot be", True)
