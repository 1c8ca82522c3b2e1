# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the light: the patterns of the LEDs as animations of a style sheet."""

import math
from collections.abc import Iterator

from appliance.leds.patterns import Pattern, Rhythm


def style_sheet() -> str:
    """Write an animation for each pattern, class `light-LABEL`; for who wants no motion, none."""
    rules = [rule for pattern in Pattern for rule in _rules(pattern)]
    still = "@media (prefers-reduced-motion: reduce) { .light { animation: none !important; } }"
    return "\n".join([*rules, still]) + "\n"


def _rules(pattern: Pattern) -> Iterator[str]:
    rhythm, name = pattern.value, f"light-{pattern.label}"
    if math.isinf(rhythm.period):
        return
    yield f"@keyframes {name} {{ {' '.join(_frames(rhythm))} }}"
    yield f".{name} {{ animation: {name} {rhythm.period:g}s step-end infinite; }}"


def _frames(rhythm: Rhythm) -> Iterator[str]:
    at = 0.0
    for lit, seconds in rhythm.steps:
        yield f"{100 * at / rhythm.period:.4g}% {{ opacity: {1 if lit else 0.12}; }}"
        at += seconds
