# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle says of itself: a JSON object, signed.

| key        | what it is                                                                      |
|------------|---------------------------------------------------------------------------------|
| `format`   | 1; another one is for a later program to read                                   |
| `version`  | of the program                                                                  |
| `base`     | what the program needs of the system around it, as a number; the same or nothing|
| `machines` | processors as `uname -m` names them; empty: any                                 |
| `boards`   | how the names of boards begin, such as "Raspberry Pi Zero"; empty: any          |
| `size`     | bytes of the payload                                                            |
| `sha256`   | of the payload, in hexadecimal digits                                           |
| `files`    | how many files are in it                                                        |
| `unpacked` | bytes of them                                                                   |
| `date`     | when it was made, such as "2026-11-29"                                          |
| `notes`    | what is new, for people                                                         |

Keys that are not in the table are ignored: a later program may say more without another format.
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from appliance.errors import ApplianceError
from appliance.update.version import is_version

FORMAT = 1
MAX_PAYLOAD = 16 << 20
MAX_UNPACKED = 48 << 20
MAX_FILES = 5000
_MAX_NOTES, _MAX_WORD, _MAX_WORDS = 16_000, 100, 50
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest, all of it within bounds."""

    version: str
    base: int
    size: int
    sha256: str
    files: int
    unpacked: int
    machines: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()
    date: str = ""
    notes: str = ""


def encode(manifest: Manifest) -> bytes:
    """Write a manifest; the same one always gives the same bytes."""
    values = {"format": FORMAT} | asdict(manifest)
    return (json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def decode(data: bytes) -> Manifest:
    """Read a manifest. ApplianceError where it is none, or is of a later format."""
    try:
        values = json.loads(data)
        if not isinstance(values, dict):
            raise ValueError("it is no object")
        if values.get("format") != FORMAT:
            raise ApplianceError(
                "the update is of a later format than this version knows",
                hint="flash a new image",
            )
        manifest = Manifest(**{each.name: _value(values, each.name) for each in fields(Manifest)})
        _check(manifest)
    except (ValueError, RecursionError) as error:
        raise ApplianceError(
            f"what the update says of itself is not understood: {error}", hint="get it anew"
        ) from None
    return manifest


def _value(values: dict[str, Any], name: str) -> Any:
    """Take a value of the type that its key is to have."""
    if name in {"base", "size", "files", "unpacked"}:
        return _of(int, values, name)
    if name in {"machines", "boards"}:
        words = _of(list, values, name)
        if len(words) > _MAX_WORDS or not all(_is_word(each) for each in words):
            raise ValueError(f"{name} are no names")
        return tuple(words)
    return _of(str, values, name)


def _of(kind: type, values: dict[str, Any], name: str) -> Any:
    value = values.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{name} is not as it should be")
    return value


def _is_word(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_WORD and value.isprintable()


def _check(manifest: Manifest) -> None:
    """Hold the values to their bounds; ValueError."""
    limits = {"size": MAX_PAYLOAD, "files": MAX_FILES, "unpacked": MAX_UNPACKED, "base": 1 << 16}
    for name, limit in limits.items():
        if not 0 < getattr(manifest, name) <= limit:
            raise ValueError(f"{name} is out of bounds")
    if not is_version(manifest.version):
        raise ValueError("version is none")
    if len(manifest.sha256) != _SHA256_DIGITS or manifest.sha256.strip("0123456789abcdef"):
        raise ValueError("sha256 is none")
    if len(manifest.date) > _MAX_WORD or not manifest.date.isprintable():
        raise ValueError("date is none")
    if len(manifest.notes) > _MAX_NOTES:
        raise ValueError("notes are too long")
