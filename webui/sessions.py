# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is logged in, kept in a file: the page's process ends when it is idle.

    {"HASH OF A TOKEN": ["MARK OF THE PASSWORD", "BOOT", LAST USE]}

A session ends when its person logs out, when the password changes, when many newer ones have
come, and when it has not been used for half a day. Time is counted from the boot, since the clock
of a small board jumps when somebody sets it; after a boot it is counted anew.
"""

import hashlib
import json
import logging
import secrets
import threading
from pathlib import Path

from appliance.settings.files import write_atomically
from webui.boot import boot, now

log = logging.getLogger(__name__)

_FILE_NAME = "sessions.json"
_MOST = 16
#: Seconds without use after which a session is over, and how exactly that is kept.
_IDLE, _EXACTLY = 12 * 3600.0, 300.0

_Entry = tuple[str, str, float]


class Sessions:
    """The sessions of one page."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _FILE_NAME
        self._lock = threading.Lock()
        self._boot = boot()
        self._entries = _read(self._path)

    def begin(self, password_hash: str) -> str:
        """Begin a session for one who knows the password; its token, which is kept nowhere here."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            newest = list(self._entries.items())[1 - _MOST :]
            self._entries = dict(newest) | {_digest(token): self._entry(password_hash)}
            self._write()
        return token

    def is_good(self, token: str, password_hash: str) -> bool:
        """Whether a token is of somebody who is logged in."""
        key = _digest(token)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or not password_hash or entry[0] != _mark(password_hash):
                return False
            age = now() - entry[2] if entry[1] == self._boot else _EXACTLY
            if age > _IDLE:
                return False
            if age >= _EXACTLY:
                self._entries[key] = self._entry(password_hash)
                self._write()
        return True

    def end(self, token: str) -> None:
        """End a session."""
        with self._lock:
            if self._entries.pop(_digest(token), None) is not None:
                self._write()

    def _entry(self, password_hash: str) -> _Entry:
        return _mark(password_hash), self._boot, now()

    def _write(self) -> None:
        try:
            write_atomically(self._path, json.dumps(self._entries).encode(), mode=0o600)
        except OSError as error:  # a full card: who makes room on it has to log in before
            log.warning("SESSIONS are not kept: %s", error.strerror)


def _read(path: Path) -> dict[str, _Entry]:
    try:
        found = json.loads(path.read_bytes())
        return {
            str(key): (str(mark), str(boot), float(last))
            for key, (mark, boot, last) in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # everybody logs in again


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _mark(password_hash: str) -> str:
    return _digest(password_hash)[:16]
