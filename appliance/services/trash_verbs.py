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

    def listed(self) -> list[dict[str, Any]]:
        """Describe all that is in the trash, the oldest of each storage first."""
        names = {each.storage_id: each.name for each in self._catalogue.storages()}
        return [
            asdict(each) | {"storage": names[each.storage_id]}
            for each in self._catalogue.trash_list()
        ]

    def restore(self, name: str, storage: str) -> str:
        """Put something back to where it lay; the name of the storage."""
        for found in self._storages(storage):
            if not self._is_there(found, name):
                continue
            try:
                changes = self._catalogue.trash_restore(found.storage_id, name)
            except MtpError as error:
                raise ApplianceError(f"{name} cannot be put back: {error}") from None
            for change in changes:
                self._responder.changed(change)
            return found.name
        raise ApplianceError(
            f"{name} is not in the trash", hint="see what is: mtp-appliance trash list"
        )

    def empty(self, name: str, storage: str) -> int:
        """Delete for good one object, all of a storage, or all; how many objects went."""
        if not name and not storage:
            return self._catalogue.trash_empty()
        count = 0
        for found in self._storages(storage):
            if not name or self._is_there(found, name):
                count += self._empty(found, name or None)
        if name and not count:
            raise ApplianceError(
                f"{name} is not in the trash", hint="see what is: mtp-appliance trash list"
            )
        return count

    def _empty(self, storage: StorageState, name: str | None) -> int:
        try:
            return self._catalogue.trash_empty(storage.storage_id, name)
        except MtpError as error:
            raise ApplianceError(f"{storage.name} cannot be emptied: {error}") from None

    def _is_there(self, storage: StorageState, name: str) -> bool:
        return any(
            (each.storage_id, each.name) == (storage.storage_id, name)
            for each in self._catalogue.trash_list()
        )

    def _storages(self, word: str) -> list[StorageState]:
        return [find(self._catalogue, word)] if word else self._catalogue.storages()
