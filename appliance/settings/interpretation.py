# SPDX-License-Identifier: GPL-3.0-or-later
"""From a document to settings: what is wrong or odd in it is said, key by key."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

from appliance.settings.migrations import MIGRATIONS, VERSION, Migration, migrate
from appliance.settings.schema import (
    TABLES,
    Setting,
    Settings,
    StorageSetting,
    declared,
    declared_of_storages,
)
from appliance.values import MISSING, Field, dataclass, field

#: Bytes of a text of settings at most. This and what follows is far beyond what a person says, and
#: read and edited in a moment on the smallest board: who writes the file may want to keep us busy.
LARGEST = 1 << 16
_MOST_LINES, _MOST_VALUES = 2000, 300
#: Tables and lists in each other: one more than settings have.
_DEEPEST = 4
#: Dots of keys in a line, each of which costs more than the one before.
_MOST_DOTS = 32
_TOO_DEEP = "it is nested too deeply"
#: Strings and comments, in which dots cost nothing. Each ends somewhere, or at the line's or
#: the text's end, so that the search goes over no letter twice.
_WORDS = re.compile(
    r"""(?s)"{3}(\\?.)*?("{3,5}|\Z)|'{3}.*?('{3,5}|\Z)|"(\\.|[^"\\\n])*"?|'[^'\n]*'?|\#[^\n]*"""
)


@dataclass(slots=True)
class Findings:
    """What is wrong with a document, and what is only odd; one line each, the key first."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_toml(text: str) -> dict[str, Any]:
    """Read a document. ValueError where it is none, or so large or deep that work on it ends."""
    _require_little(text)
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if _is_deeper(document, _DEEPEST):
        raise ValueError(_TOO_DEEP)
    if _weight(document) > _MOST_VALUES:
        raise ValueError(f"it has more than {_MOST_VALUES} values")
    return document


def _require_little(text: str) -> None:
    """Refuse what takes long to understand, by looks that take none."""
    if len(text) > LARGEST:
        raise ValueError(f"it is longer than {LARGEST} bytes")
    if text.count("\n") > _MOST_LINES:
        raise ValueError(f"it has more than {_MOST_LINES} lines")
    if _has_dots(text) and _has_dots(_WORDS.sub("", text)):
        raise ValueError(_TOO_DEEP)


def _has_dots(text: str) -> bool:
    return any(line.count(".") > _MOST_DOTS for line in text.split("\n"))


def _weight(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + sum(map(_weight, value)) if isinstance(value, list) else 1


def _is_deeper(value: object, most: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return most == 0 or any(_is_deeper(each, most - 1) for each in value)


def interpret(
    document: Mapping[str, Any],
    *,
    to: int = VERSION,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> tuple[Settings, Findings]:
    """Read a document; where something is wrong with a value, its default stands in for it."""
    findings = Findings()
    current = deepcopy(dict(document))
    try:
        migrate(current, to=to, migrations=migrations)
    except ValueError as error:
        findings.errors.append(str(error))
        return Settings(), findings
    flat = dict(_flatten(current))
    flat.pop("version", None)
    storages = _storages(flat.pop("storages", []), findings)
    values: dict[str, Any] = {}
    for key, item, setting in declared():
        if key in flat:
            values[item.name] = _value(key, flat.pop(key), item, setting, findings)
    findings.warnings += [f"{key}: there is no such setting" for key in flat]
    if values.get("button_pin") in values.get("leds_pins", ()):
        pin = values.pop("button_pin")
        findings.errors.append(f"button.pin: {pin} is the pin of an LED too")
    return Settings(**values, storages=storages), findings


def _flatten(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if key in TABLES and isinstance(value, dict):
            yield from ((f"{key}.{name}", each) for name, each in value.items())
        else:
            yield key, value


def _value(key: str, value: Any, item: Field[Any], setting: Setting, findings: Findings) -> Any:
    if isinstance(value, list):
        value = tuple(value)
    complaint = complaint_of(value, item, setting)
    if complaint:
        shown = "the value" if setting.secret else repr(_plain(value))
        findings.errors.append(f"{key}: {shown} {complaint}")
        return item.default
    return value


def complaint_of(value: Any, item: Field[Any], setting: Setting) -> str:
    """Say what is wrong with a value, as the end of a sentence; nothing where it will do."""
    if not _is_of(value, item.type):
        return f"is no {_KINDS[item.type]}"
    if setting.choices and value not in setting.choices:
        return f"is none of {', '.join(setting.choices)}"
    return setting.check(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    str: "text in quotes",
    tuple[str, ...]: "list of texts",
    tuple[int, ...]: "list of whole numbers",
}


def _is_of(value: object, kind: Any) -> bool:
    if isinstance(value, tuple):
        return kind in (tuple[str, ...], tuple[int, ...]) and all(
            type(each) is get_args(kind)[0] for each in value
        )
    return type(value) is kind


def _storages(tables: object, findings: Findings) -> tuple[StorageSetting, ...]:
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        findings.errors.append("storages: write each as a table, headed [[storages]]")
        return ()
    found = [_storage(f"storages[{n}]", table, findings) for n, table in enumerate(tables, 1)]
    storages = tuple(each for each in found if each is not None)
    paths = [each.path for each in storages]
    findings.errors += [
        f"storages: {path} is there twice" for path in sorted(set(paths)) if paths.count(path) > 1
    ]
    return storages


def _storage(where: str, table: dict[str, Any], findings: Findings) -> StorageSetting | None:
    values: dict[str, Any] = {}
    known = {key: (item, setting) for key, item, setting in declared_of_storages()}
    for key, (item, setting) in known.items():
        if key not in table:
            if item.default is MISSING:
                findings.errors.append(f"{where}.{key}: is missing")
                return None
            continue
        value, kind = table[key], str if item.type is Path else item.type
        complaint = setting.check(value) if type(value) is kind else f"is no {_KINDS[kind]}"
        if complaint:
            findings.errors.append(f"{where}.{key}: {value!r} {complaint}")
            return None
        values[key] = value
    findings.warnings += [
        f"{where}.{key}: there is no such setting" for key in table if key not in known
    ]
    values["path"] = Path(values["path"])
    if not values["path"].is_absolute():
        findings.errors.append(f"{where}.path: {str(values['path'])!r} does not begin with /")
        return None
    return StorageSetting(**values)
