# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upload that was broken into may leave."""

import pytest

from tests.torture.real_client import may_be_left
from tests.usb.mtp import pattern

_PIECE = 64 << 10
_DATA = pattern(4 * _PIECE)


@pytest.mark.parametrize(
    ("there", "is_good"),
    [
        (b"", True),
        (_DATA, True),
        (_DATA[:_PIECE], True),
        (_DATA[: _PIECE + 7] + bytes(_PIECE - 7), True),
        (_DATA[:_PIECE] + bytes(_PIECE), True),  # longer already, and not yet written
        (_DATA[:_PIECE] + bytes(2 * _PIECE), False),
        (_DATA[: _PIECE - 4] + bytes(_PIECE + 4), False),
        (_DATA[:_PIECE] + bytes(7) + _DATA[_PIECE + 7 : 2 * _PIECE], False),
        (_DATA + bytes(1), False),
        (b"x" * 9, False),
    ],
)
def test_a_client_that_edits_in_place_gets_as_far_as_it_gets(there: bytes, is_good: bool) -> None:
    assert may_be_left(there, _DATA, "aft-mount", is_done=False) is is_good


@pytest.mark.parametrize(
    ("there", "is_good"), [(None, True), (b"", True), (_DATA, True), (_DATA[:_PIECE], False)]
)
def test_of_another_client_there_is_nothing_or_all(there: bytes | None, is_good: bool) -> None:
    assert may_be_left(there, _DATA, "mtp-tools", is_done=False) is is_good


@pytest.mark.parametrize("client", ["mtp-tools", "aft-mount"])
@pytest.mark.parametrize("there", [None, b"", _DATA[:_PIECE], _DATA])
def test_of_what_a_client_was_told_is_done_there_is_all(there: bytes | None, client: str) -> None:
    assert may_be_left(there, _DATA, client, is_done=True) is (there == _DATA)
