# SPDX-License-Identifier: GPL-3.0-or-later
"""The page where something behind it is slow, full or refuses."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.fakes.ptpip_client import PATIENCE
from tests.web.appliance import FakeAppliance, Visitor, visitor

WAIT = 4 * PATIENCE


@dataclass
class Held:
    """A deed: when it is asked for, and when it is over."""

    begun: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def held(fake: FakeAppliance, verb: str) -> Iterator[Held]:
    """Let a verb take as long as this."""
    deed, go = Held(), threading.Event()

    def answer(**_: object) -> int:
        deed.begun.set()
        go.wait(WAIT)
        deed.over.set()
        return 0

    fake.answers[verb] = answer
    yield deed
    go.set()


def test_a_trash_that_is_emptied_for_minutes_holds_up_no_other_page(
    owner: Visitor, fake: FakeAppliance
) -> None:
    with held(fake, "trash empty") as deed:
        emptying = threading.Thread(target=owner.post, args=("/storage/trash/empty",))
        emptying.start()
        assert deed.begun.wait(WAIT)
        other = visitor(fake)
        other.log_in()
        shown = [other.get(path).status_code for path in ("/", "/live", "/storage")]
        ejected = other.post("/eject").status_code
        assert (shown, ejected, deed.over.is_set()) == ([200, 200, 200], 303, False)
    emptying.join(WAIT)


def test_home_is_shown_without_a_chart_that_does_not_come(
    owner: Visitor, fake: FakeAppliance
) -> None:
    with held(fake, "history") as deed:
        assert [owner.get(path).status_code for path in ("/", "/live")] == [200, 200]
        assert not deed.over.is_set()
