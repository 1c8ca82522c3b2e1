# SPDX-License-Identifier: GPL-3.0-or-later
"""How the doctor looks at a machine: files below a root, and programs that only ask.

Nothing here changes anything. What cannot be read is None, and what is not there is "".
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from appliance import places
from appliance.settings.schema import Settings
from appliance.status import Status
from appliance.values import dataclass, field

#: Seconds that a program that hangs is waited for.
_PATIENCE = 10.0
_LARGEST = 1 << 20

Run = Callable[[Sequence[str]], str | None]


def run(command: Sequence[str]) -> str | None:
    """Ask a program; None where it is not there or gives no answer."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_PATIENCE,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine below `root`, with what is set and what the appliance says of itself.

    `problems` are those of the settings file; `status` is None where the appliance does not run.
    """

    root: Path = Path("/")
    settings: Settings = field(default_factory=Settings)
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    status: Status | None = None
    run: Run = run
    user: str = "mtp-appliance"

    def at(self, path: str | Path) -> Path:
        """Find a place below the root."""
        return self.root / str(path).lstrip("/")

    def read(self, path: str | Path) -> str | None:
        """Read a small file; "" where there is none, None where it may not be read."""
        try:
            with self.at(path).open(errors="replace") as file:
                return file.read(_LARGEST).strip(" \t\r\n\0")
        except FileNotFoundError:
            return ""
        except OSError:
            return None

    def names(self, path: str | Path) -> list[str]:
        """List a directory; nothing where there is none."""
        try:
            return sorted(each.name for each in self.at(path).iterdir())
        except OSError:
            return []

    def exists(self, path: str | Path) -> bool:
        """Whether something is there."""
        return os.path.lexists(self.at(path))

    def mounts(self) -> Iterator[tuple[str, str, str, frozenset[str]]]:
        """Give what is mounted: source, place, kind, options; the last one hides others.

        The options are those of the file system itself: in a sandbox every mount is read-only.
        """
        for line in (self.read("proc/self/mountinfo") or "").splitlines():
            left, _, right = line.partition(" - ")
            where = [*left.split(" "), *("",) * 5][4]
            kind, source, options, *_ = [*right.split(" "), "", "", ""]
            place = where.encode().decode("unicode_escape", "replace")
            yield source, place, kind, frozenset(options.split(","))

    def mount_of(self, path: Path) -> tuple[str, str, str, frozenset[str]] | None:
        """Find what a place lies on."""
        found = None
        for each in self.mounts():
            if path.is_relative_to(each[1]) and (found is None or len(each[1]) >= len(found[1])):
                found = each
        return found

    @property
    def is_real(self) -> bool:
        """Whether it is this machine, whose users and space can be asked for."""
        return self.root == Path("/")


def versions(machine: Machine) -> dict[str, str]:
    """Name what runs here."""
    from appliance import __version__  # noqa: PLC0415

    return {
        "appliance": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "kernel": machine.read("proc/sys/kernel/osrelease") or "",
        "system": _system(machine.read("etc/os-release") or ""),
        "board": machine.read("proc/device-tree/model") or "",
    }


def _system(release: str) -> str:
    for line in release.splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return ""


#: The units of an appliance, and the words for them.
UNITS = {
    "mtp-appliance-gadget.service": "the USB gadget",
    "mtp-appliance.service": "the responder",
    "mtp-appliance-leds.service": "the lights",
    "mtp-appliance-apply.path": "the watch over the settings",
    "mtp-appliance-helper.socket": "root's helper, on call,",
}
#: The settings page, where there is a network on the cable.
PAGE_UNIT, PAGE = "mtp-appliance-web.socket", "the settings page, on call,"
STATUS = places.STATUS
