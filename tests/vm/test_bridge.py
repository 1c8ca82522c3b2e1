# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge between host and guest, with a guest that only pretends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.vm.bridge import Bridge
from tests.vm.image import GuestError


class PretendedGuest:
    """Writes the reports that it is told to, and is then as dead as it is told to be."""

    def __init__(self, folder: Path, lines: list[dict[str, Any]], *, dies: bool) -> None:
        self.folder = folder
        self._lines = lines
        self._dies = dies
        self.wanted: list[str] = []
        self.command = ""
        self.stopped = False

    def start(self, command: str) -> None:
        self.command = command
        self.wanted = json.loads((self.folder / "wanted.json").read_text())
        text = "".join(json.dumps(line) + "\n" for line in self._lines)
        (self.folder / "reports.jsonl").write_text(text)

    def running(self) -> bool:
        return not self._dies

    def last_words(self, lines: int = 40) -> str:
        return "Kernel panic - not syncing"

    def stop(self, *, keep: bool = False) -> None:
        self.stopped = True


def _passed(nodeid: str) -> list[dict[str, Any]]:
    return [{"nodeid": nodeid, "report": "r"}, {"nodeid": nodeid, "finished": True}]


NewBridge = Callable[..., tuple[Bridge, list[PretendedGuest]]]


@pytest.fixture
def new_bridge(tmp_path: Path) -> NewBridge:
    def make(
        wanted: list[str], runs: list[tuple[list[dict[str, Any]], bool]], timeout: float = 60.0
    ) -> tuple[Bridge, list[PretendedGuest]]:
        guests: list[PretendedGuest] = []

        def new_guest() -> PretendedGuest:
            folder = tmp_path / str(len(guests))
            folder.mkdir()
            lines, dies = runs[len(guests)]
            guests.append(PretendedGuest(folder, lines, dies=dies))
            return guests[-1]

        return Bridge(wanted, timeout, new_guest), guests

    return make


def test_reports_come_in_any_order_and_are_given_to_their_tests(new_bridge: NewBridge) -> None:
    bridge, guests = new_bridge(["f::b", "f::a"], [(_passed("f::a") + _passed("f::b"), False)])
    bridge.start()
    assert [each["report"] for each in bridge.messages("f::b")] == ["r"]
    assert [each["report"] for each in bridge.messages("f::a")] == ["r"]
    assert guests[0].wanted == ["f::b", "f::a"]
    assert guests[0].command.endswith(" f")


def test_a_guest_that_dies_fails_the_test_and_is_booted_again_for_the_rest(
    new_bridge: NewBridge,
) -> None:
    runs = [(_passed("f::a"), True), (_passed("f::c"), True)]
    bridge, guests = new_bridge(["f::a", "f::b", "f::c"], runs)
    bridge.start()
    assert [each["report"] for each in bridge.messages("f::a")] == ["r"]
    (failure,) = bridge.messages("f::b")
    assert "Kernel panic" in failure["failure"]
    assert [each["report"] for each in bridge.messages("f::c")] == ["r"]
    assert guests[0].stopped
    assert guests[1].wanted == ["f::c"]


def test_a_guest_that_dies_while_it_boots_is_replaced_once(new_bridge: NewBridge) -> None:
    bridge, guests = new_bridge(["f::a", "f::b"], [([], True), (_passed("f::a"), True)])
    bridge.start()
    assert [each["report"] for each in bridge.messages("f::a")] == ["r"]
    assert "Kernel panic" in bridge.stillborn
    assert guests[0].stopped
    (failure,) = bridge.messages("f::b")
    assert "Kernel panic" in failure["failure"]
    assert len(guests) == 2


def test_a_guest_that_always_dies_is_not_booted_for_ever(new_bridge: NewBridge) -> None:
    wanted = [f"f::{number}" for number in range(6)]
    bridge, guests = new_bridge(wanted, [([], True)] * 6)
    bridge.start()
    results = [list(bridge.messages(each)) for each in wanted]
    assert all("failure" in each[0] for each in results)
    assert len(guests) == 3


def test_a_test_without_end_is_given_up(
    new_bridge: NewBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.vm.bridge._BOOT", 0.0)
    bridge, _ = new_bridge(["f::a"], [([], False)], 0.1)
    bridge.start()
    (failure,) = bridge.messages("f::a")
    assert "no result" in failure["failure"]


def test_a_guest_that_cannot_be_made_fails_every_test_with_the_reason() -> None:
    def no_guest() -> PretendedGuest:
        raise GuestError("mmdebstrap is missing: apt install mmdebstrap")

    bridge = Bridge(["f::a", "f::b"], 60.0, no_guest)
    bridge.start()
    for nodeid in ("f::a", "f::b"):
        (failure,) = bridge.messages(nodeid)
        assert "apt install mmdebstrap" in failure["failure"]


def test_a_guest_that_cannot_be_started_fails_every_test_with_the_reason(tmp_path: Path) -> None:
    class NoQemu(PretendedGuest):
        def start(self, command: str) -> None:
            raise GuestError("qemu-system-x86_64 is missing: apt install qemu-system-x86")

    guest = NoQemu(tmp_path, [], dies=False)
    bridge = Bridge(["f::a", "f::b"], 60.0, lambda: guest)
    bridge.start()
    for nodeid in ("f::a", "f::b"):
        (failure,) = bridge.messages(nodeid)
        assert "apt install qemu" in failure["failure"]
    assert guest.stopped
