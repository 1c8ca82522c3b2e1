# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command says what there is to say: lines, tables, JSON."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

_UNITS = ("B", "kB", "MB", "GB", "TB")


def say(line: str, note: str = "") -> None:
    """Say that something was done, and what there is to know of it."""
    print(f"{line}, {note}" if note else line)


def size(count: float) -> str:
    """Say a number of bytes to two or three digits."""
    for unit in _UNITS:
        if count < 999.5 or unit == _UNITS[-1]:
            break
        count /= 1000
    small = unit != "B" and count < 9.95
    return f"{count:.1f} {unit}" if small else f"{count:.0f} {unit}"


def print_json(value: Any) -> None:
    """Print for a program."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as wide as what is in them."""
    table = [head, *(tuple(map(printable, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """Write what a terminal would obey as what it is: names come from anywhere."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
