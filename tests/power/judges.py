# SPDX-License-Identifier: GPL-3.0-or-later
"""Who looks at a card after a cut, of many: the host by itself, or a guest that stays up.

The host lets e2fsck put the journal into force and takes the files out with debugfs, which costs
a fraction of a second; a kernel's mount takes a guest, and is the only way into exFAT.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.fakes.memory_client import connect_memory
from tests.power import conversation, looking
from tests.power.file_systems import CARD_SIZE, FILE_SYSTEMS, FileSystem, check
from tests.vm import image
from tests.vm.image import find_program
from tests.vm.machine import Guest, Kind


class Judge(Protocol):
    """Looks at the card that lies at `card`, which it may change."""

    @property
    def card(self) -> Path: ...

    def look(self, edited: str | None) -> dict[str, Any]:
        """Say what is on it after a start; of the file named `edited` all that is in it."""
        ...


class HostJudge:
    """Takes an ext4 apart, and serves what was on it in memory."""

    def __init__(self, folder: Path) -> None:
        self.card = _empty_card(folder)
        self._tree = folder / "tree"

    def look(self, edited: str | None) -> dict[str, Any]:
        wrong = check(FILE_SYSTEMS["ext4"], self.card)
        if wrong:
            return {"unusable": wrong[0]}
        shutil.rmtree(self._tree, ignore_errors=True)
        self._tree.mkdir()
        self._unpack()
        kept = self._tree / "kept"
        if not (kept / "srv/share").is_dir():
            return {"unusable": "there is no share"}
        with connect_memory(kept / "srv/share") as client:
            seen = looking.seen(client.call)
        return looking.look(edited, kept) | {"seen": seen}

    def _unpack(self) -> None:
        debugfs = [find_program("debugfs"), "-R", f"rdump /kept {self._tree}", str(self.card)]
        subprocess.run(debugfs, stdin=subprocess.DEVNULL, capture_output=True, check=True)


class GuestJudge:
    """A guest mounts one card after the other."""

    def __init__(self, kind: FileSystem, guest: Guest, card: Path) -> None:
        self.card = card
        self._kind = kind
        self._guest = guest
        self._number = 0

    def look(self, edited: str | None) -> dict[str, Any]:
        self._number += 1
        copy = shutil.copyfile(self.card, self.card.with_name("checked"))
        conversation.ask(self._guest, "asked.json", {"number": self._number, "edited": edited})
        wrong = check(self._kind, copy)
        return conversation.found(self._guest, self._number) | {"check": wrong}


@contextmanager
def guest_judge(folder: Path, file_system: str) -> Iterator[Judge]:
    """Boot a guest that looks at cards, until the block ends."""
    card = _empty_card(folder)
    guest = Guest(image.get(), Kind.PLAIN)
    guest.devices = ("-drive", f"file={card},if=virtio,format=raw,cache=writeback")
    guest.start("python3 -m tests.power.judge")
    try:
        yield GuestJudge(FILE_SYSTEMS[file_system], guest, card)
    finally:
        guest.stop()


def _empty_card(folder: Path) -> Path:
    card = folder / "judged"
    with card.open("wb") as file:
        file.truncate(CARD_SIZE)
    return card
