# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, as a page (Markdown): a table of medians with ratios."""

from collections.abc import Iterable, Mapping

from tests.bench.counts import Record
from tests.bench.rows import OURS, PUMP, UMTP, Row

_NAMES = {OURS: "ours", UMTP: "uMTP", PUMP: "bare pump"}
_BEGIN, _END = "<!-- made by make bench: {} -->", "<!-- end -->"


def number(value: float | None) -> str:
    """Write a number with three digits that count."""
    if value is None:
        return ""
    for limit, places in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= limit:
            return f"{value:,.{places}f}"
    return f"{value:.2g}"


def table(rows: Iterable[Row]) -> str:
    """Lay out rows as a table; a ratio above 1 says how many times better ours is."""
    lines = [
        "| what | case | unit | ours | uMTP | bare pump | against uMTP | against the pump |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        for name, samples in _flat(row):
            cells = [row.what, row.case + name, row.unit]
            cells += [number(samples.median(who)) for who in (OURS, UMTP, PUMP)]
            cells += [times(samples.ratio(who)) for who in (UMTP, PUMP)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _flat(row: Row) -> Iterable[tuple[str, Row]]:
    """Make a line for each way in which ours was measured, beside the same others."""
    others = {who: samples for who, samples in row.samples.items() if not who.startswith(OURS)}
    for who, samples in row.samples.items():
        if who.startswith(OURS):
            mine = {OURS: samples, **others}
            yield (
                who.removeprefix(OURS),
                Row(row.what, row.case, row.unit, mine, row.more_is_better),
            )


def times(ratio: float | None) -> str:
    """Write a ratio."""
    return "" if ratio is None else f"{number(ratio)}x"


def counts_table(records: Mapping[str, Record]) -> str:
    """Lay out instruction counts: a column for each processor."""
    heads = [f"{name}, Python {record.python}" for name, record in records.items()]
    lines = [f"| instructions | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for each in zip(*(record.counts for record in records.values()), strict=True):
        cells = [f"{_scaled(count.instructions)}" for count in each]
        lines.append(f"| {each[0].what}, {each[0].unit} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _scaled(value: int) -> str:
    return f"{value / 1e6:,.1f} million" if value >= 1e6 else f"{value:,}"


def put(page: str, name: str, text: str) -> str:
    """Put `text` between the marks of that name in a page."""
    begin = _BEGIN.format(name)
    before, mark, rest = page.partition(begin)
    _, end, after = rest.partition(_END)
    if not mark or not end:
        raise ValueError(f"the page has no place for {name}: {begin} ... {_END}")
    return f"{before}{begin}\n\n{text}\n{_END}{after}"
