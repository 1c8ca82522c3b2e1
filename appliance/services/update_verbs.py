# SPDX-License-Identifier: GPL-3.0-or-later
"""What root's helper does for the settings page about updates."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import appliance
from appliance import places
from appliance.errors import ApplianceError
from appliance.services import updating
from appliance.services.control_socket import Verb
from appliance.services.updating import HERE, Where
from appliance.settings.store import SettingsFile
from appliance.update.bundle import Bundle
from appliance.update.fitness import is_newer


class UpdateVerbs:
    """The verbs; bundles are taken from the page's uploads and the storages' roots alone."""

    def __init__(
        self,
        where: Where = HERE,
        settings: Path = places.SETTINGS,
        uploads: Path = places.UPLOADS,
    ) -> None:
        self._where = where
        self._settings = settings
        self._uploads = uploads

    def verbs(self) -> Mapping[str, Verb]:
        """Name the verbs."""
        return {
            "update status": self.status,
            "update find": self.find,
            "update check": self.check,
            "update install": self.install,
            "update roll back": self.roll_back,
            "update confirm": self.confirm,
        }

    def status(self) -> dict[str, Any]:
        """Say how things are."""
        return asdict(updating.status(self._where))

    def find(self) -> list[dict[str, Any]]:
        """Find bundles in the storages' roots."""
        return [asdict(each) for each in updating.find(storage_roots(self._settings))]

    def check(self, path: str) -> dict[str, Any]:
        """Say what is in a bundle."""
        return told(path, updating.check(self._allowed(path), self._where))

    def install(self, path: str, *, older: bool = False) -> dict[str, Any]:
        """Install a bundle; what is in it."""
        place = self._allowed(path)
        return told(path, updating.install(place, older=older is True, where=self._where))

    def roll_back(self) -> dict[str, Any]:
        """Go back to the version before."""
        return {"version": updating.roll_back(self._where)}

    def confirm(self) -> None:
        """End a trial well."""
        updating.confirm(self._where)

    def _allowed(self, text: str) -> Path:
        path = Path(text)
        folders = {self._uploads, *storage_roots(self._settings)}
        if "\0" in text or ".." in path.parts or path.parent not in folders:
            what = "an update is taken from a storage or an upload alone"
            raise ApplianceError(what, hint="put it into the share, not into a folder of it")
        return path


def verbs() -> Mapping[str, Verb]:
    """Name the verbs of the appliance."""
    return UpdateVerbs().verbs()


def storage_roots(settings: Path) -> list[Path]:
    """Name the folders that are served."""
    reading = SettingsFile(settings, places.STATE, keeps=False).read()
    return [each.path for each in reading.settings.storages]


def told(path: str, found: Bundle) -> dict[str, Any]:
    """Say what is in a bundle, for JSON; `older`: to install it asks for another word."""
    manifest = found.manifest
    return {
        "path": path,
        "version": manifest.version,
        "running": appliance.__version__,
        "older": not is_newer(manifest, appliance.__version__),
        "date": manifest.date,
        "notes": manifest.notes,
        "machines": list(manifest.machines),
        "boards": list(manifest.boards),
        "base": manifest.base,
        "size": len(found.payload),
        "key": str(found.key),
    }
