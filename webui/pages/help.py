# SPDX-License-Identifier: GPL-3.0-or-later
"""Help: what the light says, how to connect, what to do when it does not work."""

from pathlib import Path

from flask import Blueprint, render_template, send_from_directory
from werkzeug.wrappers import Response

import appliance.errors
from appliance.leds.patterns import Pattern
from webui.access import open_to_all
from webui.light import style_sheet
from webui.machine import machine

page = Blueprint("help", __name__)

_DATA = Path(appliance.errors.__file__).with_name("data")
_DAY = 86400


@page.get("/help")
@open_to_all
def index() -> str:
    """Show the help."""
    settings = machine().settings
    return render_template("help.html", patterns=Pattern, host_name=settings.network_host_name)


@page.get("/light.css")
@open_to_all
def light() -> Response:
    """Give the light's animations."""
    response = Response(style_sheet(), mimetype="text/css")
    response.cache_control.max_age = _DAY
    return response


@page.get("/icon.svg")
@open_to_all
def icon() -> Response:
    """Give the device's icon."""
    return send_from_directory(_DATA, "icon.svg", max_age=_DAY)
