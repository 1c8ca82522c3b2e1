# SPDX-License-Identifier: GPL-3.0-or-later
"""What is different between two sets of settings, for a person and for a program."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from appliance.settings.schema import (
    Effect,
    Settings,
    StorageSetting,
    declared,
    declared_of_storages,
)
from appliance.values import dataclass

#: The key of a difference in the order alone.
ORDER = "storages"


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is another; None where there was, or will be, none."""

    key: str
    before: Any
    after: Any
    effect: Effect

    def __str__(self) -> str:
        return f"{self.key}: {show(self.before)} -> {show(self.after)}"


def differences(before: Settings, after: Settings) -> list[Difference]:
    """Compare; storages by their folders. Secrets are told as whether they are set."""
    found = []
    for key, item, setting in declared():
        old, new = getattr(before, item.name), getattr(after, item.name)
        if old != new:
            if setting.secret:
                old, new = secret(old), secret(new)
            found.append(Difference(key, old, new, setting.effect))
    return [*found, *_storage_differences(before, after)]


def _storage_differences(before: Settings, after: Settings) -> Iterator[Difference]:
    old = {each.path: each for each in before.storages}
    new = {each.path: each for each in after.storages}
    for path in dict.fromkeys([*old, *new]):
        if path not in new or path not in old:
            there = _named(old.get(path)), _named(new.get(path))
            yield Difference(f"storages[{path}]", *there, Effect.RELOAD)
            continue
        for key, item, setting in declared_of_storages():
            values = getattr(old[path], item.name), getattr(new[path], item.name)
            if values[0] != values[1]:
                yield Difference(f"storages[{path}].{key}", *values, setting.effect)
    yield from _order(old, new)


def _order(
    old: Mapping[Path, StorageSetting], new: Mapping[Path, StorageSetting]
) -> Iterator[Difference]:
    """Say in which order those come that stay, where that changes."""
    before, after = [each for each in old if each in new], [each for each in new if each in old]
    if before != after:
        names = [_named(old[each]) for each in before], [_named(new[each]) for each in after]
        yield Difference(ORDER, *names, Effect.RELOAD)


def _named(storage: StorageSetting | None) -> str | None:
    return None if storage is None else storage.name or storage.path.name


def secret(value: str) -> str:
    """Say of a secret what may be said."""
    return "(set)" if value else "(not set)"


def show(value: Any) -> str:
    """Say a value as the file has it."""
    if value is None:
        return "(nothing)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(show, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)


def told(changes: Iterable[Difference]) -> list[dict[str, Any]]:
    """Say what is different so that a program can show it; values as JSON has them."""
    return [
        {
            "key": each.key,
            "label": _label(each.key),
            "before": each.before,
            "after": each.after,
            "effect": each.effect.value,
        }
        for each in changes
    ]


def _label(key: str) -> str:
    """Name a setting for a person; those of a storage with its folder."""
    labels = {each: setting.label for each, _, setting in declared()} | {ORDER: "Order of storages"}
    if key in labels:
        return labels[key]
    folder, _, name = key.removeprefix("storages[").rpartition("]")
    of_storages = {f".{each}": setting.label for each, _, setting in declared_of_storages()}
    return f"{of_storages.get(name, 'Storage')} ({folder})"
