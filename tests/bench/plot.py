# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, as a picture (SVG): how many times better ours is, on a logarithmic scale."""

import math
from collections.abc import Sequence
from html import escape

from tests.bench.report import number
from tests.bench.rows import UMTP, Row

_LEFT, _WIDTH, _LINE, _TOP = 380, 760, 22, 58
_RIGHT = 90
_BETTER, _WORSE, _INK, _QUIET = "#1f7a5a", "#b4532a", "#1b1f24", "#6b7280"
_STYLE = (
    'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif" '
    'font-size="12"'
)


def picture(rows: Sequence[Row]) -> str:
    """Draw a bar for each row that others were measured in too."""
    bars = [(row, ratio) for row in rows if (ratio := row.ratio(UMTP)) is not None]
    scale = _Scale([ratio for _, ratio in bars])
    height = _TOP + _LINE * len(bars) + 16
    width = _LEFT + _WIDTH + _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_STYLE}>',
        "<title>MTP Appliance against uMTP-Responder</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="15" font-weight="600" fill="{_INK}">'
        "MTP Appliance against uMTP-Responder: how many times better</text>",
        *(_grid(scale, tick, height) for tick in scale.ticks()),
        *(_bar(scale, index, row, ratio) for index, (row, ratio) in enumerate(bars)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Scale:
    """From a ratio to a place on the page."""

    def __init__(self, ratios: Sequence[float]) -> None:
        self._low = math.floor(math.log10(min([*ratios, 0.5])))
        self._high = math.ceil(math.log10(max([*ratios, 2.0])))

    def x(self, ratio: float) -> float:
        share = (math.log10(ratio) - self._low) / (self._high - self._low)
        return round(_LEFT + share * _WIDTH, 1)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]


def _grid(scale: _Scale, tick: float, height: int) -> str:
    x = scale.x(tick)
    colour, width = (_INK, 1.2) if tick == 1 else ("#d7dbe0", 1)
    return (
        f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{height - 10}" stroke="{colour}" '
        f'stroke-width="{width}"/><text x="{x}" y="{_TOP - 14}" text-anchor="middle" '
        f'fill="{_QUIET}">{number(tick)}x</text>'
    )


def _bar(scale: _Scale, index: int, row: Row, ratio: float) -> str:
    y = _TOP + index * _LINE
    one, end = scale.x(1), scale.x(ratio)
    start, width = min(one, end), max(abs(end - one), 1)
    side, at = ("start", max(one, end) + 6) if ratio >= 1 else ("end", start - 6)
    return (
        f'<text x="{_LEFT - 12}" y="{y + 12}" text-anchor="end" fill="{_INK}">'
        f"{escape(row.what)}, {escape(row.case)}</text>"
        f'<rect x="{start}" y="{y + 2}" width="{width}" height="13" rx="2" '
        f'fill="{_BETTER if ratio >= 1 else _WORSE}"/>'
        f'<text x="{at}" y="{y + 13}" text-anchor="{side}" fill="{_INK}">{number(ratio)}x</text>'
    )
