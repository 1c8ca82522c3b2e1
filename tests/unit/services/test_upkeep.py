# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done now and then."""

import threading
from pathlib import Path

from appliance.services.upkeep import Upkeep
from appliance.storage import Catalogue, Folder


class Trash(Catalogue):
    """Counts how often it is looked through."""

    def __init__(self, folder: Path) -> None:
        super().__init__([Folder(folder, "Card")])
        self.looks = 0
        self.often = threading.Event()

    def trash_purge(self) -> int:
        self.looks += 1
        if self.looks == 3:
            self.often.set()
        return 1


def test_the_trash_is_looked_through_again_and_again(tmp_path: Path) -> None:
    with Trash(tmp_path) as trash:
        with Upkeep(trash, first=0.01, every=0.01):
            assert trash.often.wait(10)
        looks = trash.looks
        assert not any(thread.name == "upkeep" for thread in threading.enumerate())
        assert trash.looks == looks


def test_it_ends_at_once(tmp_path: Path) -> None:
    with Trash(tmp_path) as trash:
        with Upkeep(trash):
            pass
        assert trash.looks == 0
