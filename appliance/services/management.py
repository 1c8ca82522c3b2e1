# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person at the device can do while it serves: the verbs of the control socket.

What lasts is written into the settings file too, where the service was started with one.
"""

import pwd
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError
from appliance.mtp.errors import MtpError
from appliance.mtp.responder import Responder
from appliance.services.control_socket import NOBODY_ELSE, Allowed, Verb
from appliance.settings.differences import differences
from appliance.settings.examples import shipped
from appliance.settings.schema import StorageSetting, declared
from appliance.settings.store import SettingsFile
from appliance.settings.values import parse
from appliance.storage import Catalogue, Folder
from appliance.storage.storages import StorageState

#: What the button beside the LEDs may ask for.
_FOR_LEDS = ("storage lock", "storage unlock", "reconnect", "settings reset")
_LEDS_USER = "mtp-appliance-leds"


def allowed_users() -> Allowed:
    """Say what other users of this machine may ask for."""
    try:
        return {pwd.getpwnam(_LEDS_USER).pw_uid: _FOR_LEDS}
    except KeyError:
        return NOBODY_ELSE


class Management:
    """Acts on the storages and the trash; results are what JSON can say."""

    def __init__(
        self, catalogue: Catalogue, responder: Responder, settings: SettingsFile | None
    ) -> None:
        self._catalogue = catalogue
        self._responder = responder
        self._settings = settings

    def verbs(self) -> Mapping[str, Verb]:
        """Give all verbs by name."""
        return {
            "storage list": self.storage_list,
            "storage add": self.storage_add,
            "storage remove": self.storage_remove,
            "storage read-only": self.storage_read_only,
            "storage eject": self.storage_eject,
            "storage load": self.storage_load,
            "storage lock": self._catalogue.lock,
            "storage unlock": self._catalogue.unlock,
            "settings get": self.settings_get,
            "settings set": self.settings_set,
            "settings reset": self.settings_reset,
            "trash list": self.trash_list,
            "trash restore": self.trash_restore,
            "trash empty": self.trash_empty,
        }

    # Storages

    def storage_list(self) -> list[dict[str, Any]]:
        """Describe all storages."""
        return [
            {
                "id": each.storage_id,
                "name": each.name,
                "path": str(each.path),
                "read_only": each.read_only,
                "state": each.state.value,
            }
            for each in self._catalogue.storages()
        ]

    def storage_add(self, path: str, name: str, read_only: bool, lasting: bool) -> str:
        """Serve one more folder; what a person is to know of it."""
        folder = Path(path)
        self._catalogue.add_storage(Folder(folder, name, read_only=read_only))
        if not lasting or self._settings is None:
            return self._until_restart()
        self._settings.add_storage(StorageSetting(folder, name, read_only=read_only))
        return ""

    def storage_remove(self, storage: str, lasting: bool) -> str:
        """Serve a folder no more."""
        found = self._find(storage)
        self._catalogue.remove_storage(found.storage_id)
        if not lasting or self._settings is None:
            return self._until_restart()
        self._settings.remove_storage(found.path)
        return ""

    def storage_read_only(self, storage: str, read_only: bool, lasting: bool) -> str:
        """Refuse changes, or allow them."""
        found = self._find(storage)
        self._catalogue.set_read_only(found.storage_id, read_only=read_only)
        if not lasting or self._settings is None:
            return self._until_restart()
        self._settings.set_read_only(found.path, read_only=read_only)
        return ""

    def storage_eject(self, storage: str) -> None:
        """Take a storage away until it is loaded, or until the next start."""
        self._catalogue.eject(self._find(storage).storage_id)

    def storage_load(self, storage: str) -> None:
        """Bring a storage back."""
        self._catalogue.load(self._find(storage).storage_id)

    def _until_restart(self) -> str:
        return "until the next start"

    def _find(self, word: str) -> StorageState:
        """Find a storage by its name, its folder, or its id in hexadecimal digits."""
        for each in self._catalogue.storages():
            if word in (each.name, str(each.path), f"{each.storage_id:X}"):
                return each
        names = ", ".join(each.name for each in self._catalogue.storages()) or "none"
        raise ApplianceError(f"there is no storage {word}", hint=f"there are: {names}")

    # The settings

    def settings_get(self) -> dict[str, Any]:
        """Say all settings but the secrets."""
        settings = self._require_settings().read().settings
        return {
            key: getattr(settings, item.name)
            for key, item, setting in declared()
            if not setting.secret
        }

    def settings_set(self, values: Mapping[str, str]) -> list[str]:
        """Set values, given as text; what is different now. They take effect by themselves."""
        file = self._require_settings()
        wanted = {key: parse(key, text) for key, text in values.items()}
        before = file.read().settings
        return [str(each) for each in differences(before, file.set(wanted))]

    def settings_reset(self) -> list[str]:
        """Return to the settings of a new appliance; no file in a storage is touched."""
        file = self._require_settings()
        before = file.read().settings
        return [str(each) for each in differences(before, file.replace(shipped()))]

    def _require_settings(self) -> SettingsFile:
        if self._settings is None:
            hint = "start it with one: mtp-appliance serve --settings FILE"
            raise ApplianceError("this appliance has no settings file", hint=hint)
        return self._settings

    # The trash

    def trash_list(self) -> list[dict[str, Any]]:
        """Describe all that is in the trash, the oldest of each storage first."""
        names = {each.storage_id: each.name for each in self._catalogue.storages()}
        return [
            asdict(each) | {"storage": names[each.storage_id]}
            for each in self._catalogue.trash_list()
        ]

    def trash_restore(self, name: str, storage: str) -> str:
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

    def trash_empty(self, name: str, storage: str) -> int:
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
        return [self._find(word)] if word else self._catalogue.storages()
