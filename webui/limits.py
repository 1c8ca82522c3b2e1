# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a request is taken in before anybody has looked at it.

The server keeps the whole body of a request, on the card where it is large, before the application
gets it. What is as large as an update is kept for one alone who is logged in and sends it there.
"""

from flask import Flask, request

from webui.access import is_logged_in
from webui.security import BUNDLE_LIMIT, FORM_LIMIT, TAKES_BUNDLES

#: Bytes beyond a form's limit that are still read, so that a page can say that it was too much.
_AROUND = 1 << 20


def body_limit(app: Flask, path: str, cookies: str) -> int:
    """Say how many bytes the body of a request may have, by its path and its Cookie header."""
    environment = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "HTTP_COOKIE": cookies,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }
    with app.request_context(environment):
        is_update = request.endpoint in TAKES_BUNDLES and is_logged_in()
    return (BUNDLE_LIMIT if is_update else FORM_LIMIT) + _AROUND
