# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a card after a cut, of what a guest has found on it. Pure."""

import base64
from typing import Any

from tests.power.model import Expected, Found

#: What a guest tells of, and what a line about it begins with.
_ABOUT = {
    "check": "file system",
    "kernel": "file system",
    "errors": "settings",
    "failed": "unit",
    "remains": "remains",
}


def complaints(expected: Expected, found: dict[str, Any]) -> list[str]:
    """Say what is wrong, a line each, which begins with what it is about."""
    if "unusable" in found:
        return [f"unusable: {found['unusable']}"]
    lines = [f"{word}: {each}" for key, word in _ABOUT.items() for each in found.get(key, [])]
    lines += [f"file: {each}" for each in expected.lost(what_is_there(found))]
    there = found["files"] | dict.fromkeys(found["folders"], "")
    if found.get("seen", there) != there:
        lines.append(f"seen: the PC sees {found['seen']}, on the card is {there}")
    return lines


def what_is_there(found: dict[str, Any]) -> Found:
    """Take a guest's words for what a card holds."""
    edited, trash = found["edited"], found.get("trash")
    return Found(
        found["files"],
        frozenset(found["folders"]),
        found["days"],
        None if edited is None else base64.b64decode(edited),
        None if trash is None else tuple(trash),
    )
