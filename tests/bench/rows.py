# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured: a row for each thing, with the samples of each who was measured."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

#: Who is in a row; the names of columns.
OURS, UMTP, PUMP = "ours", "umtp", "pump"
#: The pump that writes what it is sent to a file.
STORING = "storing"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured; `more_is_better` says how to read it."""

    what: str
    case: str
    unit: str
    samples: dict[str, list[float]] = field(default_factory=dict)
    more_is_better: bool = False

    def add(self, who: str, value: float) -> None:
        """Take in a sample."""
        self.samples.setdefault(who, []).append(value)

    def median(self, who: str) -> float | None:
        """Middle of the samples; None where there are none."""
        return statistics.median(self.samples[who]) if self.samples.get(who) else None

    def ratio(self, who: str) -> float | None:
        """How many times better ours is than `who`; below 1 it is worse."""
        ours, theirs = self.median(OURS), self.median(who)
        if not ours or not theirs:
            return None
        return ours / theirs if self.more_is_better else theirs / ours


def dump(rows: Iterable[Row], **machine: object) -> str:
    """Write rows as JSON."""
    return json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1) + "\n"


def load(text: str) -> tuple[list[Row], dict[str, object]]:
    """Read rows and machine from JSON."""
    read = json.loads(text)
    return [Row(**row) for row in read["rows"]], read["machine"]
