# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing becomes dearer unnoticed: instructions, which no load and no other machine changes.

Where it becomes dearer for a good reason, `python -m tests.bench counts` makes the record anew, and
the commit says the reason.
"""

import pytest

from tests.bench import counts, workloads
from tests.bench.__main__ import COUNTS
from tests.bench.roots import PROCESSORS
from tests.vm.image import GuestError

#: How much dearer is a regression, and how often what seems to be one is counted again: threads
#: that meet in another order cost a little more or less.
TOLERANCE = 1.05
TRIES = 3


def excess(name: str) -> dict[str, str]:
    """What became dearer, each with its counts."""
    record = counts.load(COUNTS.read_text())[name]
    best: dict[str, int] = {}
    dearer: dict[str, str] = {}
    for _ in range(TRIES):
        now = counts.count(PROCESSORS[name])
        for each in now.counts:
            best[each.what] = min(best.get(each.what, each.instructions), each.instructions)
        dearer = {
            kept.what: f"{best[kept.what]:,} a {kept.unit}, {kept.instructions:,} recorded "
            f"({best[kept.what] / kept.instructions - 1:+.1%}; "
            f"Python {now.python}, {record.python} recorded)"
            for kept in record.counts
            if best[kept.what] > TOLERANCE * kept.instructions
        }
        if not dearer:
            break
    return dearer


@pytest.mark.parametrize("processor", PROCESSORS)
def test_nothing_costs_more_instructions_than_recorded(processor: str) -> None:
    try:
        dearer = excess(processor)
    except GuestError as error:
        pytest.fail(str(error))
    assert not dearer, "if it has to be: python -m tests.bench counts"


def test_the_record_has_every_piece_and_processor() -> None:
    records = counts.load(COUNTS.read_text())
    assert records.keys() == PROCESSORS.keys()
    wanted = [counts.READY, *(what for what, _, _ in workloads.PIECES)]
    for record in records.values():
        assert [each.what for each in record.counts] == wanted
