# SPDX-License-Identifier: GPL-3.0-or-later
"""What an initiator has set about the device, in a small JSON file.

    {"friendly_name": "Kitchen", "synchronization_partner": "Anna's PC"}

Keys that this version does not know are kept. A file that cannot be read is put aside.
"""

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.settings.files import in_words, read_regular, write_atomically

log = logging.getLogger(__name__)

FILE_NAME = "state.json"
_FRIENDLY_NAME = "friendly_name"
_PARTNER = "synchronization_partner"
#: A file of this program is never longer.
_MAX_SIZE = 1 << 16
#: UTF-16 units of a string on the wire.
_MAX_UNITS = 254


def state_directory() -> Path:
    """Find where state is kept: systemd's directory for it, or the user's."""
    for_service = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if for_service:
        return Path(for_service)
    for_user = os.environ.get("XDG_STATE_HOME", "")
    base = Path(for_user) if for_user.startswith("/") else Path("~/.local/state").expanduser()
    return base / "mtp-appliance"


class State:
    """The device's state (`DeviceState` of `appliance.mtp.ports`), for all connections."""

    def __init__(self, directory: Path, *, default_name: str = "") -> None:
        self._path = directory / FILE_NAME
        self._default_name = default_name
        self._lock = threading.Lock()
        self._values = load(self._path)

    @property
    def friendly_name(self) -> str:
        """The name that a person gave the device, or the default."""
        name = self._values.get(_FRIENDLY_NAME)
        return name if isinstance(name, str) and is_name(name) else self._default_name

    def set_default_name(self, name: str) -> None:
        """Say what holds where no person has given it a name; "" for nothing."""
        self._default_name = name

    def set_friendly_name(self, name: str | None) -> None:
        """Keep a name; None returns to the default. AccessDenied where it cannot be kept."""
        self._keep(_FRIENDLY_NAME, name)

    @property
    def synchronization_partner(self) -> str:
        """Who synchronizes with the device, in its own words; "" for nobody."""
        partner = self._values.get(_PARTNER)
        return partner if isinstance(partner, str) and is_name(partner) else ""

    def set_synchronization_partner(self, partner: str | None) -> None:
        """Keep a partner; None or "" is nobody. AccessDenied where it cannot be kept."""
        self._keep(_PARTNER, partner or None)

    def _keep(self, key: str, text: str | None) -> None:
        with self._lock:
            values = {each: value for each, value in self._values.items() if each != key}
            if text is not None:
                values[key] = text
            try:
                write_atomically(self._path, _encode(values))
            except OSError as error:
                log.warning("cannot write %s: %s", self._path, error.strerror)
                raise MtpError(ResponseCode.ACCESS_DENIED, "the state cannot be kept") from error
            self._values = values


def is_name(text: str) -> bool:
    """Whether a text can be a friendly name: not blank, all characters, and room in MTP for it."""
    try:
        units = len(text.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        return False
    return bool(text.strip()) and units <= _MAX_UNITS


def load(path: Path) -> dict[str, Any]:
    """Read a state file; empty where there is none, or none that can be read."""
    try:
        return _read(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("cannot read %s, starting without it: %s", path, in_words(error))
        _put_aside(path)
        return {}


def _read(path: Path) -> dict[str, Any]:
    values = json.loads(read_regular(path, _MAX_SIZE))
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")
    json.dumps(values, ensure_ascii=False).encode()  # raises for what is no Unicode
    return values


def _encode(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode()


def _put_aside(path: Path) -> None:
    try:
        path.replace(path.with_name(f"{path.name}.damaged"))
    except OSError as error:
        log.debug("%s stays where it is: %s", path, error.strerror)
