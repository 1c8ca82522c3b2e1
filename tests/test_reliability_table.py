# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/RELIABILITY.md names tests for all that went wrong elsewhere; each of them is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: What was chosen to learn from: issues and changes of each responder, and CVEs.
_CHOSEN = {
    "uMTP-Responder": (
        *(10, 11, 16, 21, 25, 26, 27, 30, 36, 37, 43, 53, 56, 62, 73, 75, 83, 90, 94, 96, 99, 102),
        *(108, 124, 125, 126, 130, 131, 134, 136, 137, 138, 139, 140),
    ),
    "cmtp-responder": (30, 31, 32),
    "CVE": ("2018-16867", "2018-16872"),
    "Android": ("6111b2b9", "ab063847", "c9cbf987"),
    "TinyUSB": (3400, 3430, 3658, 3911),
    "libmtp": (8, 9),
    "buteo-mtp": ("a060333", "5cc38ae", "3dea834", "16a9ee3", "83e4adf"),
}
_ROW = re.compile(r"^\| (.+) \| (.+) \| `(tests/[\w/]+\.py)::(\w+)` \|$")


def rows() -> list[tuple[str, str, str, str]]:
    """What went wrong and where, and the file and name of the test."""
    lines = (ROOT / "docs" / "RELIABILITY.md").read_text().splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("| what went wrong"))
    cells = [line for line in lines[head:] if line.startswith("| ")]
    matches = [_ROW.match(line) for line in cells[1:]]
    assert all(matches), [line for line, found in zip(cells[1:], matches, strict=True) if not found]
    return [(found[1], found[2], found[3], found[4]) for found in matches if found]


def named(where: str) -> Iterator[tuple[str, str]]:
    """Read "one 10, 30; other abc": each a name and what follows it."""
    name = ""
    for each in re.split("[,;] ", where):
        words, _, last = each.replace("CVE-", "CVE ").rpartition(" ")
        name = words or name
        yield name, last


@pytest.mark.parametrize(("path", "test"), sorted({row[2:] for row in rows()}))
def test_the_named_test_exists(path: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / path).read_text()


def test_all_that_was_chosen_has_a_line() -> None:
    told = {each for row in rows() for each in named(row[1])}
    chosen = {(name, str(each)) for name, ids in _CHOSEN.items() for each in ids}
    assert sorted(chosen - told) == []


def test_no_line_is_there_twice() -> None:
    told = [row[0] for row in rows()]
    assert sorted(set(told)) == sorted(told)
    assert len(told) > 50
