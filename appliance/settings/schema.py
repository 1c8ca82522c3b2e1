# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings: one declaration, from which the file, the command line and the help come.

A setting is a field of `Settings` with what a person has to know of it. Its key in the file is the
field's name, `trash_days` being `days` in the table `trash`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

from appliance.settings.addresses import parse_address
from appliance.settings.state import is_name

#: Of the file; a change of meaning of any key makes a new one.
VERSION = 1
_TABLES = ("trash",)
_SETTING = "setting"

Check = Callable[[Any], str]


class Effect(Enum):
    """When a change of a setting takes effect on a running appliance."""

    RELOAD = "when the settings are read again"
    RESTART = "at the next start"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a person has to know of one setting; `check` gives a complaint, or nothing."""

    label: str
    help: str
    effect: Effect
    unit: str = ""
    check: Check = lambda value: ""


def _declare(default: Any, setting: Setting) -> Any:
    return field(default=default, metadata={_SETTING: setting})


def _between(least: int, most: int) -> Check:
    return lambda value: "" if least <= value <= most else f"is not between {least} and {most}"


def _name_or_nothing(value: str) -> str:
    return "" if not value or is_name(value) else "is no name of 1 to 254 characters"


def _addresses(value: tuple[str, ...]) -> str:
    for each in value:
        try:
            parse_address(each)
        except ValueError as error:
            return f"holds what it cannot: {error}"
    return ""


@dataclass(frozen=True, slots=True)
class StorageSetting:
    """One folder that is served; `name` "" is the folder's own."""

    path: Path
    name: str = ""
    read_only: bool = False
    hidden_files: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; the defaults are what serves where there is no file."""

    name: str = _declare(
        "",
        Setting(
            "Device name",
            "What the device is called until a PC gives it another name; empty for the model's.",
            Effect.RESTART,
            check=_name_or_nothing,
        ),
    )
    listen: tuple[str, ...] = _declare(
        (),
        Setting(
            "PTP/IP addresses",
            "Where to serve over the network, each ADDRESS or ADDRESS:PORT. There is no password.",
            Effect.RESTART,
            check=_addresses,
        ),
    )
    allow_format: bool = _declare(
        False,
        Setting(
            "Allow formatting",
            "Whether a PC may delete all of a storage at once.",
            Effect.RELOAD,
        ),
    )
    set_clock: bool = _declare(
        True,
        Setting(
            "Let a PC set the clock",
            "Only where the appliance has no clock that runs without power, and no time server.",
            Effect.RESTART,
        ),
    )
    trash_keep: bool = _declare(
        True,
        Setting(
            "Keep what is deleted",
            "Whether what a PC deletes or replaces can be put back for a while.",
            Effect.RELOAD,
        ),
    )
    trash_days: int = _declare(
        30,
        Setting(
            "How long", "After that it is gone.", Effect.RELOAD, "days", check=_between(1, 3650)
        ),
    )
    trash_share: int = _declare(
        10,
        Setting(
            "How much of a storage it may take",
            "The oldest goes first; all of it goes when the space is needed.",
            Effect.RELOAD,
            "%",
            check=_between(1, 90),
        ),
    )
    storages: tuple[StorageSetting, ...] = ()


def declared() -> Iterator[tuple[str, Field[Any], Setting]]:
    """All settings but the storages: key in the file (`trash.days`), field, declaration."""
    for each in fields(Settings):
        if _SETTING in each.metadata:
            yield _key(each.name), each, each.metadata[_SETTING]


def _key(name: str) -> str:
    table, underscore, rest = name.partition("_")
    return f"{table}.{rest}" if underscore and table in _TABLES else name


@dataclass(slots=True)
class Findings:
    """What is wrong with a document, and what is only odd; one line each, the key first."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def interpret(document: Mapping[str, Any]) -> tuple[Settings, Findings]:
    """Read a document; where something is wrong with a value, its default stands in for it."""
    findings = Findings()
    flat = dict(_flatten(document))
    _check_version(flat.pop("version", VERSION), findings)
    storages = _storages(flat.pop("storages", []), findings)
    values: dict[str, Any] = {}
    for key, item, setting in declared():
        if key in flat:
            values[item.name] = _value(key, flat.pop(key), item, setting, findings)
    findings.warnings += [f"{key}: there is no such setting" for key in flat]
    return Settings(**values, storages=storages), findings


def _flatten(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if key in _TABLES and isinstance(value, dict):
            yield from ((f"{key}.{name}", each) for name, each in value.items())
        else:
            yield key, value


def _check_version(version: object, findings: Findings) -> None:
    if version != VERSION:
        findings.errors.append(f"version: {version!r} is not known here; {VERSION} is")


def _value(key: str, value: Any, item: Field[Any], setting: Setting, findings: Findings) -> Any:
    default = item.default
    if isinstance(default, tuple) and isinstance(value, list):
        value = tuple(value)
    if type(value) is not type(default) or not _are_texts(value):
        findings.errors.append(f"{key}: {value!r} is no {_KINDS[type(default)]}")
        return default
    complaint = setting.check(value)
    if complaint:
        findings.errors.append(f"{key}: {value!r} {complaint}")
        return default
    return value


_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "whole number",
    str: "text in quotes",
    tuple: "list of texts",
}


def _are_texts(value: object) -> bool:
    return not isinstance(value, tuple) or all(isinstance(each, str) for each in value)


def _storages(tables: object, findings: Findings) -> tuple[StorageSetting, ...]:
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        findings.errors.append("storages: write each as a table, headed [[storages]]")
        return ()
    found = [_storage(f"storages[{n}]", table, findings) for n, table in enumerate(tables, 1)]
    return tuple(each for each in found if each is not None)


def _storage(where: str, table: dict[str, Any], findings: Findings) -> StorageSetting | None:
    values: dict[str, Any] = {}
    for item in fields(StorageSetting):
        kind = bool if item.default in (True, False) else str
        if item.name not in table:
            if item.default is MISSING:
                findings.errors.append(f"{where}.{item.name}: is missing")
                return None
            continue
        value = table[item.name]
        if type(value) is not kind:
            findings.errors.append(f"{where}.{item.name}: {value!r} is no {_KINDS[kind]}")
            return None
        values[item.name] = value
    findings.warnings += [
        f"{where}.{key}: there is no such setting" for key in table if key not in _STORAGE_KEYS
    ]
    values["path"] = Path(values["path"])
    if not values["path"].is_absolute():
        findings.errors.append(f"{where}.path: {str(values['path'])!r} does not begin with /")
        return None
    return StorageSetting(**values)


_STORAGE_KEYS = {item.name for item in fields(StorageSetting)}
