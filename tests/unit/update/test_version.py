# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version is the later one."""

import itertools

import pytest

from appliance.update.version import is_version, order

IN_ORDER = (
    *("0.1", "0.1.1", "0.2.0.dev1", "0.2.0.dev12", "0.2.0a1", "0.2.0a2.dev1", "0.2.0a2", "0.2.0b1"),
    *(
        "0.2.0rc9",
        "0.2.0rc10",
        "0.2.0",
        "0.2.0+kitchen",
        "0.2.0.1",
        "0.2.1",
        "0.10.0",
        "1",
        "1.0.1",
    ),
)


@pytest.mark.parametrize(("earlier", "later"), list(itertools.combinations(IN_ORDER, 2)))
def test_order(earlier: str, later: str) -> None:
    assert order(earlier) < order(later)


def test_zeros_at_the_end_mean_nothing() -> None:
    assert order("1") == order("1.0") == order("1.0.0")


@pytest.mark.parametrize("text", IN_ORDER)
def test_versions(text: str) -> None:
    assert is_version(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "x",
            "1.",
            ".1",
            "1..2",
            "v1.0",
            "1.0 ",
            "1.0\n",
            "-",
            "1.0-1",
            "1/0",
            "../1",
            "1.2.3.4.5",
        ),
        *("1.0c1", "1.0+", "1.0+A", "1.0+a/b", "٣", "1.0+" + "a" * 40, "1" * 7, "-1"),
    ],
)
def test_no_versions(text: str) -> None:
    assert not is_version(text)
    with pytest.raises(ValueError, match="is no version"):
        order(text)
