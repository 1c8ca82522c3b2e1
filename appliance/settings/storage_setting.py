# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be set of each folder that is served."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.settings.checks import folder, name_or_nothing
from appliance.settings.declaration import SETTING, Effect, Setting, declare
from appliance.values import Field, dataclass, field, fields


@dataclass(frozen=True, slots=True)
class StorageSetting:
    """One folder that is served; `name` "" is the folder's own."""

    path: Path = field(
        metadata={
            SETTING: Setting(
                "Folder", "What is served; it begins with /.", Effect.RELOAD, check=folder
            )
        }
    )
    name: str = declare(
        "",
        Setting(
            "Name",
            "What the storage is called on the PC; empty for the folder's own name.",
            Effect.RELOAD,
            check=name_or_nothing,
        ),
    )
    read_only: bool = declare(
        False, Setting("Read-only", "Whether nothing in it can be changed.", Effect.RELOAD)
    )
    hidden_files: bool = declare(
        True,
        Setting("Hidden files", "Whether names that begin with a dot are shown.", Effect.RELOAD),
    )


def declared_of_storages() -> Iterator[tuple[str, Field[Any], Setting]]:
    """What each storage has: key in its table, field, declaration."""
    for each in fields(StorageSetting):
        yield each.name, each, each.metadata[SETTING]
