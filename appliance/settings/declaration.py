# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person has to know of a setting, as a field of a dataclass has it in its metadata."""

from typing import Any

from appliance.enums import Enum
from appliance.settings.checks import Check
from appliance.values import dataclass, field

#: The key of a field's metadata.
SETTING = "setting"


class Effect(Enum):
    """When a change of a setting takes effect on a running appliance."""

    RELOAD = "at once"
    RESTART = "when the service starts anew"
    REPLUG = "at once; the PC sees the device go and come back"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a person has to know of one setting; `check` gives a complaint, or nothing.

    `choices` are all that the value may be, if there are few. `secret`: it is never shown, and
    has a file of its own; `page_reads`: one that the settings page has to know.
    `in_hex`: people know the number by its hexadecimal digits.
    """

    label: str
    help: str
    effect: Effect
    unit: str = ""
    check: Check = lambda value: ""
    choices: tuple[str, ...] = ()
    secret: bool = False
    page_reads: bool = False
    in_hex: bool = False


def declare(default: Any, setting: Setting) -> Any:
    """Make a field of `Settings` that has a default."""
    return field(default=default, metadata={SETTING: setting})
