# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of the settings, each in a small file of its own, which nobody reads who need not.

    web.password      on the appliance root's, and the settings page reads it
    wifi.passphrase   on the appliance root's alone

A file holds the value and a line's end; that alone says that there is none. What has no file yet
is what the settings file says of it, where older versions kept it.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from appliance import places
from appliance.settings.files import write_atomically
from appliance.settings.interpretation import Findings, complaint_of, read_toml
from appliance.settings.schema import Settings, declared
from appliance.values import replace

#: Stands for a secret that is set, or may be, and that the reader cannot read. It is nobody's.
HIDDEN = "\0hidden"
#: How each is set, by the names of its settings; all secrets that there are.
SECRETS = {key: (item, setting) for key, item, setting in declared() if setting.secret}
_MOST = 4096
_END = "\n"


def directory_for(settings: Path) -> Path:
    """Say where the secrets of a settings file are: on a person's own machine beside it."""
    return places.SECRETS if settings == places.SETTINGS else settings.with_suffix(".secrets")


class SecretFiles:
    """The files of one appliance, in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def fill(self, settings: Settings, findings: Findings) -> Settings:
        """Put the secrets that have files into settings; those that cannot be read are `HIDDEN`."""
        values: dict[str, Any] = {}
        for key, (item, _) in SECRETS.items():
            try:
                values[item.name] = self._read(key)
            except FileNotFoundError:
                continue
            except PermissionError:
                values[item.name] = self._guess(key)
            except (OSError, ValueError) as error:
                findings.warnings.append(f"{key}: cannot be read, set it anew: {error}")
                values[item.name] = HIDDEN
            if getattr(settings, item.name):
                findings.warnings.append(f"{key}: does not count here, {how_to_set(key)}")
        return replace(settings, **values) if values else settings

    def write(self, values: Mapping[str, str]) -> None:
        """Keep secrets, durably; ValueError in words where one cannot be what it is to be."""
        for key, value in values.items():
            item, setting = SECRETS[key]
            complaint = complaint_of(value, item, setting)
            if complaint:
                raise ValueError(f"{key}: the value {complaint}")
        for key, value in values.items():
            shared = SECRETS[key][1].page_reads and os.geteuid() == 0
            path, mode = self.directory / key, 0o640 if shared else 0o600
            write_atomically(path, f"{value}{_END}".encode(), mode=mode)

    def missing(self) -> list[str]:
        """Name the secrets that have no file yet."""
        return [key for key in SECRETS if not (self.directory / key).exists()]

    def _read(self, key: str) -> str:
        with (self.directory / key).open("rb") as file:
            text = file.read(_MOST).decode()
        if not text.endswith(_END):
            raise ValueError("its file is damaged")
        return text.removesuffix(_END)

    def _guess(self, key: str) -> str:
        """Say of a secret that is not for this reader whether there is one."""
        try:
            return HIDDEN if (self.directory / key).stat().st_size != len(_END) else ""
        except OSError:
            return HIDDEN


def how_to_set(key: str) -> str:
    """Say how a person sets a secret."""
    return f"it is set by: mtp-appliance settings {key.rpartition('.')[2]}"


def part(text: str) -> tuple[str, dict[str, str]]:
    """Take the secrets out of a text of settings; the text without them, and what it said.

    ValueError where it is no text of settings.
    """
    said = dict(said_in(read_toml(text)))
    if not said:
        return text, {}
    from appliance.settings import document  # noqa: PLC0415 - large, and seldom needed

    return document.without(text, *said), said


def said_in(document: Mapping[str, object]) -> Iterator[tuple[str, Any]]:
    """Give the secrets that parsed settings name, with whatever stands there."""
    for key in SECRETS:
        table, _, name = key.partition(".")
        place = document.get(table)
        if isinstance(place, dict) and name in place:
            yield key, place[name]
