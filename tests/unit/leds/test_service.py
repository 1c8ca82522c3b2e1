# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of the lights as a process, and what the button asks the responder for."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import ApplianceError
from appliance.leds.patterns import DONE, FAILED, Step
from appliance.services.press import Presses
from appliance.services.status_file import StatusFile
from appliance.status import Cable, Status, Usb
from tests.unit.test_cli import ENVIRONMENT, ROOT, run

PATIENCE = 30.0


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Rig:
    """A board with an LED, and the places that the service looks at."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.act = self.add_led("ACT")
        self.settings = root / "settings.toml"
        self.settings.write_text("")
        self.status = root / "run/status.json"
        self.failures = root / "failures"
        self.failures.mkdir()
        self.log = root / "log"

    def add_led(self, name: str) -> Path:
        """Have an LED, all of it at once."""
        made = self.root / "made"
        made.mkdir(parents=True)
        (made / "trigger").write_text("[mmc0] none")
        (made / "brightness").write_text("0")
        (made / "max_brightness").write_text("1")
        led = self.root / "sys/class/leds" / name
        led.parent.mkdir(parents=True, exist_ok=True)
        return made.rename(led)

    @contextmanager
    def service(self) -> Iterator["subprocess.Popen[bytes]"]:
        argv = [sys.executable, "-m", "appliance", "leds", "run", "-v"]
        argv += ["--status", str(self.status), "--failures", str(self.failures)]
        argv += ["--settings", str(self.settings), "--root", str(self.root)]
        with (
            self.log.open("wb") as log,
            subprocess.Popen(argv, stderr=log, cwd=ROOT, env=ENVIRONMENT) as process,
        ):
            try:
                yield process
            finally:
                process.terminate()
                process.wait(PATIENCE)

    def shown(self) -> str:
        """The last pattern."""
        lines = [line for line in self.log.read_text().splitlines() if "SHOW" in line]
        return lines[-1].rpartition(" ")[2] if lines else ""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


READY = Status(ready=True, usb=Usb("udc", Cable.CONFIGURED))


def test_it_shows_what_happens(rig: Rig) -> None:
    with rig.service() as process:
        wait_until(lambda: rig.shown() == "starting")
        file = StatusFile.claim(rig.status)
        assert file is not None
        file.write(READY)
        wait_until(lambda: rig.shown() == "connected")
        wait_until(lambda: (rig.act / "brightness").read_text() == "1\n")
        file.write(Status(ready=True))
        wait_until(lambda: rig.shown() == "waiting")
        (rig.failures / "mtp-appliance.service").write_text("signal\n")
        wait_until(lambda: rig.shown() == "error")
        (rig.failures / "mtp-appliance.service").unlink()
        wait_until(lambda: rig.shown() == "waiting")
        os.close(file._lock)  # as when its writer is killed
        wait_until(lambda: rig.shown() == "starting")
        assert process.poll() is None
    assert (rig.act / "trigger").read_text() == "mmc0"
    assert process.returncode == 0


@pytest.mark.parametrize("before", [(), ("mmc0::",)])
def test_an_led_that_comes_after_the_service(rig: Rig, before: tuple[str, ...]) -> None:
    """The board's own one also takes the place of another, which stands in for it."""
    shutil.rmtree(rig.act)
    others = [rig.add_led(name) for name in before]
    with rig.service() as process:
        wait_until(lambda: rig.shown() == "starting")
        wait_until(lambda: all((each / "trigger").read_text() == "none" for each in others))
        rig.add_led("ACT")
        wait_until(lambda: (rig.act / "trigger").read_text() == "none")
        wait_until(lambda: (rig.act / "brightness").read_text() == "1\n")
        assert [(each / "trigger").read_text() for each in others] == ["mmc0"] * len(others)
        assert process.poll() is None
    assert rig.log.read_text().count("this board has none of its own") == (not before)


def test_settings_take_effect_while_it_runs(rig: Rig) -> None:
    with rig.service() as process:
        wait_until(lambda: (rig.act / "trigger").read_text() == "none")
        rig.settings.write_text("[leds]\nboard = false\n")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: (rig.act / "trigger").read_text() == "mmc0")
        rig.settings.write_text("[leds]\nboard = 5\n")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "board: 5" in rig.log.read_text())
        assert process.poll() is None


def test_the_table_is_told() -> None:
    done = run("leds", "show")
    assert done.returncode == 0
    assert "two flashes and a pause" in done.stdout
    assert done.stdout.count("\n") == 8


def test_trying_them(rig: Rig) -> None:
    options = ("--settings", rig.settings, "--root", rig.root)
    done = run("leds", "test", "--seconds", "0.01", *options)
    assert done.returncode == 0
    assert done.stdout.count("\n") == 6
    rig.settings.write_text("[leds]\nboard = false\n")
    done = run("leds", "test", "--seconds", "0.01", *options)
    assert done.returncode == 1
    assert "there is no LED" in done.stderr


# The button


class FakePlayer:
    def __init__(self) -> None:
        self.shown: list[tuple[Step, ...]] = []

    def show_once(self, steps: tuple[Step, ...]) -> None:
        self.shown.append(steps)


class Bench:
    """Presses with a clock of their own and a responder that answers as a test says."""

    def __init__(self, root: Path) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.refused: dict[str, ApplianceError] = {}
        self.player = FakePlayer()
        self.file = StatusFile.claim(root / "status.json")
        player: Any = self.player
        self.helper = root / "helper.sock"
        self.presses = Presses(
            player, root / "status.json", helper=self.helper, ask=self.ask, clock=self.clock
        )

    def clock(self) -> float:
        return self.now

    def ask(self, path: Path, verb: str) -> None:
        assert path.name == ("helper.sock" if verb == "factory reset" else "control.sock")
        self.asked.append(verb)
        if verb in self.refused:
            raise self.refused[verb]

    def press(self, seconds: float) -> None:
        self.presses.pressed()
        self.now += seconds
        if seconds >= 7:
            self.presses.held()
        self.presses.released()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    assert bench.file is not None
    bench.file.write(READY)
    yield bench
    bench.file.close()


def test_a_short_press_ejects_and_the_next_one_reconnects(bench: Bench) -> None:
    bench.press(0.2)
    assert bench.asked == ["storage lock"]
    assert bench.player.shown == [DONE]
    assert bench.file is not None
    bench.file.write(Status(ready=True, ejected=True))
    bench.press(0.2)
    assert bench.asked == ["storage lock", "storage unlock", "reconnect"]


def test_a_long_press_resets_the_settings(bench: Bench) -> None:
    bench.press(7.0)
    assert bench.asked == ["settings reset"]
    assert bench.player.shown == [DONE]


def test_a_long_press_asks_root_where_root_can_be_asked(bench: Bench) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(bench.helper))
        bench.press(7.0)
    assert bench.asked == ["factory reset"]


def test_letting_go_too_early_undoes_it(bench: Bench) -> None:
    bench.press(6.9)
    assert bench.asked == []
    assert bench.player.shown == [()]


def test_holding_counts_down(bench: Bench) -> None:
    bench.presses.pressed()
    wait_until(lambda: bench.player.shown)
    assert len(bench.player.shown[0]) > 10
    bench.now = 3
    bench.presses.released()
    assert bench.asked == []


def test_what_is_refused_is_shown(bench: Bench) -> None:
    bench.refused["settings reset"] = ApplianceError("no")
    bench.press(7.0)
    assert bench.player.shown == [FAILED]


def test_without_a_responder(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.file is not None
    bench.file.close()
    bench.press(0.2)
    assert bench.player.shown == [FAILED]
    assert bench.asked == []


def test_over_a_network_there_is_nothing_to_reconnect(bench: Bench) -> None:
    bench.refused["reconnect"] = ApplianceError("this is not understood")
    assert bench.file is not None
    bench.file.write(Status(ready=True, ejected=True))
    bench.press(0.2)
    assert bench.player.shown == [DONE]
