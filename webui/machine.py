# SPDX-License-Identifier: GPL-3.0-or-later
"""The appliance as the page sees it: its status, its settings, and whom to ask for what.

Files are read again only where they look different, for a page that is open asks every second.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from flask import current_app

from appliance import status as contract
from appliance.control import LONG, ask
from appliance.errors import ApplianceError
from appliance.settings.files import looks_of, read_regular
from appliance.settings.schema import Settings
from appliance.settings.secret_files import HIDDEN
from appliance.settings.store import Reading, SettingsFile
from appliance.status import Status, Warning
from webui.config import Config

_EXTENSION = "machine"
#: Seconds that the status is waited for, which is told some times a second at most.
PATIENCE = 2.0
_PAUSE = 0.1
_LINE = 300
T = TypeVar("T")


class _Kept(Generic[T]):
    """What was read from files, until they look different; what does not last is read anew."""

    def __init__(
        self,
        look: Callable[[], object],
        read: Callable[[], T],
        lasts: Callable[[T], bool] = lambda _: True,
    ) -> None:
        self._look = look
        self._read = read
        self._lasts = lasts
        self._lock = threading.Lock()
        self._seen: object = self
        self._value: T

    def get(self) -> T:
        with self._lock:
            looks = self._look()
            if looks != self._seen:
                self._value = self._read()
                self._seen = looks if self._lasts(self._value) else self
            return self._value


class Machine:
    """One appliance."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._file = SettingsFile(config.settings, config.state)
        self._settings = _Kept(
            self._file.looks, self._file.read, lambda found: found.settings.web_password != HIDDEN
        )
        self._status = _Kept(
            lambda: looks_of(config.status), lambda: contract.decode(_load(config.status))
        )

    @property
    def reading(self) -> Reading:
        """The settings, with what is wrong with them."""
        return self._settings.get()

    @property
    def settings(self) -> Settings:
        """The settings as the page goes by them."""
        return self.reading.settings

    @property
    def status(self) -> Status | None:
        """What the appliance is doing; None where it does not run."""
        if not contract.is_kept(self.config.status):
            return None
        try:
            return self._status.get()
        except (OSError, ValueError):
            return None

    @property
    def failures(self) -> tuple[Warning, ...]:
        """What has failed, as its unit has left it: where nothing serves, nobody else tells it."""
        folder = self.config.failures
        try:
            paths = sorted(folder.iterdir()) if folder else []
        except OSError:
            return ()
        found = [_failure(each) for each in paths if each.name[:1] != "."]
        return tuple(each for each in found if each is not None)

    def wait_for(self, shown: Callable[[Status], bool]) -> None:
        """Wait a moment until the status shows what was done, so that the next page does too."""
        deadline = time.monotonic() + PATIENCE
        while (status := self.status) is not None and not shown(status):
            if time.monotonic() >= deadline:
                return
            time.sleep(_PAUSE)

    def looks(self) -> object:
        """Tell one state of what is shown from another, cheaply."""
        kept = contract.is_kept(self.config.status)
        failures = self.config.failures and looks_of(self.config.failures)
        return looks_of(self.config.status), self._file.looks(), kept, failures

    @property
    def has_broken_settings(self) -> bool:
        """Whether the settings file is not what counts, so that any that is good mends it."""
        return bool(self.reading.findings.errors)

    def set_secrets(self, values: Mapping[str, str]) -> None:
        """Set secrets, of which the responder is told nothing. Raises ApplianceError."""
        if self.config.helper is None:
            self._file.set_secrets(values)
            return
        for key, value in values.items():
            self.ask_helper("secret set", key=key, value=value)

    def ask(self, verb: str, patience: float = LONG, /, **arguments: Any) -> Any:
        """Ask the responder, which has `patience` (seconds) to answer. Raises ApplianceError."""
        return ask(self.config.control, verb, patience, **arguments)

    @property
    def has_helper(self) -> bool:
        """Whether there is somebody to ask for what only root may do."""
        return self.config.helper is not None

    def ask_helper(self, verb: str, /, **arguments: Any) -> Any:
        """Ask root's helper. Raises ApplianceError."""
        if self.config.helper is None:
            raise ApplianceError(
                "this machine is not looked after from here", hint="do it as root, by its own means"
            )
        return ask(self.config.helper, verb, **arguments)


def _failure(path: Path) -> Warning | None:
    """Read a line that a unit has left: why it ended; or of the card, with what to do.

    None: it has gone meanwhile, for the unit is back.
    """
    try:
        line = _first_line(path)
    except FileNotFoundError:
        return None
    except OSError:
        line = ""
    if path.name.startswith("card-"):
        text, _, hint = line.partition(" | ")
        return Warning(path.name, text, hint)
    text = f"{path.name} has failed: {line}" if line else f"{path.name} has failed"
    return Warning("unit-failed", text)


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(_LINE).decode(errors="replace").strip()


def _load(path: Path) -> bytes:
    return read_regular(path, contract.MAX_SIZE, os.O_NOFOLLOW)


def install(app: Any, config: Config) -> None:
    """Give an application its appliance."""
    app.extensions[_EXTENSION] = Machine(config)


def machine() -> Machine:
    """Get the appliance of the application that answers."""
    found: Machine = current_app.extensions[_EXTENSION]
    return found
