# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every request, whichever page it is for.

| against                              | held by                                                  |
|--------------------------------------|----------------------------------------------------------|
| DNS rebinding                        | the Host header must be a name or an address of ours     |
| another site's forms and scripts     | a token in each form, Origin, and cookies SameSite=Lax   |
| another site's taking ours away      | what it sends gets no cookie, which would replace ours   |
| script from a file's name            | Jinja escapes all; the policy allows no inline script    |
| framing, sniffing, leaking addresses | the headers below                                        |
| floods                               | limits on what is sent (`webui/limits.py`)               |
"""

import hashlib
import hmac
import ipaddress
import logging
import re
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, request, session
from werkzeug.wrappers import Response

from appliance.settings.files import write_atomically
from webui import cookies
from webui.cookies import AgelessCookies
from webui.machine import machine

log = logging.getLogger(__name__)

#: Bytes of a form, and of a form with an update, which one route alone takes.
FORM_LIMIT, BUNDLE_LIMIT = 512 << 10, 17 << 20
TOKEN_FIELD = "token"
_KEY_NAME, _KEY_SIZE = "session.key", 32
_VISITOR = "visitor"
TAKES_BUNDLES = frozenset({"update.upload"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ALWAYS_OURS = frozenset({"localhost", "127.0.0.1", "::1"})
_POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
        *("form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"),
    ]
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def install(app: Flask, state: Path) -> None:
    """Guard every request of an application."""
    app.secret_key = _key(state)
    app.session_interface = AgelessCookies()
    app.config.update(
        SESSION_COOKIE_NAME="mtp-appliance",
        SESSION_COOKIE_HTTPONLY=True,
        # A link in a mail has to bring the cookie: without it, it would be given a new one.
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=FORM_LIMIT,
        MAX_FORM_MEMORY_SIZE=FORM_LIMIT,
        MAX_FORM_PARTS=500,
    )
    app.before_request(_check_host)
    app.before_request(_check_origin)
    app.after_request(_add_headers)
    app.jinja_env.globals["form_token"] = form_token


def install_last(app: Flask) -> None:
    """Guard what reads a request's body, so that it is read only for one who may send it."""
    app.before_request(_check_token)


def _key(state: Path) -> bytes:
    """Read the key that cookies are signed with; made when it is first needed.

    On a card that is full, or fails, it lasts as long as this process: the page is to say so.
    """
    path = state / _KEY_NAME
    with suppress(OSError):
        key = path.read_bytes()
        if len(key) == _KEY_SIZE:
            return key
    key = secrets.token_bytes(_KEY_SIZE)
    try:
        write_atomically(path, key, mode=0o600)
    except OSError as error:
        log.warning("KEY     is not kept: %s", error.strerror)
    return key


# Host


def _check_host() -> None:
    host = host_of(request.host)
    if host not in _our_names() and not _is_announced(host):
        abort(421, description=host)


def _is_announced(host: str) -> bool:
    """Whether it is what ours became in the network, where somebody else has it: NAME-2.local.

    The network is asked only for what looks like that.
    """
    numbered = re.fullmatch(r"(.+)-\d{1,5}\.local", host)
    ours = (*machine().config.hosts, machine().settings.network_host_name)
    if numbered is None or numbered[1] not in ours:
        return False
    return host == f"{machine().config.announced()}.local"


def host_of(authority: str) -> str:
    """Take the port and an IPv6 address's brackets from a Host header; "" for no good one."""
    try:
        host = urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return host.rstrip(".")


def authority_of(address: str) -> str:
    """Take host and port out of an address; "" for what is none."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return ""


def _our_names() -> set[str]:
    ours = {*machine().config.hosts, machine().settings.network_host_name}
    named = {host_of(f"[{each}]" if ":" in each else each) for each in ours if each}
    return {*_ALWAYS_OURS, *named, *(f"{each}.local" for each in named)}


# Writes


def _check_origin() -> None:
    """Refuse a write that a page of somebody else's has sent, where the browser says so."""
    if request.method in _SAFE:
        return
    origin = request.headers.get("Origin")
    is_ours = origin is None or authority_of(origin) == request.host
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        is_ours = False  # browsers say so only where the connection is safe, or local
    if not is_ours:
        cookies.give_none()
        abort(400, description="origin")


def _check_token() -> None:
    """Refuse a write without the token of a form of ours."""
    if request.method in _SAFE:
        return
    if request.endpoint in TAKES_BUNDLES and request.mimetype == "multipart/form-data":
        request.max_content_length = BUNDLE_LIMIT
    given = request.form.get(TOKEN_FIELD, "")
    if not hmac.compare_digest(given.encode(), form_token().encode()):
        abort(400, description="token")


def form_token() -> str:
    """Give the token for the forms of this visitor, who gets a mark to be known by."""
    if _VISITOR not in session:
        session[_VISITOR] = secrets.token_urlsafe(24)
    key = current_app.secret_key
    assert isinstance(key, bytes)
    return hmac.new(key, session[_VISITOR].encode(), hashlib.sha256).hexdigest()


def _add_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
