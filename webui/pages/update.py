# SPDX-License-Identifier: GPL-3.0-or-later
"""The software: which version runs, another one from a file, and the way back.

Root's helper checks a bundle's signature before it looks at anything in it, and takes a version
back whose services do not come up.
"""

from pathlib import Path
from typing import Any

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from appliance.errors import ApplianceError
from webui import uploads
from webui.failures import complain, done, failed
from webui.languages import gettext
from webui.machine import machine
from webui.security import BUNDLE_LIMIT

page = Blueprint("update", __name__, url_prefix="/maintenance/update")

_NAME = "bundle.mtp-update"


@page.get("")
def index() -> Any:
    """Show what runs, and where another version may come from."""
    if not machine().has_helper:
        return render_template("update.html", status=None)
    return render_template(
        "update.html",
        status=machine().ask_helper("update status"),
        found=machine().ask_helper("update find"),
        most=BUNDLE_LIMIT,
    )


@page.get("/state")
def state() -> Response:
    """Say whether an update has come to its end."""
    status = machine().ask_helper("update status")
    settled = not status["trial"] and status["running"] == status["chosen"]
    return jsonify(settled=settled)


@page.post("/upload")
def upload() -> Response:
    """Take a bundle, then show what is in it; one that is refused is not kept."""
    file = request.files.get("bundle")
    if file is None or not file.filename:
        complain(gettext("Choose a file first."))
        return _go_on(url_for("update.index"))
    uploads.clear(machine().config.state)
    path = _uploaded()
    try:
        file.save(path)
        machine().ask_helper("update check", path=str(path))
    except OSError:
        uploads.clear(machine().config.state)
        raise
    except ApplianceError as error:
        uploads.clear(machine().config.state)
        failed(error)
        return _go_on(url_for("update.index"))
    return _go_on(url_for("update.review", path=path))


def _go_on(place: str) -> Response:
    """Send a browser on; a script is told where to, so that what the page says is not lost."""
    if request.accept_mimetypes.best == "application/json":
        return jsonify(next=place)
    return redirect(place, 303)


@page.get("/review")
def review() -> Any:
    """Show what a bundle is, which is installed only after that."""
    try:
        found = machine().ask_helper("update check", path=request.args.get("path", ""))
    except ApplianceError as error:
        failed(error)
        return redirect(url_for("update.index"))
    return render_template("bundle.html", bundle=found)


@page.post("/install")
def install() -> str:
    """Install a bundle, and start anew with it."""
    path, older = request.form.get("path", ""), request.form.get("older") == "yes"
    machine().ask_helper("update install", path=path, older=older)
    uploads.clear(machine().config.state)
    machine().ask_helper("restart")
    return _wait(gettext("It starts anew with the other version"))


@page.post("/roll-back")
def roll_back() -> str:
    """Return to the version before."""
    machine().ask_helper("update roll back")
    machine().ask_helper("restart")
    done(gettext("The version before is chosen again."))
    return _wait(gettext("It starts anew with the version before"))


def _wait(heading: str) -> str:
    return render_template(
        "wait.html",
        heading=heading,
        source=url_for("update.state"),
        next=url_for("update.index"),
    )


def _uploaded() -> Path:
    return uploads.directory(machine().config.state) / _NAME
