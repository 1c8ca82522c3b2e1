# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's side of a test run in the guest: boots it, and reads the reports as they come."""

import json
import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from tests.vm import image
from tests.vm.image import GuestError
from tests.vm.machine import Guest, Kind
from tests.vm.redirected import RedirectedGuest

Message = dict[str, Any]

_POLL = 0.05
_MAX_BOOTS = 3
#: Seconds for booting and collecting, before the first test.
_BOOT = 180.0


class Runs(Protocol):
    """What the bridge needs of a guest."""

    @property
    def folder(self) -> Any: ...

    def start(self, command: str) -> None: ...

    def running(self) -> bool: ...

    def last_words(self, lines: int = 40) -> str: ...

    def stop(self, *, keep: bool = False) -> None: ...


NewGuest = Callable[[], Runs]


def new_guest(kind: Kind) -> Runs:
    """Make a guest of a kind, and its image if need be."""
    if kind is Kind.REDIRECTED:
        return RedirectedGuest(image.get(), "-v")
    return Guest(image.get(), kind)


class Bridge:
    """Runs tests, by node id, in a guest; boots it again where one test brings it down."""

    def __init__(self, wanted: list[str], timeout: float, new_guest: NewGuest) -> None:
        self._wanted = wanted
        self._timeout = timeout
        self._new_guest = new_guest
        self._guest: Runs | None = None
        self._boots = 0
        self._position = 0
        self._inbox: dict[str, list[Message]] = {}
        self._problem = ""
        #: What a guest said that was dead before its first test began: the emulator's doing.
        self.stillborn = ""

    def begin(self) -> None:
        """Boot in the background, if that has not been done yet."""
        if self._boots == 0:
            self.start()

    def start(self) -> None:
        """Boot in the background."""
        self._boots += 1
        self._position = 0
        try:
            self._guest = self._new_guest()
            self._give_work(self._guest)
        except GuestError as error:
            self.stop()
            self._problem = str(error)

    def _give_work(self, guest: Runs) -> None:
        (guest.folder / "wanted.json").write_text(json.dumps(self._wanted))
        (guest.folder / "reports.jsonl").touch()
        files = sorted({each.partition("::")[0] for each in self._wanted})
        options = ("-p", "no:cacheprovider", "-q", "--continue-on-collection-errors")
        guest.start(shlex.join(["python3", "-m", "pytest", *options, *files]))

    def stop(self) -> None:
        """Switch the guest off."""
        if self._guest is not None:
            self._guest.stop(keep=bool(self._problem))
            self._guest = None

    def messages(self, nodeid: str) -> Iterator[Message]:
        """Give what is reported of one test, as it comes; ends when the test is over."""
        if self._guest is None and not self._problem:
            self.start()
        given = 0
        deadline = time.monotonic() + self._timeout + (_BOOT if not self._inbox else 0)
        while not self._problem:
            self._read()
            inbox = self._inbox.get(nodeid, [])
            for message in inbox[given:]:
                given += 1
                if message.get("finished"):
                    self._done(nodeid)
                    return
                yield message
            if time.monotonic() > deadline:
                self._fail(f"no result within {self._timeout:.0f} s")
            elif len(inbox) == given and not self._alive():
                self._read()
                if not self._position and not self.stillborn:
                    self._boot_again()
                elif len(self._inbox.get(nodeid, [])) == given:
                    self._fail("the guest ended before this test did")
            time.sleep(_POLL)
        yield {"failure": self._problem}
        self._recover(nodeid)

    def _boot_again(self) -> None:
        """Replace a guest that has begun with nothing; only once."""
        assert self._guest is not None
        self.stillborn = self._guest.last_words() or "it said nothing"
        self._guest.stop(keep=True)
        self.start()

    def _alive(self) -> bool:
        return self._guest is not None and self._guest.running()

    def _read(self) -> None:
        """Take the reports that have been written since."""
        if self._guest is None:
            return
        with (self._guest.folder / "reports.jsonl").open() as file:
            file.seek(self._position)
            for line in iter(file.readline, ""):
                if not line.endswith("\n"):
                    break
                self._position += len(line.encode())
                message = json.loads(line)
                self._inbox.setdefault(message["nodeid"], []).append(message)

    def _fail(self, why: str) -> None:
        words = self._guest.last_words() if self._guest is not None else ""
        self._problem = f"{why}\n{words}"

    def _done(self, nodeid: str) -> None:
        self._inbox[nodeid] = []
        self._wanted = [each for each in self._wanted if each != nodeid]

    def _recover(self, nodeid: str) -> None:
        """Get rid of the guest; the tests after this one get a new one, but not for ever."""
        self._done(nodeid)
        self._inbox.clear()
        if self._guest is None or self._boots >= _MAX_BOOTS:
            return
        self.stop()
        self._problem = ""
