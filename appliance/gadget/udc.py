# SPDX-License-Identifier: GPL-3.0-or-later
"""USB device controllers: which there are, who has one, and binding a gadget to it."""

import logging
import time
from errno import EBUSY, ENODEV
from pathlib import Path

from appliance.errors import ApplianceError, ExitStatus
from appliance.gadget.configfs import GADGETS, Gadget, set_attribute

log = logging.getLogger(__name__)

_CONTROLLERS = Path("sys/class/udc")
_NAP = 0.1


def controllers(root: Path = Path("/")) -> list[str]:
    """Names of all device controllers, sorted."""
    directory = root / _CONTROLLERS
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def wait_for_controller(
    name: str | None = None, *, seconds: float = 0, root: Path = Path("/")
) -> str:
    """Find the controller `name`, or the first; where there is none yet, wait."""
    deadline = time.monotonic() + seconds
    while True:
        found = [each for each in controllers(root) if name in {None, each}]
        if found:
            return found[0]
        if time.monotonic() >= deadline:
            raise _no_controller(name, root)
        time.sleep(_NAP)


def state(name: str, root: Path = Path("/")) -> str:
    """What the controller is doing: "not attached", "configured", "suspended" and so on."""
    return _read(root / _CONTROLLERS / name / "state")


def speed(name: str, root: Path = Path("/")) -> str:
    """How fast the bus is, "high-speed" for example; "" where nobody knows."""
    found = _read(root / _CONTROLLERS / name / "current_speed")
    return "" if found == "UNKNOWN" else found


def holder(name: str, root: Path = Path("/")) -> str | None:
    """Name what holds the controller: a gadget, or a driver such as g_ether; None: nobody."""
    gadgets = root / GADGETS
    for gadget in sorted(gadgets.iterdir()) if gadgets.is_dir() else []:
        if _read(gadget / "UDC") == name:
            return gadget.name
    return _read(root / _CONTROLLERS / name / "function") or None


def bind(gadget: Gadget, name: str, root: Path = Path("/")) -> None:
    """Show the gadget to the host; harmless where it is shown already."""
    if bound_to(gadget) == name:
        return
    log.info("BIND %s to %s", gadget.name, name)
    try:
        set_attribute(gadget.path / "UDC", name)
    except OSError as error:
        raise _explain(gadget, name, error, root) from error


def unbind(gadget: Gadget) -> None:
    """Take the gadget away from the host; harmless where it is not there."""
    if bound_to(gadget) is None:
        return
    log.info("UNBIND %s", gadget.name)
    try:
        set_attribute(gadget.path / "UDC", "\n")
    except OSError as error:
        if error.errno != ENODEV:  # ENODEV: the kernel has unbound it meanwhile
            raise


def bound_to(gadget: Gadget) -> str | None:
    """Name the controller that the gadget is bound to."""
    return _read(gadget.path / "UDC") or None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _no_controller(name: str | None, root: Path) -> ApplianceError:
    others = ", ".join(controllers(root))
    what = f"no USB device controller {name}" if name else "no USB device controller"
    return ApplianceError(
        f"{what}; there is {others}" if others else what,
        hint="on a Raspberry Pi dtoverlay=dwc2 in config.txt; elsewhere modprobe dummy_hcd",
        status=ExitStatus.NO_HARDWARE,
    )


def in_use(name: str, owner: str) -> ApplianceError:
    """Say who has the controller."""
    return ApplianceError(
        f"the USB device controller {name} is in use by {owner}",
        hint=f"end what serves it, or unbind it: echo > /{GADGETS / owner}/UDC",
    )


def _explain(gadget: Gadget, name: str, error: OSError, root: Path) -> ApplianceError:
    owner = holder(name, root)
    if error.errno == EBUSY and owner not in {None, gadget.name}:
        return in_use(name, str(owner))
    hint = "the function's descriptors are not written yet" if error.errno == ENODEV else ""
    return ApplianceError(f"{gadget.name} cannot use {name}: {error.strerror}", hint=hint)
