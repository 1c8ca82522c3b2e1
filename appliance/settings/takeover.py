# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that come as a whole text: from a backup, or from before the last change.

Secrets are left out of a backup, so what the text does not say of them stays as it is.
"""

import tomllib
from collections.abc import Iterator

from appliance.errors import ApplianceError
from appliance.settings.schema import Settings, declared
from appliance.settings.store import understand
from appliance.values import dataclass

PASSWORD = "web.password"


@dataclass(frozen=True, slots=True)
class Adopted:
    """A text that can take the settings file's place, and what it says."""

    text: str
    settings: Settings
    warnings: tuple[str, ...] = ()


def adopt(before: Settings, text: str) -> Adopted:
    """Take a text over, with the secrets that it does not name; ApplianceError where it is none."""
    taken = take_as_it_is(before, text)
    kept = dict(_unsaid_secrets(before, text))
    return Adopted(*_with(text, kept), taken.warnings)


def return_to(before: Settings, text: str) -> Adopted:
    """Take over an earlier text of one's own; the password stays the one that is known now."""
    return Adopted(*_with(text, {PASSWORD: before.web_password}))


def take_as_it_is(_: Settings, text: str) -> Adopted:
    """Take over a text of which every word counts; ApplianceError where it is none."""
    settings, findings = understand(text)
    if findings.errors:
        raise ApplianceError("; ".join(findings.errors), hint="nothing was changed")
    return Adopted(text, settings, tuple(findings.warnings))


def _unsaid_secrets(before: Settings, text: str) -> Iterator[tuple[str, str]]:
    document = tomllib.loads(text)
    for key, item, setting in declared():
        value = getattr(before, item.name)
        if setting.secret and value and not _says(document, key):
            yield key, value


def _says(document: dict[str, object], key: str) -> bool:
    table, dot, name = key.partition(".")
    place = document.get(table, {}) if dot else document
    return isinstance(place, dict) and (name if dot else key) in place


def _with(text: str, values: dict[str, str]) -> tuple[str, Settings]:
    from appliance.settings import document  # noqa: PLC0415 - large, and seldom needed

    settings, _ = understand(text)
    names = {key: item.name for key, item, _ in declared()}
    different = {key: each for key, each in values.items() if getattr(settings, names[key]) != each}
    if different:
        text = document.with_values(text, different)
        settings, _ = understand(text)
    return text, settings
