# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do with what a PC has deleted."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from appliance.errors import ApplianceError
from appliance.mtp.errors import MtpError
from appliance.mtp.responder import Responder
from appliance.services.control_socket import Verb
from appliance.services.storage_verbs import find
from appliance.storage import Catalogue
from appliance.storage.storages import StorageState


class TrashVerbs:
    """Acts on the trash of all storages; results are what JSON can say."""

    def __init__(self, catalogue: Catalogue, responder: Responder) -> None:
        self._catalogue = catalogue
        self._responder = responder

    def verbs(self) -> Mapping[str, Verb]:
        """Give the verbs by name."""
        return {
            "trash list": self.listed,
            "trash restore": self.restore,
            "trash empty": self.empty,
        }

    def listed(self, most: int | None = None) -> list[dict[str, Any]]:
        """Describe all that is in the trash, the oldest of each storage first.

        With `most` only so many of the newest, whichever storage they are of.
        """
        names = {each.storage_id: each.name for each in self._catalogue.storages()}
        items = self._catalogue.trash_list()
        if most is not None:
            items = sorted(items, key=lambda each: each.deleted or 0.0)[-most:]
        return [asdict(each) | {"storage": names[each.storage_id]} for each in items]

    def restore(self, name: str, storage: str) -> str:
        """Put something back to where it lay; the name of the storage."""
        found = self._holder(name, storage)
        try:
            changes = self._catalogue.trash_restore(found.storage_id, name)
        except MtpError as error:
            raise ApplianceError(f"{name} cannot be put back: {error}") from None
        for change in changes:
            self._responder.changed(change)
        return found.name

    def empty(self, name: str, storage: str) -> int:
        """Delete for good one object, all of a storage, or all; how many objects went."""
        if name:
            return self._empty(self._holder(name, storage), name)
        if storage:
            return self._empty(find(self._catalogue, storage), None)
        return self._catalogue.trash_empty()

    def _empty(self, storage: StorageState, name: str | None) -> int:
        try:
            return self._catalogue.trash_empty(storage.storage_id, name)
        except MtpError as error:
            raise ApplianceError(f"{storage.name} cannot be emptied: {error}") from None

    def _holder(self, name: str, word: str) -> StorageState:
        """Find the one storage that has a name in its trash; `word` says which, if not empty."""
        asked = [find(self._catalogue, word)] if word else self._catalogue.storages()
        having = {each.storage_id for each in self._catalogue.trash_list() if each.name == name}
        found = [each for each in asked if each.storage_id in having]
        if not found:
            raise ApplianceError(
                f"{name} is not in the trash", hint="see what is: mtp-appliance trash list"
            )
        if len(found) > 1:
            places = ", ".join(each.name for each in found)
            raise ApplianceError(
                f"{name} is in the trash of {places}", hint="say of which: --storage NAME"
            )
        return found[0]
