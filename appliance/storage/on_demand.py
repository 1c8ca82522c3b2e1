# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the store that are loaded when somebody asks for them: the start is not to wait."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from appliance.mtp.transaction import Look
from appliance.storage.lookup import Lookup
from appliance.storage.source import FileContent

if TYPE_CHECKING:
    from appliance.storage.deletion import Deletion
    from appliance.storage.editing import Editing
    from appliance.storage.references import References
    from appliance.storage.relocation import Relocation
    from appliance.storage.renaming import Renaming
    from appliance.storage.restoring import Restoring
    from appliance.storage.thumbnails import Thumbnails

Part = TypeVar("Part")


class OnDemand:
    """What changes, moves and removes objects, what they refer to, thumbnails, and the way back.

    For several threads; of each part there is one.
    """

    def __init__(
        self,
        lookup: Lookup,
        lock: AbstractContextManager[object],
        open_file: Callable[[int], FileContent],
    ) -> None:
        self._lookup = lookup
        self._lock = lock
        self._open_file = open_file
        self._parts: dict[object, Any] = {}

    def _made(self, make: Callable[..., Part], *given: object) -> Part:
        """Give a part, which is made by whoever asks first."""
        with self._lock:
            if make not in self._parts:
                self._parts[make] = make(*(given or (self._lookup, self._lock)))
            part: Part = self._parts[make]
            return part

    @property
    def relocation(self) -> "Relocation":
        """Moving and copying."""
        from appliance.storage.relocation import Relocation  # noqa: PLC0415

        return self._made(Relocation, self._lookup, self._lock, self.editing)

    @property
    def renaming(self) -> "Renaming":
        """Giving other names."""
        from appliance.storage.renaming import Renaming  # noqa: PLC0415

        return self._made(Renaming)

    @property
    def editing(self) -> "Editing":
        """Changing what is there."""
        from appliance.storage.editing import Editing  # noqa: PLC0415

        return self._made(Editing)

    @property
    def deletion(self) -> "Deletion":
        """Deleting, into the trash or for good."""
        from appliance.storage.deletion import Deletion  # noqa: PLC0415

        return self._made(Deletion)

    def format(self, storage_id: int, look: Look) -> None:
        """Delete all that is shown in a storage."""
        from appliance.storage import formatting  # noqa: PLC0415

        formatting.empty(self._lookup, self._lock, self.deletion, storage_id, look)

    @property
    def restoring(self) -> "Restoring":
        """What is in the trash, for a person."""
        from appliance.storage.restoring import Restoring  # noqa: PLC0415

        return self._made(Restoring)

    @property
    def references(self) -> "References":
        """What objects refer to."""
        from appliance.storage.references import References  # noqa: PLC0415

        return self._made(References)

    @property
    def makes_thumbnails(self) -> bool:
        """Whether there is what makes thumbnails."""
        from appliance.storage import thumbnails  # noqa: PLC0415

        return thumbnails.is_possible()

    @property
    def thumbnails(self) -> "Thumbnails":
        """Small images of files."""
        from appliance.storage.thumbnails import Thumbnails  # noqa: PLC0415

        return self._made(Thumbnails, self._open_file)

    def close(self) -> None:
        """Keep what is to be kept, and end what runs."""
        for part in list(self._parts.values()):
            if hasattr(part, "close"):
                part.close()
