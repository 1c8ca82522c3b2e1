# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do with the storages while they are served, and look at in them.

What lasts is written into the settings file too, where the service was started with one: before it
is done, so that what a full card does not keep is not done either.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError
from appliance.mtp.errors import MtpError
from appliance.services.control_socket import Verb
from appliance.settings.schema import StorageSetting
from appliance.settings.store import SettingsFile
from appliance.storage import Catalogue, Folder
from appliance.storage.storages import State, StorageState


class StorageVerbs:
    """Acts on the storages; results are what JSON can say."""

    def __init__(self, catalogue: Catalogue, settings: SettingsFile | None) -> None:
        self._catalogue = catalogue
        self._settings = settings

    def verbs(self) -> Mapping[str, Verb]:
        """Give the verbs by name."""
        return {
            "storage list": self.listed,
            "storage add": self.add,
            "storage remove": self.remove,
            "storage rename": self.rename,
            "storage order": self.order,
            "storage read-only": self.read_only,
            "storage browse": self.browse,
            "storage eject": self.eject,
            "storage load": self.load,
            "storage lock": self._catalogue.lock,
            "storage unlock": self.unlock,
        }

    def listed(self) -> list[dict[str, Any]]:
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

    def add(self, path: str, name: str, read_only: bool = False, lasting: bool = True) -> str:
        """Serve one more folder; what a person is to know of it."""
        folder = Path(path)
        if not folder.is_absolute() or "\0" in path:
            raise ApplianceError(f"{path!a} is no folder's whole path", hint="it begins with /")
        added = self._catalogue.add_storage(Folder(folder, name, read_only=read_only))
        if not lasting or self._settings is None:
            return _UNTIL_RESTART
        try:
            self._settings.add_storage(StorageSetting(folder, name, read_only=read_only))
        except ApplianceError:
            self._catalogue.remove_storage(added)  # who is told that it failed must not serve it
            raise
        return ""

    def remove(self, storage: str, lasting: bool = True) -> str:
        """Serve a folder no more."""
        found = find(self._catalogue, storage)
        return self._do(
            lambda: self._catalogue.remove_storage(found.storage_id),
            lambda file: file.remove_storage(found.path),
            lasting=lasting,
        )

    def rename(self, storage: str, name: str) -> str:
        """Call a storage something else."""
        found = find(self._catalogue, storage)
        return self._do(
            lambda: self._catalogue.rename_storage(found.storage_id, name),
            lambda file: file.set_in_storage(found.path, "name", name),
        )

    def order(self, names: Sequence[str]) -> str:
        """Put the storages in this order."""
        found = [find(self._catalogue, name) for name in names]
        return self._do(
            lambda: self._catalogue.order_storages([each.storage_id for each in found]),
            lambda file: file.order_storages([each.path for each in found]),
        )

    def read_only(self, storage: str, read_only: bool, lasting: bool = True) -> str:
        """Refuse changes, or allow them."""
        found = find(self._catalogue, storage)
        return self._do(
            lambda: self._catalogue.set_read_only(found.storage_id, read_only=read_only),
            lambda file: file.set_in_storage(found.path, "read_only", read_only),
            lasting=lasting,
        )

    def browse(self, storage: str, path: str = "") -> list[dict[str, Any]]:
        """List a folder of a storage, as a PC sees it."""
        found = find(self._catalogue, storage)
        names = [each for each in path.split("/") if each]
        try:
            listed = self._catalogue.browse(found.storage_id, names)
        except MtpError as error:
            hint = "it may have been renamed, or its disk taken out"
            raise ApplianceError(f"{path or storage} cannot be listed", hint=hint) from error
        return [
            {"name": each.name, "folder": each.is_folder}
            | {"size": each.size, "modified": each.modified}
            for each in listed
        ]

    def eject(self, storage: str) -> None:
        """Take a storage away until it is loaded, or until the next start."""
        self._catalogue.eject(find(self._catalogue, storage).storage_id)

    def unlock(self) -> None:
        """Bring the storages back; what was ejected by itself too, where else nothing is seen."""
        self._catalogue.unlock()
        found = self._catalogue.storages()
        if any(each.state is not State.EJECTED for each in found):
            return
        failures = []
        for each in found:
            try:
                self._catalogue.load(each.storage_id)
            except ApplianceError as error:  # its disk is out; the others come back
                failures.append(error)
        if failures and len(failures) == len(found):
            raise failures[0]

    def load(self, storage: str) -> None:
        """Bring a storage back."""
        self._catalogue.load(find(self._catalogue, storage).storage_id)

    def _do(
        self,
        act: Callable[[], None],
        write: Callable[[SettingsFile], None],
        *,
        lasting: bool = True,
    ) -> str:
        """Do something, after it was written down; what is refused then is not there either."""
        if not lasting or self._settings is None:
            act()
            return _UNTIL_RESTART
        before = self._settings.text()
        write(self._settings)
        try:
            act()
        except ApplianceError:
            self._settings.replace(before)
            raise
        return ""


_UNTIL_RESTART = "until the next start"


def find(catalogue: Catalogue, word: str) -> StorageState:
    """Find a storage by its name, its folder, or its id in hexadecimal digits."""
    for each in catalogue.storages():
        if word in (each.name, str(each.path), f"{each.storage_id:X}"):
            return each
    names = ", ".join(each.name for each in catalogue.storages()) or "none"
    raise ApplianceError(f"there is no storage {word}", hint=f"there are: {names}")
