# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance: backup and restore, report, clock, restart, power off, back to the beginning."""

import time
from base64 import b64decode
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from appliance.errors import ApplianceError
from appliance.settings.planning import plan
from appliance.settings.secret_files import part
from appliance.settings.store import understand
from webui import sentences
from webui.access import log_out
from webui.asking import confirm
from webui.failures import change_with_secrets, complain, done
from webui.kept import Kept
from webui.languages import gettext
from webui.machine import machine

page = Blueprint("maintenance", __name__, url_prefix="/maintenance")

_BACKUP_LIMIT = 1 << 18
_kept = Kept()


@page.get("")
def index() -> str:
    """Show what there is to do."""
    has_helper = machine().has_helper
    return render_template(
        "maintenance.html", has_helper=has_helper, now=time.time(), most=_BACKUP_LIMIT
    )


def attachment(data: bytes | str, name: str, kind: str) -> Response:
    """Answer with a file to keep."""
    response = Response(data, mimetype=kind)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def stamp() -> str:
    """Say the day, for names of files."""
    return time.strftime("%Y-%m-%d")


# Settings to keep, and to take over again


@page.get("/backup")
def backup() -> Response:
    """Give the settings as a file, without secrets."""
    text = machine().ask("settings export")
    return attachment(text, f"mtp-appliance-settings-{stamp()}.toml", "application/toml")


@page.post("/restore")
def review() -> Any:
    """Show what would be different with the settings of a file."""
    file = request.files.get("file")
    data = file.read(_BACKUP_LIMIT + 1) if file else b""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    if not text.strip() or len(data) > _BACKUP_LIMIT:
        complain(gettext("Choose a file of settings, as the backup gives it."))
        return redirect(url_for("maintenance.index"), 303)
    text, secret = _parted(text)
    changes = machine().ask("settings import", text=text, dry=True)
    return render_template(
        "review.html",
        changes=[*changes, *plan(machine().settings, secret)["changes"]],
        mends=machine().has_broken_settings,
        action=url_for("maintenance.restore"),
        fields={"text": text} | _kept.fields(secret),
        back=url_for("maintenance.index"),
    )


@page.post("/restore/change")
def restore() -> Response:
    """Take over what was shown."""
    kept = _kept.given(request.form)
    if kept is None:
        complain(gettext("Choose a file of settings, as the backup gives it."))
        return redirect(url_for("maintenance.index"), 303)
    text, secret = _parted(request.form.get("text", "").replace("\r\n", "\n"))
    take_over = partial(machine().ask, "settings import", text=text, dry=False)
    if change_with_secrets(take_over, {**secret, **kept}):
        done(gettext("The settings are those of the backup."))
    return redirect(url_for("maintenance.index"), 303)


def _parted(text: str) -> tuple[str, dict[str, str]]:
    """Part what a backup says from its secrets, if somebody has kept them in it."""
    findings = understand(text)[1]
    if findings.errors:
        raise ApplianceError("; ".join(findings.errors), hint="nothing was changed")
    return part(text)


# What only root may do


@page.post("/report")
def report() -> Response:
    """Give all that helps to find a fault, as one file."""
    found = machine().ask_helper("report")
    return attachment(b64decode(found["data"]), found["name"], "application/zip")


@page.get("/doctor")
def doctor() -> str:
    """Show what is well and what is not."""
    findings = machine().ask_helper("doctor")
    grave = ("problem", "warning")
    return render_template(
        "doctor.html",
        findings=sorted(findings, key=lambda each: each["grade"] not in grave),
        say=sentences,
    )


@page.post("/clock")
def clock() -> Response:
    """Set the clock to a time in UTC, which a script of the page fills in from the browser's."""
    try:
        when = datetime.fromisoformat(request.form.get("when", "").rstrip("Z"))
        seconds = when.replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        complain(gettext("That is no date and time."))
        return redirect(url_for("maintenance.index"), 303)
    machine().ask_helper("clock set", time=seconds)
    done(gettext("The clock is set."))
    return redirect(url_for("maintenance.index"), 303)


@page.get("/restart")
def ask_to_restart() -> str:
    """Ask whether to start the services anew."""
    return confirm(
        gettext("Start the services anew?"),
        gettext(
            "What is moving breaks off. They are back within a minute. To start the whole appliance"
            " anew, take the cable out and put it in."
        ),
        gettext("Start anew"),
        action="maintenance.restart",
        back="maintenance.index",
    )


@page.post("/restart")
def restart() -> str:
    """Start the services anew, and wait for it."""
    machine().ask_helper("restart")
    return render_template(
        "wait.html",
        heading=gettext("The services start anew"),
        source=url_for("help.index"),
        next=url_for("home.index"),
    )


@page.get("/power-off")
def ask_to_power_off() -> str:
    """Ask whether to switch off."""
    return confirm(
        gettext("Switch the appliance off?"),
        gettext("To start it again, take the cable out and put it in."),
        gettext("Switch off"),
        action="maintenance.power_off",
        back="maintenance.index",
    )


@page.post("/power-off")
def power_off() -> str:
    """Switch off."""
    machine().ask_helper("power off")
    return render_template("off.html")


@page.get("/factory-reset")
def ask_to_reset() -> str:
    """Ask for a word that nobody types by accident."""
    return _reset_form("")


@page.post("/factory-reset")
def reset() -> Any:
    """Return to the settings of a new appliance."""
    if request.form.get("word", "").strip().lower() != _word():
        return _reset_form(gettext("That is not the word.")), 422
    machine().ask_helper("factory reset")
    log_out()
    done(gettext("The settings are those of a new appliance. The files are where they were."))
    return redirect(url_for("home.index"), 303)


def _reset_form(error: str) -> str:
    return confirm(
        gettext("Return to the settings of a new appliance?"),
        gettext(
            "The name, the password and all other settings are lost. Files are never deleted. "
            "The PC loses the appliance for a moment; then open this page again."
        ),
        gettext("Reset"),
        action="maintenance.reset",
        back="maintenance.index",
        word=_word(),
        error=error,
    )


def _word() -> str:
    return gettext("reset")
