# SPDX-License-Identifier: GPL-3.0-or-later
"""What values that somebody has typed would change, before anything is changed."""

from collections.abc import Mapping
from typing import Any

from appliance.settings.differences import differences, told
from appliance.settings.schema import Settings
from appliance.settings.values import find, value_of
from appliance.values import replace


def plan(before: Settings, values: Mapping[str, str]) -> dict[str, Any]:
    """Say what would be different, and which values cannot be, each with its complaint."""
    wanted, errors = {}, {}
    for key, text in values.items():
        wanted[key], complaint = value_of(key, text)
        if complaint:
            errors[key] = complaint
    good = {find(key)[0].name: wanted[key] for key in wanted if key not in errors}
    changes = differences(before, replace(before, **good))
    return {"changes": told(changes), "errors": errors}
