# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on in a thread of its own for as long as somebody wants it."""

import threading
from abc import ABC, abstractmethod
from typing import Self


class Background(ABC):
    """Works while it is entered. `_work` ends soon after `_over` is set."""

    def __init__(self, name: str) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @abstractmethod
    def _work(self) -> None:
        """Do what there is to do."""
