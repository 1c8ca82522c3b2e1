# SPDX-License-Identifier: GPL-3.0-or-later
"""The patterns: each unlike the others, and the right one for what is going on."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.leds.patterns import DONE, FAILED, Pattern, countdown, select
from appliance.status import (
    Cable,
    Session,
    Status,
    StorageStatus,
    Transfer,
    Unsafe,
    Usb,
    Warning,
)

#: Seconds that somebody looks, and between two looks.
LOOK, STEP = 12.0, 0.025

USB = Usb("udc", Cable.CONFIGURED, "high-speed")
READY = Status(ready=True, usb=USB)


def seen(pattern: Pattern, offset: float) -> list[bool]:
    return [pattern.value.is_lit(offset + STEP * n) for n in range(int(LOOK / STEP))]


def test_there_are_at_most_six() -> None:
    assert len(Pattern) <= 6


@pytest.mark.parametrize(("one", "other"), list(combinations(Pattern, 2)))
def test_no_two_are_alike(one: Pattern, other: Pattern) -> None:
    """Whenever one begins to look: for a sixteenth of the time at least the two are different."""
    first = seen(one, 0)
    for tick in range(int(3 / STEP)):
        second = seen(other, tick * STEP)
        different = sum(a != b for a, b in zip(first, second, strict=True))
        assert different > len(first) / 16, tick * STEP


def test_each_has_words_of_its_own() -> None:
    assert len({each.value.looks for each in Pattern}) == len(Pattern)
    assert all(each.value.means and each.value.advice for each in Pattern)


@pytest.mark.parametrize(
    ("status", "failures", "expected"),
    [
        (None, (), Pattern.STARTING),
        (Status(), (), Pattern.STARTING),
        (None, ("mtp-appliance.service",), Pattern.ERROR),
        (READY, ("mtp-appliance-apply.service",), Pattern.ERROR),
        (Status(ready=True), (), Pattern.WAITING),
        (Status(ready=True, usb=Usb("udc", Cable.DETACHED)), (), Pattern.WAITING),
        (Status(ready=True, usb=Usb("udc", Cable.SUSPENDED)), (), Pattern.WAITING),
        (READY, (), Pattern.CONNECTED),
        (Status(ready=True, sessions=(Session("ptpip"),)), (), Pattern.CONNECTED),
        (Status(ready=True, usb=USB, ejected=True), (), Pattern.WAITING),
        (Status(ready=True, usb=USB, transfers=(Transfer("a"),)), (), Pattern.TRANSFERRING),
        (Status(ready=True, usb=USB, unsafe=Unsafe(1, 10, 2.0)), (), Pattern.UNSAFE),
        (Status(ready=True, unsafe=Unsafe(1, 10, 2.0)), (), Pattern.UNSAFE),
        (Status(ready=True, usb=USB, warnings=(Warning("storage-full"),)), (), Pattern.ERROR),
        (Status(ready=True, usb=USB, warnings=(Warning("settings-errors"),)), (), Pattern.ERROR),
        (Status(ready=True, usb=USB, warnings=(Warning("clock-not-set"),)), (), Pattern.CONNECTED),
        (Status(ready=True, warnings=(Warning("no-controller"),)), (), Pattern.ERROR),
        (Status(ready=True, warnings=(Warning("not-shown"),)), (), Pattern.ERROR),
        (Status(ready=True, usb=Usb("", Cable.NO_CONTROLLER)), (), Pattern.WAITING),
    ],
)
def test_the_right_one(status: Status | None, failures: tuple[str, ...], expected: Pattern) -> None:
    assert select(status, failures) is expected


def test_who_unplugs_while_it_is_not_safe_was_told() -> None:
    """Neither an error nor an ejection hides that files are moving or not on the card."""
    for changed in ({"transfers": (Transfer("a"),)}, {"unsafe": Unsafe(1, 1, 1.0)}):
        status = Status(
            ready=True,
            ejected=True,
            warnings=(Warning("storage-full"),),
            **changed,
        )
        for failures in ((), ("card-settings",), ("mtp-appliance-web.service",)):
            assert select(status, failures) in (Pattern.TRANSFERRING, Pattern.UNSAFE)


@given(
    st.builds(
        Status,
        ready=st.booleans(),
        ejected=st.booleans(),
        usb=st.builds(Usb, cable=st.sampled_from(list(Cable))),
        transfers=st.lists(st.builds(Transfer), max_size=2).map(tuple),
        unsafe=st.builds(Unsafe, files=st.integers(0, 3)),
        storages=st.lists(st.builds(StorageStatus), max_size=2).map(tuple),
        warnings=st.lists(st.builds(Warning, code=st.text()), max_size=2).map(tuple),
    ),
    st.lists(st.text(), max_size=2),
)
def test_there_is_always_one(status: Status, failures: list[str]) -> None:
    assert select(status, failures) in Pattern


def test_the_countdown_becomes_faster_and_ends_in_time() -> None:
    steps = countdown(6.0)
    assert sum(seconds for _, seconds in steps) == pytest.approx(6.0, abs=0.1)
    lit = [seconds for on, seconds in steps if on]
    assert lit == sorted(lit, reverse=True)
    assert lit[0] > 4 * lit[-1]


def test_what_is_shown_once_ends() -> None:
    for steps in (DONE, FAILED):
        assert 0.5 < sum(seconds for _, seconds in steps) < 5
