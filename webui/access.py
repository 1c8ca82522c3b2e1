# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may see and do what: one person, who has claimed the appliance by choosing a password.

| the appliance is         | seen without logging in        | done without logging in |
|--------------------------|--------------------------------|-------------------------|
| not claimed yet          | home, help                     | claiming it             |
| that, seen from the Wi-Fi| help                           | nothing                 |
| claimed                  | help                           | logging in              |
| claimed, by a password that cannot be read | help         | nothing                 |
| in doubt: settings broken, nothing to fall back on | home, help | nothing          |

The page comes to the Wi-Fi once it is somebody's. When its password is forgotten it is still there
for a moment, and nobody in that network is to be quicker than the owner at the cable.
"""

import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TypeVar

from flask import Flask, abort, current_app, redirect, request, session, url_for
from werkzeug.wrappers import Response

from appliance.settings import passwords
from appliance.settings.secret_files import HIDDEN
from webui import languages
from webui.attempts import Attempts
from webui.config import OVER_WIFI
from webui.machine import machine
from webui.sessions import Sessions

View = TypeVar("View", bound=Callable[..., object])

_SESSION = "session"
_OPEN = "open_to"
_EXTENSION, _ATTEMPTS = "sessions", "attempts"
#: What only a script asks for: it is to learn that it is logged out, not to get a page.
_FOR_SCRIPTS = frozenset({"home.live", "logs.tail", "update.state"})
#: One at a time: each password takes a second and 8 MB on the smallest board.
_checking = threading.Lock()


class Claim(Enum):
    """Whether the appliance is somebody's."""

    NOBODYS = "nobody's"
    OUT_OF_REACH = "nobody's, and not to be claimed from here"
    SOMEBODYS = "somebody's"
    UNREADABLE = "somebody's, by a password that cannot be read"
    IN_DOUBT = "in doubt"


def install(app: Flask, state: Path) -> None:
    """Let nobody in who is not logged in, save where a view says otherwise."""
    app.extensions[_EXTENSION] = Sessions(state)
    app.extensions[_ATTEMPTS] = {road: Attempts(state, over_wifi=road) for road in (True, False)}
    app.before_request(_check_access)
    app.context_processor(lambda: {"logged_in": is_logged_in(), "claim": claim()})


def open_to(*states: Claim) -> Callable[[View], View]:
    """Mark a view as open to all while the appliance is in one of these states."""

    def mark(view: View) -> View:
        setattr(view, _OPEN, frozenset(states))
        return view

    return mark


open_to_all = open_to(*Claim)


def claim() -> Claim:
    """Whose the appliance is. Settings that cannot be read never make it nobody's."""
    reading = machine().reading
    password = reading.settings.web_password
    if password:
        return Claim.UNREADABLE if password == HIDDEN else Claim.SOMEBODYS
    if reading.findings.errors:
        return Claim.IN_DOUBT
    return Claim.OUT_OF_REACH if request.environ.get(OVER_WIFI) else Claim.NOBODYS


def is_logged_in() -> bool:
    """Whether who asks is logged in."""
    token = session.get(_SESSION)
    return isinstance(token, str) and _sessions().is_good(token, machine().settings.web_password)


def log_in(password_hash: str) -> None:
    """Begin a session with nothing of what was before, so that nobody can have prepared it."""
    _forget()
    session[_SESSION] = _sessions().begin(password_hash)


def log_out() -> None:
    """End the session, also for one who has kept its cookie."""
    token = session.get(_SESSION)
    if isinstance(token, str):
        _sessions().end(token)
    _forget()


def _forget() -> None:
    chosen = languages.chosen()
    session.clear()
    languages.choose(chosen)


def check_password(password: str) -> bool:
    """Whether it is the password; 429 for one who has been wrong too often."""
    attempts, who = _attempts(), request.remote_addr or ""
    with _checking:
        wait = attempts.wait(who)
        if wait:
            abort(429, description=f"{wait:.0f}")
        if passwords.verify_password(password, machine().settings.web_password):
            attempts.was_right(who)
            return True
        attempts.was_wrong(who)
        return False


def hash_password(password: str) -> str:
    """Hash a new password."""
    with _checking:
        return passwords.hash_password(password)


def _check_access() -> Response | None:
    if request.endpoint in (None, "static"):
        return None  # not found, or the same for everybody
    view = current_app.view_functions[request.endpoint]
    now = claim()
    if now in getattr(view, _OPEN, ()) or is_logged_in():
        return None
    if request.method != "GET" or request.endpoint in _FOR_SCRIPTS:
        abort(403)
    if now is Claim.NOBODYS:
        return redirect(url_for("access.claim_page"))
    return redirect(url_for("home.index" if now is Claim.IN_DOUBT else "access.index"))


def _sessions() -> Sessions:
    found: Sessions = current_app.extensions[_EXTENSION]
    return found


def _attempts() -> Attempts:
    """Give the count of wrong passwords on the road that the request came by."""
    found: Attempts = current_app.extensions[_ATTEMPTS][bool(request.environ.get(OVER_WIFI))]
    return found
