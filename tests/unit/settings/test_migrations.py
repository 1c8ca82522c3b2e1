# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of other versions: brought up to date, or refused in words."""

from collections.abc import MutableMapping
from typing import Any

import pytest

from appliance.settings.interpretation import interpret
from appliance.settings.migrations import MIGRATIONS, VERSION, migrate


def name_was_label(document: MutableMapping[str, Any]) -> None:
    document["name"] = document.pop("label")


def days_were_weeks(document: MutableMapping[str, Any]) -> None:
    document["trash"]["days"] = 7 * document["trash"].pop("weeks")


STEPS = {1: name_was_label, 2: days_were_weeks}


def test_each_step_is_done() -> None:
    document = {"version": 1, "label": "Kitchen", "trash": {"weeks": 2}}
    settings, findings = interpret(document, to=3, migrations=STEPS)
    assert (findings.errors, findings.warnings) == ([], [])
    assert (settings.name, settings.trash_days) == ("Kitchen", 14)
    assert document == {"version": 1, "label": "Kitchen", "trash": {"weeks": 2}}


def test_only_the_steps_that_are_left() -> None:
    document = {"version": 2, "name": "Kitchen", "trash": {"weeks": 2}}
    migrate(document, to=3, migrations=STEPS)
    assert document == {"version": 3, "name": "Kitchen", "trash": {"days": 14}}


@pytest.mark.parametrize("version", [0, -1, VERSION + 1, "1", True, 1.0, None])
def test_versions_that_are_none(version: object) -> None:
    _, findings = interpret({"version": version})
    assert len(findings.errors) == 1
    assert findings.errors[0].startswith("version: ")


def test_there_is_a_way_from_every_version() -> None:
    assert set(MIGRATIONS) == set(range(1, VERSION))
