# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of a settings file's text that leave everything else in it as it was: comments, order.

Each takes a text and gives another. What cannot be done is a ValueError in words.
"""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import AoT

from appliance.settings.schema import StorageSetting

_STORAGES = "storages"


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """Set values by their keys, such as `trash.days`."""
    document = tomlkit.parse(text)
    for key, value in values.items():
        table, name = _place(document, key, make=True)
        table[name] = list(value) if isinstance(value, tuple) else value
    return tomlkit.dumps(document)


def without(text: str, key: str) -> str:
    """Take a value out, so that its default holds; harmless where it is not there."""
    document = tomlkit.parse(text)
    table, name = _place(document, key, make=False)
    if name in table:
        del table[name]
    return tomlkit.dumps(document)


def with_storage(text: str, storage: StorageSetting) -> str:
    """Add a storage after the others."""
    document = tomlkit.parse(text)
    table = tomlkit.table()
    for name, value in storage_values(storage).items():
        table[name] = value
    _storages(document).append(table)
    return tomlkit.dumps(document)


def without_storage(text: str, path: Path) -> str:
    """Take the storage of a folder out."""
    document = tomlkit.parse(text)
    storages = _storages(document)
    storages.pop(_index(storages, path))
    return tomlkit.dumps(document)


def with_storage_value(text: str, path: Path, name: str, value: Any) -> str:
    """Set a value of the storage of a folder."""
    document = tomlkit.parse(text)
    storages = _storages(document)
    storages[_index(storages, path)][name] = value
    return tomlkit.dumps(document)


def with_storages(text: str, storages: tuple[StorageSetting, ...]) -> str:
    """Write other storages in the place of all."""
    document = tomlkit.parse(text)
    if _STORAGES in document:
        del document[_STORAGES]
    text = tomlkit.dumps(document)
    for each in storages:
        text = with_storage(text, each)
    return text


def migrated(text: str, migrate: Any) -> str:
    """Let `migrate` change the document as if it were a dictionary."""
    document = tomlkit.parse(text)
    migrate(document)
    return tomlkit.dumps(document)


def storage_values(storage: StorageSetting) -> dict[str, Any]:
    """Say of a storage what is not as by default."""
    values: dict[str, Any] = {"path": str(storage.path)}
    if storage.name:
        values["name"] = storage.name
    if storage.read_only:
        values["read_only"] = True
    if not storage.hidden_files:
        values["hidden_files"] = False
    return values


def _place(document: TOMLDocument, key: str, *, make: bool) -> tuple[MutableMapping[str, Any], str]:
    table, dot, name = key.partition(".")
    if not dot:
        return document, key
    if table not in document:
        if not make:
            return {}, name
        _insert_table(document, table)
    found: Any = document[table]
    if not isinstance(found, MutableMapping):
        raise ValueError(f"{table}: is no table")
    return found, name


def _insert_table(document: TOMLDocument, name: str) -> None:
    """Add a table; storages, which are many, stay last."""
    if _STORAGES not in document:
        document.append(name, tomlkit.table())
        return
    storages = document[_STORAGES]
    del document[_STORAGES]
    document.append(name, tomlkit.table())
    document.append(_STORAGES, storages)


def _storages(document: TOMLDocument) -> AoT:
    if _STORAGES not in document:
        document.append(_STORAGES, tomlkit.aot())
    tables = document[_STORAGES]
    if not isinstance(tables, AoT):
        raise ValueError("storages: write each as a table, headed [[storages]]")
    return tables


def _index(tables: AoT, path: Path) -> int:
    for index, table in enumerate(tables):
        if Path(str(table.get("path", ""))) == path:
            return index
    raise ValueError(f"has no storage {path}")
