# SPDX-License-Identifier: GPL-3.0-or-later
"""What the appliance is doing: the contract of /run/mtp-appliance/status.json.

The responder writes the file, whole and at once, whenever something in it changes; the LEDs, the
settings page and `mtp-appliance status` read it. Beside it lies `status.lock`, which the writer
holds for as long as it lives: so a file that nobody writes any more is known at once.

Sizes are bytes, rates bytes a second, times Unix seconds. Keys of later versions are ignored,
missing ones have their default, and words that this version does not know read as the nearest that
it does; so readers and writers of different versions understand each other.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from appliance.enums import StrEnum
from appliance.errors import ApplianceError, ExitStatus
from appliance.settings.files import in_words, open_regular, read_regular
from appliance.values import dataclass, field, fields, is_dataclass

FILE_NAME = "status.json"
LOCK_NAME = "status.lock"
MAX_SIZE = 1 << 18

#: Under which bytes, or part of its capacity but no more bytes, a storage is full.
_LEAST, _LEAST_PART, _LEAST_AT_MOST = 16 << 20, 0.01, 256 << 20
_LITTLE_PART, _LITTLE_AT_MOST = 0.1, 4 << 30


class Cable(StrEnum):
    """What is known of the USB cable and of the PC at its other end."""

    NOT_USED = "not used"
    NO_CONTROLLER = "no controller"
    UNBOUND = "not shown"
    DETACHED = "no PC"
    ATTACHED = "attached"
    CONFIGURED = "configured"
    SUSPENDED = "suspended"

    @classmethod
    def _missing_(cls, value: object) -> "Cable":
        return cls.ATTACHED


class Direction(StrEnum):
    """Which way the bytes of a transfer go, seen from the PC as USB does."""

    IN = "to the PC"
    OUT = "from the PC"

    @classmethod
    def _missing_(cls, value: object) -> "Direction":
        return cls.IN


@dataclass(frozen=True, slots=True)
class Usb:
    """The USB side; `speed` as the kernel names it, such as "high-speed"."""

    controller: str = ""
    cable: Cable = Cable.NOT_USED
    speed: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """One initiator that has a session open.

    `road` is "usb", "usbredir" or "ptpip", `peer` the address of one that came over the network;
    `client` is what the initiator calls itself, "" unknown.
    """

    road: str = ""
    peer: str = ""
    client: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Transfer:
    """A file that moves or has just moved; `total` is None where nobody has said how much it is."""

    name: str = ""
    direction: Direction = Direction.IN
    done: int = 0
    total: int | None = None
    rate: float = 0.0
    since: float = 0.0


class Outcome(StrEnum):
    """How a transfer ended; a client that reads or edits a file in place moves a part of it."""

    WHOLE = "whole"
    PART = "in part"
    BROKEN_OFF = "broken off"

    @classmethod
    def _missing_(cls, value: object) -> "Outcome":
        return cls.BROKEN_OFF


@dataclass(frozen=True, slots=True)
class Finished:
    """A transfer that is over; `size` is what has moved."""

    name: str = ""
    direction: Direction = Direction.IN
    size: int = 0
    since: float = 0.0
    ended: float = 0.0
    outcome: Outcome = Outcome.WHOLE


@dataclass(frozen=True, slots=True)
class Totals:
    """Since the responder started."""

    files_in: int = 0
    bytes_in: int = 0
    files_out: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True)
class StorageStatus:
    """One storage; `state` as of `storage list`. Sizes are 0 where it is away."""

    name: str = ""
    path: str = ""
    state: str = ""
    read_only: bool = False
    free: int = 0
    capacity: int = 0

    @property
    def fullness(self) -> str:
        """Say "full" where nothing worth the name fits, "nearly full" where little is left."""
        if self.read_only or not self.capacity:
            return ""
        if self.free < max(_LEAST, min(_LEAST_PART * self.capacity, _LEAST_AT_MOST)):
            return "full"
        is_little = self.free < min(_LITTLE_PART * self.capacity, _LITTLE_AT_MOST)
        return "nearly full" if is_little else ""


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
    """All of it; `written` is when, `page` where the settings page is, "" for nowhere.

    `recent` are the transfers that ended last, the newest first.
    `ejected`: no storage can be seen, for a person has ejected or locked them all.
    """

    ready: bool = False
    written: float = 0.0
    started: float = 0.0
    name: str = ""
    page: str = ""
    usb: Usb = field(default_factory=Usb)
    sessions: tuple[Session, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    recent: tuple[Finished, ...] = ()
    totals: Totals = field(default_factory=Totals)
    storages: tuple[StorageStatus, ...] = ()
    unsafe: Unsafe = field(default_factory=Unsafe)
    ejected: bool = False
    warnings: tuple[Warning, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def encode(status: Status) -> bytes:
    """Encode as a JSON object."""
    return (json.dumps(_plain(status), ensure_ascii=False, indent=1) + "\n").encode(
        errors="replace"
    )


def decode(data: bytes) -> Status:
    """Decode; ValueError where it is no status at all."""
    try:
        status: Status = _value(Status, json.loads(data))
    except (RecursionError, OverflowError):
        raise ValueError("it is beyond all bounds") from None
    return status


def read(path: Path) -> Status:
    """Read the file; ApplianceError where there is none, or nobody keeps it true."""
    try:
        return decode(load(path))
    except ValueError as error:
        raise ApplianceError(f"{path} is no status: {error}") from None


def load(path: Path) -> bytes:
    """Read the file as it is; ApplianceError as `read`."""
    try:
        data = read_regular(path, MAX_SIZE, os.O_NOFOLLOW)
    except FileNotFoundError:
        raise _not_running() from None
    except (OSError, ValueError) as error:
        raise ApplianceError(f"{path} cannot be read: {in_words(error)}") from None
    if not is_kept(path):
        raise _not_running()
    return data


def is_kept(path: Path) -> bool:
    """Whether the writer of the file lives: it holds the lock beside it."""
    try:
        fd = open_regular(path.with_name(LOCK_NAME), os.O_NOFOLLOW)
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
        hint="start it, or see why it ended: systemctl status mtp-appliance",
        status=ExitStatus.NOT_RUNNING,
    )


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value


def _value(hint: Any, value: Any) -> Any:
    """Read a value that is to be of the type `hint`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _build(hint, _of(dict, value))
    if origin is tuple:
        return tuple(_value(arguments[0], each) for each in _of(list, value))
    if origin is Mapping:
        return {key: _of(str, each) for key, each in _of(dict, value).items()}
    if origin is UnionType:
        return None if value is None else _value(_without_none(arguments), value)
    if hint is float:
        return float(_of((int, float), value))
    return hint(_of(str, value)) if issubclass(hint, StrEnum) else _of(hint, value)


def _build(kind: Any, document: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    return kind(**{key: _value(hints[key], each) for key, each in document.items() if key in hints})


def _without_none(kinds: tuple[Any, ...]) -> Any:
    return next(each for each in kinds if each is not NoneType)


def _of(kind: Any, value: Any) -> Any:
    """Check a value's type; True and False are no numbers."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{value!r:.40} is not what is to be there")
    return value
