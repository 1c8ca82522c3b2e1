# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at one card after another as a start does, on the host, which takes a fraction of a second.

e2fsck puts the journal into force, debugfs takes the files out, and a responder serves them.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.fakes.memory_client import connect_memory
from tests.power import looking
from tests.power.file_system import CARD_SIZE, check
from tests.vm.image import find_program


class Judge:
    """Looks at the card that lies at `card`, in a folder of its own, and changes it."""

    def __init__(self, folder: Path) -> None:
        self.card = folder / "judged"
        self._tree = folder / "tree"
        with self.card.open("wb") as file:
            file.truncate(CARD_SIZE)

    def look(self, edited: str | None) -> dict[str, Any]:
        """Say what is on it after a start; of the file named `edited` all that is in it."""
        wrong = check(self.card)
        if wrong:
            return {"unusable": wrong[0]}
        shutil.rmtree(self._tree, ignore_errors=True)
        self._tree.mkdir()
        self._unpack()
        kept = self._tree / "kept"
        if not (kept / "srv/share").is_dir():
            return {"unusable": "there is no share"}
        return look_below(kept, edited)

    def _unpack(self) -> None:
        debugfs = [find_program("debugfs"), "-R", f"rdump /kept {self._tree}", str(self.card)]
        subprocess.run(debugfs, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def look_below(below: Path, edited: str | None) -> dict[str, Any]:
    """Say what lies below a folder, and what a PC sees of the share there; see `looking.look`."""
    with connect_memory(below / looking.SHARE.relative_to("/")) as client:
        seen = looking.seen(client.call)
    return looking.look(edited, below) | {"seen": seen}
