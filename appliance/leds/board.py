# SPDX-License-Identifier: GPL-3.0-or-later
"""The lights and the button as hardware. The one module that knows gpiozero.

Whoever closes a pin lets it go dark, so there is one owner, which keeps them open. What is not
there, or is in use, is said once, and the rest goes on without it.
"""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from appliance.values import dataclass

log = logging.getLogger(__name__)

#: What kernels call the LED that is marked ACT.
BOARD_LEDS = ("ACT", "led0", "mmc0::", "green:act")
_LEDS = Path("sys/class/leds")
_FACTORY = "GPIOZERO_PIN_FACTORY"


@dataclass(frozen=True, slots=True)
class Wiring:
    """Which pins there are and how they are wired; `brightness` in percent, `button` -1: none."""

    pins: tuple[int, ...] = ()
    active_low: bool = False
    pwm: bool = True
    brightness: int = 100
    board: bool = True
    button: int = -1


class Light(Protocol):
    """Something that can be lit."""

    def show(self, *, lit: bool) -> None:
        """Light it, or let it be dark."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class PinLight:
    """An LED on a pin."""

    def __init__(self, led: Any, level: float) -> None:
        self._led = led
        self._level = level

    def show(self, *, lit: bool) -> None:
        """Light it, or let it be dark."""
        self._led.value = self._level if lit else 0

    def close(self) -> None:
        """Give the pin back; it goes dark."""
        self._led.close()


class BoardLight:
    """The board's own LED, by the kernel's interface for LEDs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trigger = _chosen((folder / "trigger").read_text())
        (folder / "trigger").write_text("none")
        with suppress(OSError, ValueError):
            self._most = int((folder / "max_brightness").read_text())
        self._fd = os.open(folder / "brightness", os.O_WRONLY | os.O_CLOEXEC)

    _most = 1

    def show(self, *, lit: bool) -> None:
        """Light it, or let it be dark."""
        os.pwrite(self._fd, b"%d\n" % (self._most if lit else 0), 0)

    def close(self) -> None:
        """Let it say again what it said before."""
        with suppress(OSError):
            self.show(lit=False)
            (self._folder / "trigger").write_text(self._trigger)
        os.close(self._fd)


def reachable(wiring: Wiring, root: Path = Path("/")) -> tuple[str, ...]:
    """Name what may be used now of what the wiring wants.

    At a start it comes late: its driver is a module, and the right to it is udev's to give.
    """
    found: list[str] = []
    if wiring.board:
        found += (name for name in BOARD_LEDS if _is_writable(root / _LEDS / name))
    if wiring.pins or wiring.button >= 0:
        chips = (root / "dev").glob("gpiochip*")
        found += sorted(each.name for each in chips if os.access(each, os.R_OK | os.W_OK))
    return tuple(found)


def _is_writable(folder: Path) -> bool:
    return all(os.access(folder / name, os.W_OK) for name in ("brightness", "trigger"))


def lights(wiring: Wiring, root: Path = Path("/")) -> list[Light]:
    """Open all lights that there are; `root` is a prefix of the kernel's files, for tests."""
    found: list[Light] = []
    if wiring.board:
        found += _board_lights(root)
    for pin in wiring.pins:
        found += _pin_light(pin, wiring)
    return found


class Button:
    """A button to ground. What is given is called in threads of gpiozero's."""

    def __init__(self, button: Any) -> None:
        self._button = button

    def close(self) -> None:
        """Give the pin back."""
        self._button.close()


def button(
    wiring: Wiring,
    hold: float,
    pressed: Callable[[], None],
    released: Callable[[], None],
    held: Callable[[], None],
) -> Button | None:
    """Open the button, if there is one; `held` is called once after `hold` seconds."""
    if wiring.button < 0:
        return None
    pins = _pins()
    if pins is None:
        return None
    try:
        made = pins.gpiozero.Button(wiring.button, pull_up=True, bounce_time=0.03, hold_time=hold)
    except pins.errors as error:
        log.error("PIN     %d cannot be used for the button: %s", wiring.button, error)
        return None
    made.when_pressed, made.when_released, made.when_held = pressed, released, held
    return Button(made)


def _board_lights(root: Path) -> Sequence[Light]:
    for name in BOARD_LEDS:
        folder = root / _LEDS / name
        if (folder / "brightness").exists():
            try:
                return [BoardLight(folder)]
            except OSError as error:
                log.warning("LED     %s cannot be used: %s", folder, error.strerror)
                return []
    log.info("LED     this board has none of its own")
    return []


def _pin_light(pin: int, wiring: Wiring) -> Sequence[Light]:
    pins = _pins()
    if pins is None:
        return []
    active_high = not wiring.active_low
    try:
        if wiring.pwm:
            led = pins.gpiozero.PWMLED(pin, active_high=active_high)
            return [PinLight(led, wiring.brightness / 100)]
        return [PinLight(pins.gpiozero.LED(pin, active_high=active_high), 1)]
    except pins.errors as error:
        log.error("PIN     %d cannot be used for an LED: %s", pin, error)
        return []


class _Pins(NamedTuple):
    """gpiozero, and what it and the library below it raise."""

    gpiozero: Any
    errors: tuple[type[Exception], ...]


def _pins() -> _Pins | None:
    """Load gpiozero with the one factory that fits; it would try several, and warn of each."""
    factory = os.environ.setdefault(_FACTORY, "lgpio")
    try:
        import gpiozero  # noqa: PLC0415 - large, and only for those who have pins

        library = import_module("lgpio").error if factory == "lgpio" else OSError
    except (ImportError, OSError) as error:
        log.error("PIN     %s: apt install python3-gpiozero python3-lgpio", error)
        return None
    errors = (gpiozero.GPIOZeroError, library, OSError, RuntimeError, ValueError)
    try:
        gpiozero.Device.ensure_pin_factory()
    except errors as error:
        log.error("PIN     no pins can be used here: %s", error)
        return None
    return _Pins(gpiozero, errors)


def _chosen(triggers: str) -> str:
    """Find the trigger in brackets, which is the one that is set."""
    return next((word[1:-1] for word in triggers.split() if word.startswith("[")), "none")
