# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that somebody has typed, until they are to be set: no page has them in it."""

import secrets
import threading
from collections.abc import Mapping

#: Changes that are looked at and not made; the oldest go.
_MOST = 8


class Kept:
    """Values in memory, each under a word that is known to one page alone, and good for once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Mapping[str, str]] = {}

    def put(self, values: Mapping[str, str]) -> str:
        """Keep values; the word for them."""
        word = secrets.token_urlsafe(16)
        with self._lock:
            self._values = dict([*self._values.items(), (word, values)][-_MOST:])
        return word

    def take(self, word: str) -> Mapping[str, str] | None:
        """Give values, which are not kept any longer; None where they are not known any more."""
        with self._lock:
            return self._values.pop(word, None)
