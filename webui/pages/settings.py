# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: the form, the difference before it is made, and the way back."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from appliance.errors import ApplianceError
from appliance.settings.planning import plan
from appliance.settings.secret_files import SECRETS
from webui import forms
from webui.complaints import translate
from webui.failures import change_with_secrets, complain, done, failed
from webui.kept import Kept
from webui.languages import gettext
from webui.machine import machine

page = Blueprint("settings", __name__, url_prefix="/settings")

_kept = Kept()


@page.get("")
def index() -> str:
    """Show the form."""
    return _form({}, {})


@page.post("")
def review() -> Any:
    """Show what would be different, and when it takes effect; nothing is changed yet."""
    given = forms.read(request.form)
    kept = _kept.given(request.form)
    secret, plain = forms.parted(forms.changed(machine().settings, given))
    secret |= {key: text for key, text in (kept or {}).items() if key not in given}
    planned = machine().ask("settings plan", values=plain), plan(machine().settings, secret)
    errors = {key: translate(text) for each in planned for key, text in each["errors"].items()}
    if kept is None and not secret:
        errors |= _forgotten()
    if errors:
        return _form(given, errors, secret), 422
    changes = [change for each in planned for change in each["changes"]]
    if not changes:
        complain(gettext("Nothing is different."))
        return redirect(url_for("settings.index"), 303)
    return render_template(
        "review.html",
        changes=changes,
        action=url_for("settings.change"),
        fields=plain | _kept.fields(secret),
        again=url_for("settings.again"),
        back=url_for("settings.index"),
    )


@page.post("/again")
def again() -> Any:
    """Show the form as it was sent, to change something else besides."""
    kept = _kept.given(request.form)
    return _form(_shown(), _forgotten() if kept is None else {}, kept or {})


@page.post("/change")
def change() -> Any:
    """Change what was shown."""
    secret, plain = forms.parted(_shown())
    kept = _kept.given(request.form)
    if kept is None:
        return _form(plain, _forgotten(), secret), 422
    if change_with_secrets(partial(_set, plain), {**secret, **kept}):
        done(gettext("The settings are changed."))
    return redirect(url_for("settings.index"), 303)


@page.get("/undo")
def show_undo() -> Any:
    """Show what would be different after going back one step."""
    try:
        changes = machine().ask("settings undo", dry=True)
    except ApplianceError as error:
        failed(error)
        return redirect(url_for("settings.index"))
    return render_template(
        "review.html",
        changes=changes,
        mends=machine().has_broken_settings,
        action=url_for("settings.undo"),
        fields={},
        back=url_for("settings.index"),
    )


@page.post("/undo")
def undo() -> Response:
    """Go back to the settings before the last change."""
    machine().ask("settings undo", dry=False)
    done(gettext("The settings are as they were before the last change."))
    return redirect(url_for("settings.index"), 303)


def _set(plain: Mapping[str, str]) -> None:
    if plain:
        machine().ask("settings set", values=plain)


def _shown() -> dict[str, str]:
    """Take over what the page of the changes has in it."""
    return {key: request.form[key] for key, _, _ in forms.editable() if key in request.form}


def _forgotten() -> dict[str, str]:
    """Say at its field that a secret has to be typed anew: the page's process had ended."""
    text = gettext("The passphrase is not known any more. Type it once more.")
    return {key: text for key, _, _ in forms.editable() if key in SECRETS}


def _form(
    given: Mapping[str, str], errors: Mapping[str, str], secret: Mapping[str, str] | None = None
) -> str:
    """Show the form; of secrets that were typed and are good only that they are kept."""
    good = {key: text for key, text in (secret or {}).items() if key not in errors}
    reading = machine().reading
    return render_template(
        "settings.html",
        groups=list(forms.groups(reading.settings, given, errors)),
        kept={key for key, text in good.items() if text},
        let_go={key for key, text in good.items() if not text},
        fields=_kept.fields({key: text for key, text in good.items() if text}),
        errors=errors,
        findings=reading.findings,
    )
