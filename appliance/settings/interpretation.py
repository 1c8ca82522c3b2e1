# SPDX-License-Identifier: GPL-3.0-or-later
"""From a document to settings: what is wrong or odd in it is said, key by key."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from appliance.settings.schema import TABLES, VERSION, Setting, Settings, StorageSetting, declared


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
        if key in TABLES and isinstance(value, dict):
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
    if not _is_of(value, item.type):
        findings.errors.append(f"{key}: {value!r} is no {_KINDS[item.type]}")
        return default
    if setting.choices and value not in setting.choices:
        findings.errors.append(f"{key}: {value!r} is none of {', '.join(setting.choices)}")
        return default
    complaint = setting.check(value)
    if complaint:
        findings.errors.append(f"{key}: {value!r} {complaint}")
        return default
    return value


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
