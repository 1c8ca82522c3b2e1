# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that come as a whole text: from a backup, or from before the last change.

Secrets are left out of a backup, so what the text does not say of them stays as it is.
"""

from typing import Any

from appliance.errors import ApplianceError
from appliance.settings.schema import Settings
from appliance.settings.secret_files import SECRETS, part
from appliance.settings.store import understand
from appliance.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class Adopted:
    """A text that can take the settings file's place, and what holds then."""

    text: str
    settings: Settings
    warnings: tuple[str, ...] = ()


def adopt(before: Settings, text: str) -> Adopted:
    """Take a text over, with the secrets that it does not name; ApplianceError where it is none."""
    taken = take_as_it_is(before, text)
    return replace(taken, settings=_with_unsaid(before, taken.settings, part(text)[1]))


def return_to(before: Settings, text: str) -> Adopted:
    """Take over an earlier text of one's own; the secrets stay those that are known now."""
    text, _ = part(text)
    settings, _ = understand(text)
    return Adopted(text, _with_unsaid(before, settings, {}))


def take_as_it_is(_: Settings, text: str) -> Adopted:
    """Take over a text of which every word counts; ApplianceError where it is none."""
    settings, findings = understand(text)
    if findings.errors:
        raise ApplianceError("; ".join(findings.errors), hint="nothing was changed")
    return Adopted(text, settings, tuple(findings.warnings))


def _with_unsaid(before: Settings, settings: Settings, said: dict[str, str]) -> Settings:
    names = {key: item.name for key, (item, _) in SECRETS.items()}
    kept: dict[str, Any] = {
        name: getattr(before, name) for key, name in names.items() if key not in said
    }
    return replace(settings, **kept)
