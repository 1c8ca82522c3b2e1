# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of the program and their order: a part of what PEP 440 describes.

0.2.0.dev1 < 0.2.0a1 < 0.2.0rc1 < 0.2.0 < 0.2.0+kitchen < 0.2.1
"""

import re

_MAX_LENGTH = 40
_VERSION = re.compile(
    r"(?P<release>\d{1,6}(\.\d{1,6}){0,3})"
    r"((?P<phase>a|b|rc)(?P<step>\d{1,6}))?"
    r"(\.dev(?P<dev>\d{1,6}))?"
    r"(\+(?P<local>[a-z0-9]+(\.[a-z0-9]+)*))?",
    re.ASCII,
)
_LAST = 1 << 30

Order = tuple[tuple[int, ...], str, int, int, str]


def is_version(text: str) -> bool:
    """Whether a text names a version."""
    return len(text) <= _MAX_LENGTH and _VERSION.fullmatch(text) is not None


def order(version: str) -> Order:
    """Give what to compare versions by; ValueError for what is none."""
    match = _VERSION.fullmatch(version)
    if match is None or len(version) > _MAX_LENGTH:
        raise ValueError(f"{version!a:.60} is no version")
    release = [int(part) for part in match["release"].split(".")]
    while release and release[-1] == 0:
        release.pop()
    dev = _LAST if match["dev"] is None else int(match["dev"])
    # Without a phase: 1.0.dev1 comes before 1.0a1, and 1.0 after 1.0rc9.
    phase = match["phase"] or ("" if match["dev"] else "z")
    return tuple(release), phase, int(match["step"] or 0), dev, match["local"] or ""
