# SPDX-License-Identifier: GPL-3.0-or-later
"""The cookie that a visitor is known by: signed, of no age, and for no other site to replace.

Flask's own refuses cookies that are older than a month or from the future. The clock of a small
board jumps when somebody sets it on the page, who would be logged out by that.
"""

from flask import Flask, Request, Response, g
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from itsdangerous import BadSignature


def give_none() -> None:
    """Answer this request without a cookie: it came without ours, and is not to take its place."""
    g.gives_no_cookie = True


class AgelessCookies(SecureCookieSessionInterface):
    """Flask's cookies, whose age does not count; `webui.sessions` says when a session is over."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie; a new one where there is none, or none of ours."""
        serializer = self.get_signing_serializer(app)
        if serializer is None:
            return None
        value = request.cookies.get(self.get_cookie_name(app))
        try:
            return self.session_class(serializer.loads(value) if value else {})
        except BadSignature:
            return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Give the cookie with the answer."""
        if not g.get("gives_no_cookie", False):
            super().save_session(app, session, response)
