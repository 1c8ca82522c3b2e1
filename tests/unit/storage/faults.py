# SPDX-License-Identifier: GPL-3.0-or-later
"""A card that fails: the calls a store makes of the system are counted, and one of them, or all
from one on, end in an error.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from appliance.storage import syscalls
from tests.torture.calls import CALLS, OTHERS

#: What makes sure that something is on the disk.
SYNCS = ("fsync", "fdatasync", "sync_file_system")
#: What raises no error, and gives this where there is one.
_SILENT = {"access": False, "birth_time": None, "start_writing_out": None}
_readlink = os.readlink


class Faults:
    """Errors on demand; `count` is how many calls there were, `where` the one that failed first.

    `unsynced` are the files that a sync was about which failed, and none since that did not.
    """

    def __init__(self) -> None:
        self.count = 0
        self.where = ""
        self.unsynced: set[str] = set()
        self._first, self._number, self._stays = 0, 0, False

    def plan(self, first: int, number: int, *, stays: bool) -> None:
        """Let the call `first` end in the error `number`, and the later ones too where it stays."""
        self.count, self.where, self.unsynced = 0, "", set()
        self._first, self._number, self._stays = first, number, stays

    def _strikes(self, name: str) -> bool:
        self.count += 1
        strikes = self._first and (
            self.count == self._first or (self._stays and self.count > self._first)
        )
        self.where = self.where or (name if strikes else "")
        return bool(strikes)

    @contextmanager
    def at_work(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        """Count calls, and strike, inside the block."""
        with patch.context() as context:
            for name in CALLS:
                context.setattr(os, name, self._failing(name, getattr(os, name)))
            for name in OTHERS:
                wrap = self._renameat2 if name == "_renameat2" else self._failing
                context.setattr(syscalls, name, wrap(name, getattr(syscalls, name)))
            yield

    def _failing(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **more: Any) -> Any:
            strikes = self._strikes(name)
            if name in SYNCS:
                file = _readlink(f"/proc/self/fd/{words[0]}")
                (self.unsynced.add if strikes else self.unsynced.discard)(file)
            if strikes and name in _SILENT:
                return _SILENT[name]
            if strikes:
                raise OSError(self._number, os.strerror(self._number))
            return original(*words, **more)

        return call

    def _renameat2(self, name: str, original: Callable[..., int]) -> Callable[..., int]:
        def call(*words: Any, **more: Any) -> int:
            return self._number if self._strikes(name) else original(*words, **more)

        return call
