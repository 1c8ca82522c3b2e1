# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person should do something about: facts in, warnings out.

| code                  | when                                                          |
|-----------------------|---------------------------------------------------------------|
| `storage-full`        | less than 16 MiB are free, or of larger ones 1 % or 256 MiB   |
| `storage-nearly-full` | less than 10 % are free, of larger ones less than 4 GiB       |
| `storage-missing`     | its folder is gone                                            |
| `storage-failed`      | its folder could not be served to begin with                  |
| `address-failed`      | it cannot be served where the settings say, beside USB        |
| `storage-errors`      | reading or writing has failed since the start                 |
| `state-full`          | there is no room for settings and for what is kept            |
| `unwatched`           | the kernel lets us watch no more folders                      |
| `settings-errors`     | the settings file is not used, for it has errors              |
| `no-controller`       | there is no USB device controller, and no other road          |
| `controller-taken`    | another gadget has the USB device controller                  |
| `not-shown`           | the kernel does not take the device, or it was not made       |
| `wifi-not-joined`     | the network of the settings is not there for a minute         |
| `wifi-missing`        | the settings name one, and the board has no Wi-Fi             |
| `clock-not-set`       | dates of files will be wrong                                  |
| `unit-failed`         | a part of the appliance has ended and will not come back      |
| `update-taken-back`   | a new version did not come up, and the one before runs again  |
| `card-settings`       | the boot partition's settings do not count                    |
| `card-not-in-force`   | a part of the settings could not be put into force            |
| `card-board`          | the card is for another board                                 |
| `card-small`          | the card is too small for a file system of its own            |
| `card-state`          | the partition with the settings cannot be used                |
| `card-share`          | the partition with the files is not there, or only for reading |
| `card-boot`           | the boot partition cannot be read                             |
| `card`                | something else is wrong with the card                         |
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.status import StorageStatus, Usb, Warning
from appliance.storage.watch import Watch
from appliance.values import dataclass

log = logging.getLogger(__name__)

#: Bytes under which the settings may not be written any more.
_LEAST_STATE = 64 << 10
#: When this was written (Unix seconds): 2024.
_SURELY_PAST = 1_704_067_200.0
_LINE = 300
#: What a start, and `apply`, leave among the failures, as "what is wrong | what to do".
_CARD = "card-"
_OF_CARDS = frozenset(
    {
        *("card-settings", "card-not-in-force", "card-board", "card-small"),
        *("card-state", "card-share", "card-boot"),
    }
)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that there may be a word to say about; `is_missing`: a controller."""

    storages: Sequence[StorageStatus] = ()
    failed: Sequence[ApplianceError] = ()
    settings_errors: Sequence[str] = ()
    settings_from_good_copy: bool = False
    usb: Usb = Usb()
    is_missing: bool = False
    holder: str = ""
    obstacle: ApplianceError | None = None
    unreached: Sequence[ApplianceError] = ()
    wifi: Warning | None = None
    failures: Sequence[tuple[str, str]] = ()
    taken_back: str = ""
    unwatched: str = ""
    trouble: str = ""
    state_free: int | None = None
    installed: float = 0.0
    now: float = 0.0


def concerns(facts: Facts) -> tuple[Warning, ...]:
    """Say what is wrong, the gravest first."""
    return (
        *_units(facts.failures),
        *_update(facts.taken_back),
        *_controller(facts),
        *_failed(facts.failed),
        *_unreached(facts.unreached),
        *(warning for each in facts.storages for warning in _storage(each)),
        *_trouble(facts.trouble),
        *_state(facts.state_free),
        *_unwatched(facts.unwatched),
        *_settings(facts),
        *(() if facts.wifi is None else (facts.wifi,)),
        *_clock(facts),
    )


def read_failures(directory: Path) -> tuple[tuple[str, str], ...]:
    """Read which units have failed: their names, and a line of each."""
    try:
        paths = sorted(directory.iterdir())
    except OSError:
        return ()
    return tuple((each.name, _first_line(each)) for each in paths if each.name[:1] != ".")


def watch_failures(directory: Path, stack: ExitStack) -> Watch | None:
    """Watch a directory of small files; where that cannot be, it is looked at with the rest."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        watch = Watch()
        stack.callback(watch.close)
        watch.open()
        watch.add(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    return watch


def log_news(before: Iterable[Warning], after: Iterable[Warning]) -> None:
    """Log what a person was not warned of before, and what is over."""
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    for each in new:
        if each not in old:
            log.warning("WRONG   %s: %s", each.code, each.text)
    for each in old:
        if each not in new:
            log.info("MENDED  %s", each.code)


def read_room(directory: Path | None) -> int | None:
    """See how many bytes a directory has room for; None where that is not known."""
    try:
        space = None if directory is None else os.statvfs(directory)
    except OSError:
        return None
    return None if space is None else space.f_bavail * space.f_frsize


def read_date(path: Path) -> float:
    """Read when a file was put where it is (Unix seconds); 0 where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def read_taken_back(path: Path) -> str:
    """Read which version was taken back, and why; "" for none."""
    return _first_line(path)


def _first_line(path: Path) -> str:
    try:
        with path.open(errors="replace") as file:
            return file.readline(_LINE).strip()
    except OSError:
        return ""


def _units(failures: Iterable[tuple[str, str]]) -> Iterator[Warning]:
    for unit, line in failures:
        if unit.startswith(_CARD):
            text, _, hint = line.partition(" | ")
            yield Warning(unit if unit in _OF_CARDS else "card", text, hint)
            continue
        text = f"{unit} has failed: {line}" if line else f"{unit} has failed"
        yield Warning("unit-failed", text, f"see why: journalctl -u {unit}")


def _update(taken_back: str) -> Iterator[Warning]:
    if taken_back:
        hint = "see mtp-appliance update status; get a later update, or tell who made this one"
        yield Warning("update-taken-back", taken_back, hint)


def _controller(facts: Facts) -> Iterator[Warning]:
    if facts.is_missing:
        name = f" {facts.usb.controller}" if facts.usb.controller else ""
        yield Warning(
            "no-controller",
            f"there is no USB device controller{name}",
            "on a Raspberry Pi: dtoverlay=dwc2 in config.txt",
        )
    if facts.holder:
        yield Warning(
            "controller-taken",
            f"the USB device controller {facts.usb.controller} is in use by {facts.holder}",
            f"end what serves {facts.holder}",
        )
    if facts.obstacle is not None:
        text = f"the PC is not shown the device: {facts.obstacle.message}"
        hint = facts.obstacle.hint or "start it again; see what is wrong: mtp-appliance doctor"
        yield Warning("not-shown", text, hint)


def _failed(errors: Iterable[ApplianceError]) -> Iterator[Warning]:
    for error in errors:
        yield Warning("storage-failed", error.message, error.hint)


def _unreached(errors: Iterable[ApplianceError]) -> Iterator[Warning]:
    for error in errors:
        hint = error.hint or "change it in the settings; it is tried again until then"
        yield Warning("address-failed", error.message, hint)


def _storage(storage: StorageStatus) -> Iterator[Warning]:
    if storage.state == "missing":
        yield Warning(
            "storage-missing",
            f"{storage.path} is gone, {storage.name} is empty for the PC",
            "bring its disk back, or take it out of the settings",
        )
    if storage.fullness == "full":
        yield Warning("storage-full", f"{storage.name} is full", "delete something on the PC")
    elif storage.fullness:
        yield Warning(
            "storage-nearly-full", f"{storage.name} is nearly full", "make room before it is full"
        )


def _trouble(what: str) -> Iterator[Warning]:
    if what:
        text = f"the card, or a disk, cannot be read or written everywhere: {what}"
        yield Warning("storage-errors", text, "copy your files to the PC, then use another card")


def _state(free: int | None) -> Iterator[Warning]:
    if free is not None and free < _LEAST_STATE:
        text = "there is no room left for settings: changes of them are refused"
        yield Warning("state-full", text, "start it again; see what is large: mtp-appliance report")


def _unwatched(why: str) -> Iterator[Warning]:
    if why:
        text = f"changes in some folders are seen only when the PC lists them again: {why}"
        yield Warning("unwatched", text, "raise the limit, then start the responder again")


def _settings(facts: Facts) -> Iterator[Warning]:
    if not facts.settings_errors:
        return
    more = len(facts.settings_errors) - 1
    others = f", and {more} more" if more else ""
    serving = "what was understood last" if facts.settings_from_good_copy else "the defaults"
    yield Warning(
        "settings-errors",
        f"the settings have errors: {facts.settings_errors[0]}{others}",
        f"mend them; in force: {serving}",
    )


def is_clock_unset(now: float, installed: float) -> bool:
    """Whether a clock is behind what has surely been: it begins at a date long ago.

    That is systemd's own date where no clock runs on without power, so the program's counts: it was
    put beside systemd later.
    """
    return now < max(_SURELY_PAST, installed)


def _clock(facts: Facts) -> Iterator[Warning]:
    if is_clock_unset(facts.now, facts.installed):
        yield Warning(
            "clock-not-set",
            "the clock has not been set, so files get wrong dates",
            "open the settings page or the files on a PC that sets it, or connect to a network",
        )
