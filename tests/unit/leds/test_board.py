# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardware, with gpiozero's mock pins and a tree that looks like /sys."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

gpiozero = pytest.importorskip("gpiozero", reason="pip install gpiozero")
from gpiozero.pins.mock import MockFactory, MockPWMPin  # noqa: E402

from appliance.leds import board  # noqa: E402
from appliance.leds.board import Wiring  # noqa: E402
from appliance.leds.patterns import Pattern  # noqa: E402
from appliance.leds.player import Player  # noqa: E402

PATIENCE = 20.0
NO_BOARD = {"board": False}


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockFactory]:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    factory = MockFactory(pin_class=MockPWMPin)
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory
    factory.reset()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("brightness", [100, 30])
def test_brightness(factory: MockFactory, brightness: int) -> None:
    (light,) = board.lights(Wiring((17,), brightness=brightness, board=False))
    light.show(lit=True)
    assert factory.pin(17).state == pytest.approx(brightness / 100)
    light.show(lit=False)
    assert factory.pin(17).state == 0
    light.close()


@pytest.mark.parametrize("pwm", [True, False])
def test_active_low(factory: MockFactory, pwm: bool) -> None:
    (light,) = board.lights(Wiring((17,), active_low=True, pwm=pwm, board=False))
    light.show(lit=True)
    assert factory.pin(17).state == 0
    light.show(lit=False)
    assert factory.pin(17).state == 1
    light.close()


def test_all_pins_show_the_same(factory: MockFactory) -> None:
    lights = board.lights(Wiring((17, 27), board=False))
    for light in lights:
        light.show(lit=True)
    assert (factory.pin(17).state, factory.pin(27).state) == (1, 1)
    for light in lights:
        light.close()


def test_a_pin_in_use_does_not_keep_the_others_dark(
    factory: MockFactory, caplog: pytest.LogCaptureFixture
) -> None:
    with gpiozero.LED(17):
        (light,) = board.lights(Wiring((17, 27), board=False))
    assert "17 cannot be used" in caplog.text
    light.show(lit=True)
    assert factory.pin(27).state == 1
    light.close()


def test_none_at_all(factory: MockFactory, tmp_path: Path) -> None:
    assert board.lights(Wiring(), tmp_path) == []


@pytest.fixture
def act(tmp_path: Path) -> Path:
    folder = tmp_path / "sys/class/leds/ACT"
    folder.mkdir(parents=True)
    (folder / "trigger").write_text("none [mmc0] timer")
    (folder / "brightness").write_text("0")
    (folder / "max_brightness").write_text("255")
    return folder


def test_the_boards_own(act: Path, tmp_path: Path) -> None:
    (light,) = board.lights(Wiring(), tmp_path)
    assert (act / "trigger").read_text() == "none"
    light.show(lit=True)
    assert (act / "brightness").read_text().startswith("255\n")
    light.show(lit=False)
    assert (act / "brightness").read_text().startswith("0\n")
    light.close()
    assert (act / "trigger").read_text() == "mmc0"


@pytest.mark.parametrize("pattern", [Pattern.TRANSFERRING, Pattern.UNSAFE, Pattern.STARTING])
def test_a_pattern_on_a_pin(factory: MockFactory, pattern: Pattern) -> None:
    """The pin's own history has the pattern's order of light and dark, in its lengths."""
    player = Player(board.lights(Wiring((17,), board=False)))
    pin = factory.pin(17)
    pin.clear_states()
    player.show(pattern)
    steps = pattern.value.steps
    wait_until(lambda: len(pin.states) > 2 * len(steps) + 1)
    player.close()
    changes = pin.states[1:]
    lit = [bool(state.state) for state in changes]
    assert lit[: len(steps)] == [on for on, _ in steps]
    # A state's timestamp is how long the one before it lasted; a busy machine makes it longer.
    for (_, seconds), after in zip(steps, changes[1:], strict=False):
        assert after.timestamp >= seconds * 0.9


def test_a_steady_light_costs_nothing(factory: MockFactory) -> None:
    player = Player(board.lights(Wiring((17,), board=False)))
    player.show(Pattern.CONNECTED)
    pin = factory.pin(17)
    wait_until(lambda: pin.state == 1)
    count = len(pin.states)
    player.show(Pattern.CONNECTED)
    time.sleep(0.2)
    assert len(pin.states) == count
    player.close()


def test_a_light_that_fails_is_tried_again() -> None:
    """What a library of pins raises is none of the system's errors."""

    class Failing:
        def __init__(self) -> None:
            self.shown: list[bool] = []

        def show(self, *, lit: bool) -> None:
            self.shown.append(lit)
            if len(self.shown) == 1:
                raise RuntimeError("GPIO busy")

        def close(self) -> None:
            pass

    light = Failing()
    player = Player([light])
    player.show(Pattern.STARTING)
    wait_until(lambda: light.shown[-3:] == [True, False, True])
    assert player.is_alive
    player.close()
    assert not player.is_alive


@pytest.mark.parametrize("error", [RuntimeError("GPIO busy"), OSError(5, "I/O error")])
@pytest.mark.parametrize("fails", [lambda count, lit: count <= 99, lambda count, lit: lit])
def test_a_light_that_fails_is_told_of_once(
    caplog: pytest.LogCaptureFixture, error: Exception, fails: Callable[[int, bool], bool]
) -> None:
    """However long it does: not at each step, for the log has room for other things too."""

    class Failing:
        count = 0

        def show(self, *, lit: bool) -> None:
            self.count += 1
            if fails(self.count, lit):
                raise error

        def close(self) -> None:
            pass

    caplog.set_level("INFO")
    light, healthy = Failing(), FakeLight()
    player = Player([light, healthy])
    player.show_once(((True, 0.001), (False, 0.001)) * 60)
    wait_until(lambda: light.count >= 120)
    player.close()
    told = [each.getMessage() for each in caplog.records]
    assert len([each for each in told if "cannot be lit" in each]) == 1
    assert len([each for each in told if "works again" in each]) == (not fails(100, True))
    assert healthy.count == light.count


class FakeLight:
    """A light that is well."""

    count = 0

    def show(self, *, lit: bool) -> None:
        self.count += 1

    def close(self) -> None:
        pass


def test_what_is_shown_once_comes_before_the_pattern(factory: MockFactory) -> None:
    player = Player(board.lights(Wiring((17,), board=False)))
    pin = factory.pin(17)
    player.show_once(((True, 0.02), (False, 0.02)) * 3)
    player.show(Pattern.CONNECTED)
    wait_until(lambda: sum(bool(state.state) for state in pin.states) == 4)
    assert pin.state == 1
    player.close()
    assert not [each for each in threading.enumerate() if each.name == "lights"]


def test_the_button(factory: MockFactory) -> None:
    heard: list[str] = []
    button = board.button(
        Wiring(button=4, board=False),
        0.15,
        lambda: heard.append("down"),
        lambda: heard.append("up"),
        lambda: heard.append("held"),
    )
    assert button is not None
    pin = factory.pin(4)
    pin.drive_low()
    wait_until(lambda: heard == ["down", "held"])
    pin.drive_high()
    wait_until(lambda: heard == ["down", "held", "up"])
    button.close()


def test_no_button(factory: MockFactory) -> None:
    nothing = lambda: None  # noqa: E731
    assert board.button(Wiring(), 1, nothing, nothing, nothing) is None
    with gpiozero.LED(4):
        assert board.button(Wiring(button=4), 1, nothing, nothing, nothing) is None


@pytest.mark.parametrize(
    ("wiring", "expected"),
    [
        (Wiring(), ("ACT", "mmc0::")),
        (Wiring(board=False), ()),
        (Wiring((17,), board=False), ("gpiochip0", "gpiochip4")),
        (Wiring(button=23), ("ACT", "mmc0::", "gpiochip0", "gpiochip4")),
    ],
)
def test_what_can_be_reached(tmp_path: Path, wiring: Wiring, expected: tuple[str, ...]) -> None:
    """Of an LED both files have to be there; the kernel makes and udev allows them one by one."""
    for name in ("mmc0::/brightness", "mmc0::/trigger", "ACT/brightness", "ACT/trigger"):
        file = tmp_path / "sys/class/leds" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "sys/class/leds/led0").mkdir()
    (tmp_path / "sys/class/leds/led0/brightness").touch()
    assert board.reachable(Wiring((1,)), tmp_path) == ("ACT", "mmc0::")
    (tmp_path / "dev").mkdir()
    for name in ("gpiochip4", "gpiochip0", "gpiomem"):
        (tmp_path / "dev" / name).touch()
    assert board.reachable(wiring, tmp_path) == expected
