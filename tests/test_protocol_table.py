# SPDX-License-Identifier: GPL-3.0-or-later
"""PROTOCOL.md says what the code does, for every number of the specification, once."""

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from appliance.mtp.audience import EVENTS
from appliance.mtp.codes import (
    Code,
    DevicePropertyCode,
    EventCode,
    FormatCode,
    ObjectPropertyCode,
    OperationCode,
    ResponseCode,
)
from appliance.mtp.device import Device
from appliance.mtp.formats import PLAYBACK_FORMATS
from appliance.mtp.operations import OPERATIONS
from appliance.mtp.properties import OBJECT_PROPERTIES
from tests.fakes.device import IDENTITY, ForgetfulState, TestHost

ROOT = Path(__file__).parent.parent
NUMBER = re.compile(r"0x([0-9A-F]{4}) ?([\w/]*)")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: numbers with names, what is said, and the test that is named."""

    codes: tuple[tuple[int, str], ...]
    here: str
    shown_by: str


@cache
def tables() -> dict[str, list[Row]]:
    """The tables of the page by their headings."""
    found: dict[str, list[Row]] = {}
    heading = ""
    for line in (ROOT / "PROTOCOL.md").read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:]
        if line.startswith("| 0x"):
            first, name, here, shown_by = (cell.strip() for cell in line.strip("|").split("|"))
            numbers = [(int(code, 16), text) for code, text in NUMBER.findall(first)]
            codes = [(numbers[0][0], name)] if name else numbers
            found.setdefault(heading, []).append(Row(tuple(codes), here, shown_by.strip("`")))
    return found


def rows() -> list[Row]:
    return [row for table in tables().values() for row in table]


def responses_in_the_code() -> set[int]:
    """Every response code that some module answers with."""
    used = set()
    for path in (ROOT / "appliance").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "ResponseCode"
            ):
                used.add(int(ResponseCode[node.attr]))
    return used


def device_properties() -> set[int]:
    device = Device(IDENTITY, ForgetfulState(), TestHost(may_set_clock=True, battery=50))
    return set(map(int, device.properties))


CODE: dict[str, tuple[type[Code], set[int]]] = {
    "Operations": (OperationCode, set(map(int, OPERATIONS))),
    "Responses": (ResponseCode, responses_in_the_code()),
    "Events": (EventCode, set(map(int, EVENTS))),
    "Object properties": (ObjectPropertyCode, set(map(int, OBJECT_PROPERTIES))),
    "Device properties": (DevicePropertyCode, device_properties()),
    "Object formats": (FormatCode, set(map(int, PLAYBACK_FORMATS))),
}


def test_the_page_has_these_tables() -> None:
    assert list(tables()) == list(CODE)


@pytest.mark.parametrize("heading", CODE)
def test_what_is_said_to_be_done_is_what_is_done(heading: str) -> None:
    said = {
        code for row in tables()[heading] if row.here.startswith("done") for code, _ in row.codes
    }
    assert {f"{code:04X}" for code in said} == {f"{code:04X}" for code in CODE[heading][1]}


@pytest.mark.parametrize("heading", CODE)
def test_every_number_is_there_once_and_by_its_name(heading: str) -> None:
    codes, _ = CODE[heading]
    told = Counter(code for row in tables()[heading] for code, _ in row.codes)
    assert [f"{code:04X}" for code, count in told.items() if count > 1] == []
    undefined = {0x2000, 0x5000}
    assert {f"{code:04X}" for code in set(codes) - told.keys() - undefined} == set()
    assert all(re.fullmatch(r"[\w/]+", name) for row in tables()[heading] for _, name in row.codes)


def test_what_is_not_done_has_a_reason() -> None:
    for row in rows():
        assert row.here.startswith("done") or re.match(r"no: \w+ \w+ .*\w$", row.here), row


@pytest.mark.parametrize(
    "row", [row for row in rows() if row.here.startswith("done")], ids=lambda row: row.codes[0][1]
)
def test_the_named_test_exists(row: Row) -> None:
    path, _, test = row.shown_by.partition("::")
    assert path, "no test is named"
    source = (ROOT / path).read_text()
    assert not test or f"def {test}(" in source
