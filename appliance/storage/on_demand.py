# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the store that many never ask for: they are brought in when somebody does."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from appliance.storage.lookup import Lookup
from appliance.storage.source import FileContent

if TYPE_CHECKING:
    from appliance.storage.references import References
    from appliance.storage.thumbnails import Thumbnails


class OnDemand:
    """References and thumbnails; for several threads."""

    def __init__(
        self,
        lookup: Lookup,
        lock: AbstractContextManager[object],
        open_file: Callable[[int], FileContent],
    ) -> None:
        self._lookup = lookup
        self._lock = lock
        self._open_file = open_file
        self._references: References | None = None
        self._thumbnails: Thumbnails | None = None

    @property
    def references(self) -> "References":
        """What objects refer to."""
        from appliance.storage.references import References  # noqa: PLC0415

        with self._lock:
            if self._references is None:
                self._references = References(self._lookup, self._lock)
            return self._references

    @property
    def makes_thumbnails(self) -> bool:
        """Whether there is what makes thumbnails."""
        from appliance.storage import thumbnails  # noqa: PLC0415

        return thumbnails.is_possible()

    @property
    def thumbnails(self) -> "Thumbnails":
        """Small images of files."""
        from appliance.storage.thumbnails import Thumbnails  # noqa: PLC0415

        with self._lock:
            if self._thumbnails is None:
                self._thumbnails = Thumbnails(self._open_file)
            return self._thumbnails

    def close(self) -> None:
        """Keep what is to be kept, and end what runs."""
        if self._references is not None:
            self._references.close()
        if self._thumbnails is not None:
            self._thumbnails.close()
