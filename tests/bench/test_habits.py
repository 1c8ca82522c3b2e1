# SPDX-License-Identifier: GPL-3.0-or-later
"""The listings that are measured are those that programs do."""

import pytest

from tests.bench import habits

_INFO, _EVERYTHING = "1008,@", "9805,@,0,FFFFFFFF,0,0"


@pytest.mark.parametrize(
    ("recording", "habit"),
    [
        ("mtp-tools-bookworm", (_INFO, _EVERYTHING)),
        ("mtp-tools-androidext-bookworm", (_INFO, _EVERYTHING)),
        ("gvfs-bookworm", (_INFO, _EVERYTHING)),
        ("gvfs-androidext-bookworm", (_INFO, _EVERYTHING)),
        ("kio-trixie", (_INFO, _EVERYTHING)),
        ("go-mtpfs-bookworm", (_INFO,)),
    ],
)
def test_what_a_recorded_program_asks_for_each_object(
    recording: str, habit: tuple[str, ...]
) -> None:
    assert habits.of(recording) == habit


def test_objects_that_were_asked_for_different_things_are_no_habit() -> None:
    with pytest.raises(ValueError, match="unpack"):
        habits.of("aft-bookworm")
