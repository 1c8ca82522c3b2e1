# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings file: TOML that people edit, and that the appliance edits without losing a comment.

A file that cannot be understood is never a reason not to serve: what was read last serves, or the
defaults, and what is wrong is said.
"""

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError
from appliance.settings.files import write_atomically
from appliance.settings.interpretation import Findings, interpret
from appliance.settings.schema import Settings, StorageSetting

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.items import AoT, Table

_MAX_SIZE = 1 << 18
_GOOD_COPY = "settings.good.toml"


@dataclass(frozen=True, slots=True)
class Reading:
    """Settings, and what was found on the way; `from_good_copy`: the file itself is no use."""

    settings: Settings
    findings: Findings
    from_good_copy: bool = False


class SettingsFile:
    """One settings file; `keep` is the directory for the copy of what was last understood."""

    def __init__(self, path: Path, keep: Path) -> None:
        self.path = path
        self._good_copy = keep / _GOOD_COPY

    def read(self) -> Reading:
        """Read the file; where it has errors, what was understood last."""
        try:
            data = _read(self.path)
            settings, findings = interpret(_parse(data))
        except (OSError, ValueError) as error:
            return self._fall_back(Findings([_in_words(error)]))
        if findings.errors:
            return self._fall_back(findings)
        self._keep(data)
        return Reading(settings, findings)

    def add_storage(self, storage: StorageSetting) -> None:
        """Write a storage into the file, after the others."""
        self._edit(lambda document: _append(document, storage))

    def remove_storage(self, path: Path) -> None:
        """Take the storage of a folder out of the file."""

        def remove(document: "TOMLDocument") -> None:
            tables = _tables(document)
            tables.pop(_index(tables, path))

        self._edit(remove)

    def set_read_only(self, path: Path, *, read_only: bool) -> None:
        """Write whether the storage of a folder can be changed."""

        def change(document: "TOMLDocument") -> None:
            tables = _tables(document)
            tables[_index(tables, path)]["read_only"] = read_only

        self._edit(change)

    def _edit(self, change: Callable[["TOMLDocument"], None]) -> None:
        """Change the file and nothing else in it; it must be understood before and after."""
        import tomlkit  # noqa: PLC0415 - seldom needed, and large

        try:
            data = _read(self.path)
            _require_good(data)
            document = tomlkit.parse(data.decode())
            change(document)
            changed = tomlkit.dumps(document).encode()
            _require_good(changed)
            write_atomically(self.path, changed)
        except (OSError, ValueError) as error:
            hint = "what was changed lasts until the appliance ends"
            raise ApplianceError(f"{self.path}: {_in_words(error)}", hint=hint) from None

    def _keep(self, data: bytes) -> None:
        try:
            if self._good_copy.read_bytes() == data:
                return
        except OSError:
            pass
        try:
            write_atomically(self._good_copy, data)
        except OSError:
            return  # the file itself is good; there is only nothing to fall back on

    def _fall_back(self, findings: Findings) -> Reading:
        try:
            settings, again = interpret(_parse(_read(self._good_copy)))
        except (OSError, ValueError):
            return Reading(Settings(), findings)
        return Reading(Settings() if again.errors else settings, findings, from_good_copy=True)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_MAX_SIZE + 1)
    if len(data) > _MAX_SIZE:
        raise ValueError(f"is longer than {_MAX_SIZE} bytes")
    return data


def _parse(data: bytes) -> dict[str, object]:
    return tomllib.loads(data.decode())


def _require_good(data: bytes) -> None:
    _, findings = interpret(_parse(data))
    if findings.errors:
        raise ValueError(findings.errors[0])


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    return str(error)


def _tables(document: "TOMLDocument") -> "AoT":
    import tomlkit  # noqa: PLC0415 - seldom needed, and large

    if "storages" not in document:
        document.append("storages", tomlkit.aot())
    tables: AoT = document["storages"]
    return tables


def _index(tables: "AoT", path: Path) -> int:
    for index, table in enumerate(tables):
        if Path(str(table["path"])) == path:
            return index
    raise ValueError(f"has no storage {path}")


def _append(document: "TOMLDocument", storage: StorageSetting) -> None:
    import tomlkit  # noqa: PLC0415 - seldom needed, and large

    table: Table = tomlkit.table()
    table["path"] = str(storage.path)
    if storage.name:
        table["name"] = storage.name
    if storage.read_only:
        table["read_only"] = True
    if not storage.hidden_files:
        table["hidden_files"] = False
    _tables(document).append(table)
