# SPDX-License-Identifier: GPL-3.0-or-later
"""The cookie that a visitor is known by: signed, and of no age.

Flask's own refuses cookies that are older than a month or from the future. The clock of a small
board jumps when somebody sets it on the page, who would be logged out by that.
"""

from flask import Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import BadSignature


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
