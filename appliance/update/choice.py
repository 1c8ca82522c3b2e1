# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version is to run from the next start on: a small file, for a shell script to read too.

    version=0.2.0-1f2e3d4c    directory of the version; - for the image's own
    image=0.1.0 1 123456      what the image says of itself: on another one the choice counts not
    state=trial               until it has been seen to run: `confirmed`
    starts=1                  of the trial, until now
    before=-                  where to go back to
    failed=0.1.9-0a1b2c3d     which version was taken back last, and why
    why=it was not ready within 120 s

`overlay/usr/lib/mtp-appliance/version` is the script: it chooses at a start, counts the starts of a
trial, and ends the trial well or badly. Whoever writes holds the lock beside the file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from appliance.settings.files import locked, write_atomically

FILE_NAME = "chosen"
#: The version that came with the image.
IMAGE = "-"
TRIAL, CONFIRMED = "trial", "confirmed"
_MAX_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice; without a file it is the image's own version."""

    version: str = IMAGE
    image: str = ""
    state: str = CONFIRMED
    starts: int = 0
    before: str = IMAGE
    failed: str = ""
    why: str = ""

    @property
    def is_on_trial(self) -> bool:
        """Whether the version has yet to be seen to run."""
        return self.state == TRIAL

    @property
    def last_good(self) -> str:
        """The version that has been seen to run."""
        return self.before if self.is_on_trial else self.version

    def on_trial(self, version: str, image: str) -> "Choice":
        """Choose a version that has yet to be seen to run."""
        return replace(
            self, version=version, image=image, state=TRIAL, starts=0, before=self.last_good
        )

    def confirmed(self) -> "Choice":
        """Choose the same version for good; what failed before is of no interest any more."""
        return Choice(self.version, self.image, before=self.before)

    def back(self, why: str) -> "Choice":
        """Choose the version before."""
        return Choice(self.before, self.image, failed=self.version, why=why)


def read(folder: Path, image: str) -> Choice:
    """Read the choice in a directory of versions; one that was made on another image is none."""
    try:
        with (folder / FILE_NAME).open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_SIZE)
    except OSError:
        return Choice(image=image)
    found = dict(line.partition("=")[::2] for line in text.splitlines())
    words = {each.name: found[each.name] for each in fields(Choice) if each.name in found}
    starts = words.pop("starts", "0")
    choice = Choice(**words, starts=int(starts) if starts.isdecimal() else 0)
    return choice if choice.image == image else Choice(image=image)


def write(folder: Path, choice: Choice) -> None:
    """Replace the choice, durably."""
    lines = [f"{key}={_line(value)}\n" for key, value in asdict(choice).items()]
    write_atomically(folder / FILE_NAME, "".join(lines).encode(), mode=0o644)


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Let nobody else change the choice until the block ends, the script neither."""
    with locked(folder / FILE_NAME):
        yield


def _line(value: object) -> str:
    return " ".join(str(value).split())
