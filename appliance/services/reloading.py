# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings file, put into force: at the start, and again at each SIGHUP."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.log import NAMES, set_level
from appliance.mtp.responder import Responder
from appliance.services.notify import notify_reloading
from appliance.services.reporting import Reporter
from appliance.settings.schema import Effect, Settings, StorageSetting, declared
from appliance.settings.store import Reading, SettingsFile
from appliance.storage import Catalogue, Folder, TrashPolicy, WriteSafety
from appliance.storage.storages import StorageState

log = logging.getLogger(__name__)


def tell_findings(reading: Reading, path: Path) -> None:
    """Log what is wrong with a settings file, and what serves instead."""
    for warning in reading.findings.warnings:
        log.warning("SETTINGS %s: %s", path, warning)
    for error in reading.findings.errors:
        log.warning("SETTINGS %s: %s", path, error)
    if reading.findings.errors:
        serving = "what was understood last" if reading.from_good_copy else "the defaults"
        log.warning("SETTINGS %s is not used; %s", path, f"in force: {serving}")


def trash_policy(settings: Settings) -> TrashPolicy | None:
    """Say what is kept of what is deleted."""
    if not settings.trash_keep:
        return None
    return TrashPolicy(days=settings.trash_days, share=settings.trash_share / 100)


def folder_of(storage: StorageSetting) -> Folder:
    """Say what is to be served."""
    name = storage.name or storage.path.name or "Files"
    return Folder(storage.path, name, storage.read_only, storage.hidden_files)


def add_storages(catalogue: Catalogue, folders: Iterable[Folder]) -> list[ApplianceError]:
    """Serve folders; what cannot be served is told of, and no reason not to serve the rest."""
    errors = []
    for folder in folders:
        try:
            catalogue.add_storage(folder)
        except ApplianceError as error:
            log.warning("SETTINGS %s", error)
            errors.append(error)
    return errors


class Reloader:
    """Brings a running service to what its settings file says now. For any thread.

    `rename` is told what the settings call the device, where that is different.
    """

    def __init__(
        self,
        file: SettingsFile,
        settings: Settings,
        catalogue: Catalogue,
        responder: Responder,
        reporter: Reporter,
        *,
        rename: Callable[[str], None] = lambda name: None,
        verbosity: int = 0,
    ) -> None:
        self._rename = rename
        self._file = file
        self._settings = settings
        self._catalogue = catalogue
        self._responder = responder
        self._reporter = reporter
        self._verbosity = verbosity
        self._lock = threading.Lock()

    def reload(self) -> None:
        """Read the file; where it has errors, nothing changes but the log."""
        with self._lock, notify_reloading():
            reading = self._file.read()
            if reading.findings.errors:
                self._reporter.settings_read(reading)
                for error in reading.findings.errors:
                    log.warning("SETTINGS %s: %s; nothing changes", self._file.path, error)
                return
            tell_findings(reading, self._file.path)
            self._apply(reading.settings)
            self._reporter.settings_read(reading)
            self._settings = reading.settings
            log.info("RELOADED %s", self._file.path)

    def _apply(self, settings: Settings) -> None:
        set_level(self._verbosity + NAMES[settings.log_level])
        self._apply_storages(settings.storages)
        self._catalogue.set_trash(trash_policy(settings))
        self._catalogue.set_write_safety(WriteSafety(settings.write_safety))
        if settings.allow_format is not self._catalogue.may_format:
            self._catalogue.may_format = settings.allow_format
            self._responder.device_info_changed()
        if settings.name != self._settings.name:
            self._rename(settings.name)
        for name in _changed(self._settings, settings, Effect.RESTART):
            log.warning("SETTINGS %s takes effect at the next start", name)

    def _apply_storages(self, wanted: Iterable[StorageSetting]) -> None:
        """Remove what is not wanted, change what is, add what is missing."""
        by_path = {_real(each.path): each for each in wanted}
        order = list(by_path)
        for state in self._catalogue.storages():
            storage = by_path.get(_real(state.path))
            if storage is None or not self._serves(state, folder_of(storage)):
                self._catalogue.remove_storage(state.storage_id)
            else:
                del by_path[_real(state.path)]
                self._adjust(state, storage)
        missing = add_storages(self._catalogue, map(folder_of, by_path.values()))
        self._reporter.storages_failed(missing)
        self._order(order)

    def _order(self, wanted: Sequence[Path]) -> None:
        states = self._catalogue.storages()
        places = {path: place for place, path in enumerate(wanted)}
        states.sort(key=lambda each: places.get(_real(each.path), len(places)))
        self._catalogue.order_storages([each.storage_id for each in states])

    def _serves(self, state: StorageState, folder: Folder) -> bool:
        """Whether a storage has become what is wanted, without others in its place."""
        if state.hidden_files != folder.hidden_files:
            return False
        try:
            self._catalogue.rename_storage(state.storage_id, folder.name)
        except ApplianceError:  # as when two change names
            return False
        return True

    def _adjust(self, state: StorageState, storage: StorageSetting) -> None:
        self._catalogue.set_read_only(state.storage_id, read_only=storage.read_only)


def _real(path: Path) -> Path:
    """Follow links; `Path.resolve` fails where they lead in a ring."""
    return Path(os.path.realpath(path))


def _changed(before: Settings, after: Settings, effect: Effect) -> list[str]:
    return [
        key
        for key, item, setting in declared()
        if setting.effect is effect and getattr(before, item.name) != getattr(after, item.name)
    ]
