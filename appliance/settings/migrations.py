# SPDX-License-Identifier: GPL-3.0-or-later
"""How settings files of older versions become files of this one.

The table has a function for each version but the last: it changes a document of that version, in
place, into one of the next. Every version there ever was stays readable.
"""

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

#: Of the file; a change of the meaning of any key makes a new one.
VERSION = 1

Migration = Callable[[MutableMapping[str, Any]], None]

#: From the version that is the key to the next.
MIGRATIONS: Mapping[int, Migration] = {}


def migrate(
    document: MutableMapping[str, Any],
    *,
    to: int = VERSION,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> None:
    """Bring a document to a version; ValueError in words where that cannot be."""
    version = document.get("version", to)
    if type(version) is not int or version < 1:
        raise ValueError(f"version: {version!r} is no version; {to} is the one of today")
    if version > to:
        raise ValueError(f"version: {version} is of a later program; this one knows up to {to}")
    while version < to:
        migrations[version](document)
        version += 1
        document["version"] = version
