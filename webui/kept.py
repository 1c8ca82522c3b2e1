# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that somebody has typed, until they are to be set: no page has them in it."""

import secrets
import threading
from collections.abc import Mapping

#: The field of a form that has the word for them.
FIELD = "kept"
#: Changes that are looked at and not made; the oldest go.
_MOST = 8


class Kept:
    """Values in memory, each under a word that is known to one page alone, and good for once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Mapping[str, str]] = {}

    def fields(self, values: Mapping[str, str]) -> dict[str, str]:
        """Keep values, if there are any; the field of a form that stands for them."""
        return {FIELD: self.put(values)} if values else {}

    def put(self, values: Mapping[str, str]) -> str:
        """Keep values; the word for them."""
        word = secrets.token_urlsafe(16)
        with self._lock:
            self._values = dict([*self._values.items(), (word, values)][-_MOST:])
        return word

    def given(self, form: Mapping[str, str]) -> Mapping[str, str] | None:
        """Give what a form's field stands for; None where that is not known any more."""
        return self.take(form[FIELD]) if FIELD in form else {}

    def take(self, word: str) -> Mapping[str, str] | None:
        """Give values, which are not kept any longer; None where they are not known any more."""
        with self._lock:
            return self._values.pop(word, None)
