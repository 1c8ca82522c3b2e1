# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and picture say what was measured."""

import xml.etree.ElementTree as ET

import pytest

from tests.bench import plot, redirected, report
from tests.bench.counts import Count, Record
from tests.bench.rows import OURS, PUMP, UMTP, Row, dump, load


def row(ours: list[float], umtp: list[float], *, more_is_better: bool = False) -> Row:
    return Row("what", "case", "unit", {OURS: ours, UMTP: umtp}, more_is_better)


@pytest.mark.parametrize(
    ("ours", "umtp", "more_is_better", "ratio"),
    [
        ([30.0], [10.0], True, 3.0),
        ([30.0], [10.0], False, 1 / 3),
        ([5.0, 4.0, 90.0], [10.0], False, 2.0),
        ([], [10.0], True, None),
        ([0.0], [10.0], True, None),
    ],
)
def test_ratio_says_how_many_times_better(
    ours: list[float], umtp: list[float], more_is_better: bool, ratio: float | None
) -> None:
    assert row(ours, umtp, more_is_better=more_is_better).ratio(UMTP) == ratio


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.1234, "0.12"), (1.239, "1.24"), (12.34, "12.3"), (1234.5, "1,234")],
)
def test_number_has_three_digits_that_count(value: float | None, text: str) -> None:
    assert report.number(value) == text


def test_json_keeps_rows() -> None:
    rows = [row([1.0, 2.0], [3.0]), Row("a", "b", "c", {PUMP: [1.0]}, more_is_better=True)]
    assert load(dump(rows, host="x")) == (rows, {"host": "x"})


def test_table_has_a_line_for_each_way_of_ours() -> None:
    both = Row("up", "disk", "ms", {"ours, safe": [4.0], "ours, fast": [1.0], UMTP: [8.0]})
    lines = report.table([both]).splitlines()[2:]
    assert lines == [
        "| up | disk, safe | ms | 4.00 | 8.00 |  | 2.00x |  |",
        "| up | disk, fast | ms | 1.00 | 8.00 |  | 8.00x |  |",
    ]


def test_counts_have_a_column_for_each_processor() -> None:
    records = {
        "a": Record("1", (Count("scan", "object", 1234),)),
        "b": Record("2", (Count("scan", "object", 2_500_000),)),
    }
    assert report.counts_table(records).splitlines() == [
        "| instructions | a, Python 1 | b, Python 2 |",
        "|---|--:|--:|",
        "| scan, object | 1,234 | 2.5 million |",
    ]


def test_page_gets_its_text_between_the_marks() -> None:
    page = "before\n<!-- made by make bench: x -->\nold\n<!-- end -->\nafter\n"
    once = report.put(page, "x", "new\n")
    assert "old" not in once
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert report.put(once, "x", "new\n") == once


def test_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for x"):
        report.put("nothing", "x", "new")


def test_picture_has_a_bar_for_each_comparison_and_escapes() -> None:
    rows = [row([1.0], [100.0]), row([3.0], [1.0]), Row("<&>", "c", "s", {OURS: [1.0]})]
    drawn = ET.fromstring(plot.picture([*rows, Row("a<b", "c", "s", {OURS: [1.0], UMTP: [1.0]})]))
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    bars = list(drawn.iter("{http://www.w3.org/2000/svg}rect"))[1:]
    assert len(bars) == 3
    assert {"100x", "0.33x", "1.00x"} <= set(texts)
    assert "a<b, c" in texts


def test_the_page_beside_usb_mtp_has_what_the_last_run_measured() -> None:
    rows, machine = load(redirected.RESULTS.read_text())
    page = redirected.PAGE.read_text()
    assert redirected.table(rows) in page
    assert all(f"- {name}: {value}\n" in page for name, value in machine.items())


def test_a_peer_that_cannot_has_no_number() -> None:
    both = Row("up", "libmtp", "s", {OURS: [2.0], redirected.USB_MTP: [1.0]})
    alone = Row("at once", "raw", "s", {OURS: [1.0]})
    assert redirected.table([both, alone]).splitlines()[2:] == [
        "| up | libmtp | 2.00 | 1.00 |  | 0.5x |  |",
        "| at once | raw | 1.00 |  |  |  |  |",
    ]
