# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/RELIABILITY.md names tests for what went wrong elsewhere; each of them is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_ROW = re.compile(r"^\| (.+) \| (.+) \| `(tests/[\w/]+\.py)::(\w+)` \|$")


def rows() -> list[tuple[str, str, str]]:
    """What went wrong, and the file and name of the test."""
    lines = (ROOT / "docs" / "RELIABILITY.md").read_text().splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("| what went wrong"))
    cells = [line for line in lines[head:] if line.startswith("| ")]
    matches = [_ROW.match(line) for line in cells[1:]]
    assert all(matches), [line for line, found in zip(cells[1:], matches, strict=True) if not found]
    return [(found[1], found[3], found[4]) for found in matches if found]


@pytest.mark.parametrize(("path", "test"), sorted({row[1:] for row in rows()}))
def test_the_named_test_exists(path: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / path).read_text()


def test_no_line_is_there_twice() -> None:
    told = [row[0] for row in rows()]
    assert sorted(set(told)) == sorted(told)
    assert len(told) > 50
