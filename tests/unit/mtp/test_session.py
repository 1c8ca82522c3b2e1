# SPDX-License-Identifier: GPL-3.0-or-later
"""The session's transition table, and what a session leaves behind."""

import itertools

import pytest

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.session import (
    TRANSITIONS,
    AnnouncedUpload,
    OutOfOrderError,
    Phase,
    Session,
    Step,
)
from appliance.mtp.transaction import Look, unattended


class FakeUpload:
    handle = 5

    def __init__(self, *, replaces: bool = False, full: bool = False) -> None:
        self.replaces = replaces
        self.replaced = 0
        self.full = full
        self.calls: list[str] = []

    def write(self, data: memoryview) -> None:
        self.calls.append("write")

    def commit(self, *, over: bool = True, heed: Look = unattended) -> None:
        self.calls.append("commit" if over else "commit over nothing")
        if self.full:
            raise MtpError(ResponseCode.STORE_FULL)

    def discard(self) -> None:
        self.calls.append("discard")


@pytest.mark.parametrize(
    "steps",
    [
        [Step.REQUEST, Step.REPLY, Step.ANSWERED],
        [Step.REQUEST, Step.HAS_DATA, Step.ANSWERED],
        [Step.REQUEST, Step.WANTS_DATA, Step.DATA_COMPLETE, Step.ANSWERED],
        [Step.REQUEST, Step.WANTS_DATA, Step.ABANDON],
        [Step.REQUEST, Step.HAS_DATA, Step.ABANDON],
        [Step.ABANDON],
    ],
)
def test_every_way_through_a_transaction_ends_idle(steps: list[Step]) -> None:
    session = Session()
    for step in steps:
        session.advance(step)
    assert session.phase is Phase.IDLE


def test_what_the_table_does_not_hold_is_refused() -> None:
    for phase, step in itertools.product(Phase, Step):
        session = Session()
        session.phase = phase
        if (phase, step) not in TRANSITIONS:
            with pytest.raises(OutOfOrderError):
                session.advance(step)
            assert session.phase is phase


def test_every_phase_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS.values()) == set(Phase)
    assert {phase for phase, _ in TRANSITIONS} == set(Phase)


@pytest.mark.parametrize(
    ("announced", "received", "whole"),
    [
        (5, 5, True),
        (5, 4, False),
        (5, 6, False),
        (5, 0, False),
        (None, 0, True),
        (None, 1 << 40, True),
        (0, 0, True),
        (0, 1 << 32, True),
        (0, 5, True),
        (5, (1 << 32) + 5, True),
        (1 << 33, 1 << 32, False),
        (1 << 33, 1 << 33, True),
    ],
)
def test_what_may_be_all_of_an_announced_object(
    announced: int | None, received: int, whole: bool
) -> None:
    assert AnnouncedUpload(FakeUpload(), announced).matches(received) is whole


@pytest.mark.parametrize(
    ("announced", "replaces", "end"),
    [
        (0, False, "commit over nothing"),
        (0, True, "discard"),
        (5, False, "discard"),
        (None, False, "discard"),
    ],
)
def test_an_announcement_without_content(announced: int | None, replaces: bool, end: str) -> None:
    session, upload = Session(), FakeUpload(replaces=replaces)
    session.open(1)
    session.announce(AnnouncedUpload(upload, announced))
    session.close()
    assert upload.calls == [end]


def test_an_announcement_that_cannot_be_kept_is_discarded() -> None:
    session, upload = Session(), FakeUpload(full=True)
    session.announce(AnnouncedUpload(upload, 0))
    session.close()
    assert upload.calls == ["commit over nothing", "discard"]


def test_a_new_announcement_ends_the_one_before() -> None:
    session, first, second = Session(), FakeUpload(), FakeUpload()
    session.announce(AnnouncedUpload(first, 5))
    session.announce(AnnouncedUpload(second, 5))
    assert (first.calls, second.calls) == (["discard"], [])
    assert session.take_upload().upload is second
    with pytest.raises(MtpError) as refused:
        session.take_upload()
    assert refused.value.code is ResponseCode.NO_VALID_OBJECT_INFO


def test_opening_twice_names_the_open_session() -> None:
    session = Session()
    session.open(7)
    with pytest.raises(MtpError) as refused:
        session.open(8)
    assert refused.value.code is ResponseCode.SESSION_ALREADY_OPEN
    assert refused.value.parameters == (7,)
