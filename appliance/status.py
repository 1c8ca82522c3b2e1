# SPDX-License-Identifier: GPL-3.0-or-later
"""What the appliance is doing: the contract of /run/mtp-appliance/status.json.

The responder writes the file, whole and at once, whenever something in it changes; the LEDs, the
settings page and `mtp-appliance status` read it. Beside it lies `status.lock`, which the writer
holds for as long as it lives: so a file that nobody writes any more is known at once.

Sizes are bytes, rates bytes a second, times Unix seconds. Keys of later versions are ignored, and
missing ones have their default, so readers and writers of different versions understand each other.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from appliance.errors import ApplianceError, ExitStatus

LOCK_NAME = "status.lock"
_MAX_SIZE = 1 << 18


class Cable(StrEnum):
    """What is known of the USB cable and of the PC at its other end."""

    NO_CONTROLLER = "no controller"
    UNBOUND = "not shown"
    DETACHED = "no PC"
    ATTACHED = "attached"
    CONFIGURED = "configured"
    SUSPENDED = "suspended"


class Direction(StrEnum):
    """Which way the bytes of a transfer go, seen from the PC as USB does."""

    IN = "to the PC"
    OUT = "from the PC"


@dataclass(frozen=True, slots=True)
class Usb:
    """The USB side; `speed` as the kernel names it, such as "high-speed"."""

    controller: str = ""
    cable: Cable = Cable.NO_CONTROLLER
    speed: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """One initiator that has a session open; `client` is what it calls itself, "" unknown."""

    road: str = ""
    client: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Transfer:
    """A file that is moving; `total` is None where the PC has not said how much will come."""

    name: str = ""
    direction: Direction = Direction.IN
    done: int = 0
    total: int | None = None
    rate: float = 0.0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """Since the responder started."""

    files_in: int = 0
    bytes_in: int = 0
    files_out: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True)
class StorageStatus:
    """One storage; `state` as of `storage list`."""

    name: str = ""
    path: str = ""
    state: str = ""
    read_only: bool = False
    free: int = 0
    capacity: int = 0


@dataclass(frozen=True, slots=True)
class Unsafe:
    """What the PC was told is written and is not on the card yet; `until`: when it will be."""

    files: int = 0
    size: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Warning:
    """Something that a person should do something about; `code` stays the same over versions."""

    code: str = ""
    text: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """All of it; `written` is when."""

    ready: bool = False
    written: float = 0.0
    started: float = 0.0
    name: str = ""
    usb: Usb = field(default_factory=Usb)
    sessions: tuple[Session, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    totals: Totals = field(default_factory=Totals)
    storages: tuple[StorageStatus, ...] = ()
    unsafe: Unsafe = field(default_factory=Unsafe)
    ejected: bool = False
    warnings: tuple[Warning, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def encode(status: Status) -> bytes:
    """Encode as a JSON object."""
    return (json.dumps(asdict(status), ensure_ascii=False, indent=1) + "\n").encode()


def decode(data: bytes) -> Status:
    """Decode; ValueError where it is no status at all."""
    document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    status: Status = _build(Status, document)
    return status


def read(path: Path) -> Status:
    """Read the file; ApplianceError where there is none, or nobody keeps it true."""
    try:
        with path.open("rb") as file:
            status = decode(file.read(_MAX_SIZE))
    except FileNotFoundError:
        raise _not_running() from None
    except (OSError, ValueError) as error:
        raise ApplianceError(f"{path}: {error}") from None
    if not is_kept(path):
        raise _not_running()
    return status


def is_kept(path: Path) -> bool:
    """Whether the writer of the file lives: it holds the lock beside it."""
    try:
        fd = os.open(path.with_name(LOCK_NAME), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _not_running() -> ApplianceError:
    return ApplianceError(
        "the appliance is not running",
        hint="see why: systemctl status mtp-appliance",
        status=ExitStatus.NOT_RUNNING,
    )


def _build(kind: Any, document: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    known = {each.name for each in fields(kind)}
    values = {key: _value(hints[key], value) for key, value in document.items() if key in known}
    return kind(**values)


def _value(hint: Any, value: Any) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise ValueError(f"{value!r} is no object")
        return _build(hint, value)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], each) for each in value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    return value
