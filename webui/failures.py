# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees when something does not work, and the words that come after a deed."""

import errno
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from flask import Flask, flash, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from appliance.errors import ApplianceError
from webui.complaints import refusal
from webui.languages import gettext, lazy_gettext
from webui.machine import machine

_PASSPHRASE = "wifi.passphrase"
#: A cookie carries them.
_MOST = 400
_WORDS = {
    400: lazy_gettext(
        "That form cannot be accepted any more. Go back, load the page anew and try again."
    ),
    403: lazy_gettext("You have to log in to do that."),
    404: lazy_gettext("There is no such page."),
    405: lazy_gettext("That cannot be done here."),
    413: lazy_gettext("That is larger than what can be taken."),
    421: lazy_gettext("This appliance does not go by that name. Its own names and addresses work."),
    429: lazy_gettext("Too many wrong passwords. Wait a little, then try again."),
    500: lazy_gettext("Something failed that should not. The log has the reason."),
    507: lazy_gettext("There is no room left on the card for that. Delete something first."),
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def install(app: Flask) -> None:
    """Give an application its pages for what fails."""
    app.register_error_handler(HTTPException, _show_http)
    app.register_error_handler(ApplianceError, _show)
    app.register_error_handler(OSError, _show_full)


def done(text: str) -> None:
    """Say on the next page that something was done."""
    flash(text[:_MOST], "good")


def failed(error: ApplianceError) -> None:
    """Say on the next page what went wrong; in the words of who found it where it has none."""
    words = refusal(error)
    if words:
        complain(words)
    else:
        flash(str(error)[:_MOST], "bad")


def complain(text: str) -> None:
    """Say on the next page what is wrong with what was asked."""
    flash(text[:_MOST], "warn")


def change_with_secrets(change: Callable[[], object], secret: Mapping[str, str]) -> bool:
    """Change settings, and secrets with them; whether all is changed: if not, it is told.

    Secrets come last: what is set first on a full card is refused, and then nothing is changed. But
    a passphrase where there is none comes first, for without it the new Wi-Fi would be an open one.
    """
    passphrase = "" if machine().settings.wifi_passphrase else secret.get(_PASSPHRASE, "")
    first = {_PASSPHRASE: passphrase} if passphrase else {}
    machine().set_secrets(first)
    try:
        change()
    except ApplianceError:
        with suppress(ApplianceError):
            machine().set_secrets(dict.fromkeys(first, ""))
        raise
    try:
        machine().set_secrets({key: text for key, text in secret.items() if key not in first})
    except ApplianceError as error:
        complain(gettext("All else is changed, but not the passphrase or password. Set it again."))
        failed(error)
        return False
    return True


def _show_http(error: HTTPException) -> Any:
    if error.code is None or error.code < 400:
        return error
    response = _page(error.code, _WORDS.get(error.code, error.name))
    if error.code == 429:
        response.headers["Retry-After"] = error.description or "1"
    if error.code == 405:
        response.headers.extend(error.get_headers(request.environ))
        response.headers["Content-Type"] = "text/html; charset=utf-8"
    return response


def _show_full(error: OSError) -> Response:
    """Say that the card is full, for which a person can do something; all else is a defect."""
    if error.errno not in _FULL:
        raise error
    return _page(507, _WORDS[507])


def _page(code: int, text: str) -> Response:
    heading = gettext("That did not work")
    page = render_template("failure.html", heading=heading, text=text, hint="", code=code)
    return Response(page, code, mimetype="text/html")


def _show(error: ApplianceError) -> Any:
    """Say it on the page that the deed belongs to; a page that cannot be made says only that."""
    if request.method == "POST" and request.blueprint:
        failed(error)
        return redirect(url_for(f"{request.blueprint}.index"), 303)
    heading = gettext("The appliance does not answer as it should")
    words = {"heading": heading, "text": error.message, "hint": error.hint}
    return Response(render_template("failure.html", code=503, **words), 503, mimetype="text/html")
