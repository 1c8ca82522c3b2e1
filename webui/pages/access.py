# SPDX-License-Identifier: GPL-3.0-or-later
"""Claiming the appliance, logging in and out, another password, another language."""

import threading
from typing import Any
from urllib.parse import unquote, urlsplit

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from appliance.settings import passwords
from webui import languages
from webui.access import (
    Claim,
    check_password,
    claim,
    hash_password,
    is_logged_in,
    log_in,
    log_out,
    open_to,
    open_to_all,
)
from webui.complaints import translate
from webui.failures import complain, done
from webui.forms import PASSWORD
from webui.languages import gettext
from webui.machine import machine
from webui.security import authority_of

page = Blueprint("access", __name__)

_claiming = threading.Lock()


@page.get("/claim")
@open_to(Claim.NOBODYS)
def claim_page() -> Any:
    """Ask for a name and a password."""
    if claim() is not Claim.NOBODYS:
        return redirect(url_for("access.index"))
    return _claim_form()


@page.post("/claim")
@open_to(Claim.NOBODYS)
def claim_it() -> Any:
    """Make the appliance somebody's."""
    with _claiming:  # who comes second finds it claimed
        return _claim_it()


def _claim_it() -> Any:
    if claim() is not Claim.NOBODYS:
        return redirect(url_for("access.index"), 303)
    password, name = request.form.get("password", ""), request.form.get("name", "").strip()
    errors = {"password": _complaint(password)}
    plan = machine().ask("settings plan", values={"name": name})
    errors["name"] = translate(plan["errors"].get("name", ""))
    if any(errors.values()):
        return _claim_form(errors, name), 422
    if name != machine().settings.name:
        machine().ask("settings set", values={"name": name})
    machine().set_secrets({PASSWORD: hash_password(password)})  # last: then it is somebody's
    log_in(machine().settings.web_password)
    done(gettext("The appliance is yours now."))
    return redirect(url_for("home.index"), 303)


def _claim_form(errors: dict[str, str] | None = None, name: str | None = None) -> str:
    shown = machine().settings.name if name is None else name
    return render_template(
        "claim.html", errors=errors or {}, name=shown, least=passwords.LEAST, most=passwords.MOST
    )


@page.get("/login")
@open_to(*Claim)
def index() -> Any:
    """Ask for the password."""
    if claim() is Claim.NOBODYS:
        return redirect(url_for("access.claim_page"))
    if is_logged_in():
        return redirect(url_for("home.index"))
    return render_template("login.html", wrong=False)


@page.post("/login")
@open_to(Claim.SOMEBODYS)
def login() -> Any:
    """Let in who knows the password."""
    if not check_password(request.form.get("password", "")):
        return render_template("login.html", wrong=True), 401
    log_in(machine().settings.web_password)
    return redirect(url_for("home.index"), 303)


@page.post("/logout")
@open_to_all
def logout() -> Response:
    """End the session."""
    log_out()
    return redirect(url_for("access.index"), 303)


@page.get("/password")
def password() -> str:
    """Ask for another password."""
    return _password_form({})


@page.post("/password")
def change_password() -> Any:
    """Change the password; all other sessions end."""
    old, new = request.form.get("old", ""), request.form.get("password", "")
    if not check_password(old):
        return _password_form({"old": gettext("That is not the password.")}), 422
    complaint = _complaint(new)
    if complaint:
        return _password_form({"password": complaint}), 422
    machine().set_secrets({PASSWORD: hash_password(new)})
    log_in(machine().settings.web_password)
    done(gettext("The password is changed. Everybody else has to log in again."))
    return redirect(url_for("maintenance.index"), 303)


def _password_form(errors: dict[str, str]) -> str:
    return render_template(
        "password.html", errors=errors, least=passwords.LEAST, most=passwords.MOST
    )


def _complaint(password: str) -> str:
    """Say what is wrong with a new password, which is typed twice."""
    if passwords.complaint(password):
        return gettext(
            "A password has %(least)d characters at least, and %(most)d at most.",
            least=passwords.LEAST,
            most=passwords.MOST,
        )
    if password != request.form.get("again", ""):
        return gettext("The two are not the same.")
    return ""


@page.post("/language")
@open_to_all
def language() -> Response:
    """Choose the language, and go back."""
    name = request.form.get("language", "")
    if name not in languages.NAMES:
        complain(gettext("There is no such language."))
    languages.choose(name)
    return redirect(_way_back(), 303)


def _way_back() -> str:
    """Find the page that was left: one of ours, of those that are there for the asking."""
    referer = request.headers.get("Referer", "")
    if authority_of(referer) != request.host:
        return url_for("home.index")
    back = urlsplit(referer)
    ours = back.path.startswith("/") and back.path[1:2] != "/"
    routes = current_app.url_map.bind(request.host)
    if not ours or not routes.test(unquote(back.path), "GET"):
        return url_for("home.index")
    return f"{back.path}?{back.query}" if back.query else back.path
