# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of settings as people type them; the declaration says what they are."""

from difflib import get_close_matches
from typing import Any, get_args

from appliance.errors import ApplianceError, ExitStatus
from appliance.settings.interpretation import complaint_of
from appliance.settings.schema import Setting, declared
from appliance.values import Field

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def find(key: str) -> tuple[Field[Any], Setting]:
    """Find a setting by its key; the error names one that is like it."""
    known = {name: (item, setting) for name, item, setting in declared()}
    if key in known:
        return known[key]
    like = get_close_matches(key, known, 1)
    hint = f"is it {like[0]}?" if like else "see them all: mtp-appliance settings show"
    if key.partition("[")[0].partition(".")[0] == "storages":
        hint = "storages have a command of their own: mtp-appliance storage"
    raise ApplianceError(f"there is no setting {key}", hint=hint, status=ExitStatus.USAGE)


def value_of(key: str, text: str) -> tuple[Any, str]:
    """Read a value, and say what is wrong with it: nothing where the setting can have it."""
    item, setting = find(key)
    try:
        value = _parse(text, item.type)
    except ValueError:
        value = text
    return value, complaint_of(value, item, setting)


def parse(key: str, text: str) -> Any:
    """Read a value; ApplianceError in words where the setting cannot have it."""
    value, complaint = value_of(key, text)
    if complaint:
        setting = find(key)[1]
        shown = "the value" if setting.secret else repr(text)
        words = f"{key}: {shown} {complaint}"
        raise ApplianceError(words, hint=setting.help, status=ExitStatus.USAGE)
    return value


def _parse(text: str, kind: Any) -> Any:
    if kind is bool:
        return _parse_bool(text)
    if kind is int:
        return _parse_int(text)
    if kind is str:
        return text
    (element, _) = get_args(kind)
    words = [word.strip() for word in text.strip("[]").split(",")]
    return tuple(_parse(word.strip("\"'"), element) for word in words if word)


def _parse_int(text: str) -> int:
    """Read a number, 0x1d6b too; and 030, which Python takes for a slip, as a person means it."""
    try:
        return int(text, 0)
    except ValueError:
        return int(text)


def _parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in (*_TRUE, *_FALSE):
        raise ValueError(text)
    return word in _TRUE
