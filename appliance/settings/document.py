# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of a settings file's text that leave everything else in it as it was: comments, order.

Each takes a text and gives another. What cannot be done is a ValueError in words.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import AoT, Array, InlineTable, Item, Key, Table, Whitespace

from appliance.settings.schema import StorageSetting
from appliance.values import fields

_STORAGES = "storages"
_DEFAULTS = {item.name: item.default for item in fields(StorageSetting) if item.name != "path"}
_AnyTable = Table | InlineTable


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """Set values by their keys, such as `trash.days`."""
    document = tomlkit.parse(text)
    for key, value in values.items():
        table, name = _place(document, key, make=True)
        table[name] = list(value) if isinstance(value, tuple) else value
    return tomlkit.dumps(document)


def without(text: str, *keys: str) -> str:
    """Take values out, so that their defaults hold; harmless where they are not there."""
    document = tomlkit.parse(text)
    for key in keys:
        table, name = _place(document, key, make=False)
        if name in table:
            del table[name]
    return tomlkit.dumps(document)


def with_storage(text: str, storage: StorageSetting) -> str:
    """Add a storage after the others, or write it where its folder is already."""
    document = tomlkit.parse(text)
    tables = _storages(document)
    values = {item: getattr(storage, item) for item in _DEFAULTS}
    with suppress(ValueError):
        _set(tables[_index(tables, storage.path)], values)
        return tomlkit.dumps(document)
    is_inline = not isinstance(tables, AoT)
    table = tomlkit.inline_table() if is_inline else tomlkit.table()
    table["path"] = str(storage.path)
    _set(table, values)
    below = [] if is_inline or not tables else _cut_below(tables[-1])
    if not is_inline and tables:
        table.trivia.indent = "\n"
    tables.append(table)
    if below:
        tables[-1].value.body.extend(below)
    return tomlkit.dumps(document)


def without_storage(text: str, path: Path) -> str:
    """Take the storage of a folder out, but not the comments below it: they are about the next."""
    document = tomlkit.parse(text)
    tables = _storages(document)
    index = _index(tables, path)
    if not isinstance(tables, AoT):
        tables.pop(index)
        return tomlkit.dumps(document)
    below = _cut_below(tables[index])
    words = _words(below)
    if index:
        tables[index - 1].value.body.extend(below)
    elif len(tables) > 1:
        tables[1].trivia.indent = words + tables[1].trivia.indent
    else:
        keys = ["" if key is None else key.key for key, _ in document.body]
        document.remove(_STORAGES)
        document.body[keys.index(_STORAGES)] = None, Whitespace(words)
        return tomlkit.dumps(document)
    tables.pop(index)
    return tomlkit.dumps(document)


def with_storage_value(text: str, path: Path, name: str, value: Any) -> str:
    """Set a value of the storage of a folder."""
    document = tomlkit.parse(text)
    tables = _storages(document)
    _set(tables[_index(tables, path)], {name: value})
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


def with_order(text: str, paths: Sequence[Path]) -> str:
    """Put the storages in the order of these folders; others come after them.

    Comments above a storage go with it, but those above the first stay at the top.
    """
    document = tomlkit.parse(text)
    tables = _storages(document)
    found = [Path(str(table.get("path", ""))) for table in tables]
    places = [paths.index(path) if path in paths else len(paths) for path in found]
    wanted = sorted(range(len(tables)), key=places.__getitem__)
    if wanted == list(range(len(tables))):
        return text
    moved = [tables[index] for index in wanted]
    if isinstance(tables, AoT):
        words = [_words(_cut_below(table)) for table in tables]
        for position, index in enumerate(wanted):
            before = words[index - 1] if index else "\n"
            moved[position].trivia.indent = before if position else before.lstrip("\n")
        last = moved[-1].value.body
        last.append((None, Whitespace(words[-1])))
    while len(tables):
        tables.pop()
    for table in moved:
        tables.append(table)
    return tomlkit.dumps(document)


def _words(items: list[tuple[Key | None, Item]]) -> str:
    return "".join(item.as_string() for _, item in items)


def migrated(text: str, migrate: Any) -> str:
    """Let `migrate` change the document as if it were a dictionary."""
    document = tomlkit.parse(text)
    migrate(document)
    return tomlkit.dumps(document)


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


def _storages(document: TOMLDocument) -> AoT | Array:
    if _STORAGES not in document:
        document.append(_STORAGES, tomlkit.aot())
    tables = document[_STORAGES]
    if not isinstance(tables, AoT | Array):
        raise ValueError("storages: write each as a table, headed [[storages]]")
    return tables


def _index(tables: AoT | Array, path: Path) -> int:
    for index, table in enumerate(tables):
        if Path(str(table.get("path", ""))) == path:
            return index
    raise ValueError(f"has no storage {path}")


def _set(table: _AnyTable, values: Mapping[str, Any]) -> None:
    """Set what is not so already, above the comments that belong to what follows."""
    below = _cut_below(table)
    for key, value in values.items():
        if table.get(key, _DEFAULTS[key]) != value:
            table[key] = value
    table.value.body.extend(below)


def _cut_below(table: _AnyTable) -> list[tuple[Key | None, Item]]:
    """Cut off the comments and empty lines below a table's last key."""
    body = table.value.body
    count = len(body)
    while count and body[count - 1][0] is None:
        count -= 1
    below = body[count:]
    del body[count:]
    return below
