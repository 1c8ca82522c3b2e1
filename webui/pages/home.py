# SPDX-License-Identifier: GPL-3.0-or-later
"""Home: what the appliance is doing, and the buttons that are needed often."""

import hashlib
import logging
import time
from collections.abc import Sequence
from ipaddress import ip_address
from threading import Timer
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from appliance.errors import ApplianceError
from appliance.status import StorageStatus
from webui import sentences
from webui.access import Claim, is_logged_in, open_to
from webui.chart import chart
from webui.config import OVER_WIFI
from webui.failures import complain, done
from webui.languages import gettext, language
from webui.machine import Machine, machine

log = logging.getLogger(__name__)
page = Blueprint("home", __name__)

#: Seconds between two looks of an open page, while bytes move and otherwise.
_OFTEN, _SELDOM = 1, 3
#: Seconds that the chart may keep the rest of the page waiting.
_PATIENCE = 2.0
#: Seconds until an answer is surely with the browser.
_ANSWERED = 1.0


@page.get("/")
@open_to(Claim.NOBODYS, Claim.IN_DOUBT)
def index() -> str:
    """Show all of it."""
    return render_template("home.html", **_shown())


@page.get("/live")
@open_to(Claim.NOBODYS, Claim.IN_DOUBT)
def live() -> Response:
    """Give the parts that change, for a page that is open; 304 while nothing has."""
    tag = _tag()
    if tag in request.if_none_match:
        response = Response(status=304)
    else:
        response = Response(render_template("live.html", **_shown()), mimetype="text/html")
    response.set_etag(tag)
    return response


def _tag() -> str:
    """Say in short what the parts are made from; the chart moves on while it shows something."""
    minute = int(time.time() // 15)
    made_from = (machine().looks(), is_logged_in(), language(), minute)
    return hashlib.sha256(repr(made_from).encode()).hexdigest()[:20]


def _shown() -> dict[str, Any]:
    status, now = machine().status, time.time()
    failures = machine().failures
    warnings = failures if status is None else status.warnings
    moving = status is not None and bool(status.transfers or status.unsafe.files)
    return {
        "status": status,
        "now": now,
        "has_helper": machine().has_helper,
        "warnings": warnings,
        "pattern": sentences.pattern_of(status, [each.code for each in failures]),
        "say": sentences,
        "chart": chart(_history(), now),
        "pause": _OFTEN if moving else _SELDOM,
        "all_read_only": status is not None and _all_read_only(status.storages),
    }


def _history() -> Sequence[Sequence[float]]:
    try:
        history: Sequence[Sequence[float]] = machine().ask("history", _PATIENCE)
    except ApplianceError:
        return ()  # it does not run, which the page says anyway, or is busy
    return history


def _all_read_only(storages: Sequence[StorageStatus]) -> bool:
    return bool(storages) and all(each.read_only for each in storages)


@page.post("/eject")
def eject() -> Response:
    """Take all storages away from the PC."""
    machine().ask("storage lock")
    machine().wait_for(lambda status: status.ejected)
    done(gettext("Ejected: the PC sees no files now."))
    return _back()


@page.post("/connect")
def connect() -> Response:
    """Bring them back."""
    machine().ask("storage unlock")
    machine().wait_for(lambda status: not status.ejected)
    done(gettext("The PC sees the files again."))
    return _back()


@page.post("/reconnect")
def reconnect() -> Response:
    """Let the PC see the device go and come back."""
    if _may_be_over_the_cable():
        return _reconnect_after_the_answer()
    machine().ask("reconnect")
    done(gettext("The PC has seen the device go and come back."))
    return _back()


def _may_be_over_the_cable() -> bool:
    """Whether the network that the request came by may be the device's, and go with it."""
    is_here = ip_address(request.remote_addr or "::1").is_loopback
    return machine().has_helper and not is_here and not request.environ.get(OVER_WIFI)


def _reconnect_after_the_answer() -> Response:
    """Answer with a page that waits: what is under way, a browser gives up with its network."""
    response = Response(
        render_template(
            "wait.html",
            heading=gettext("The device goes and comes back"),
            source=url_for("help.index"),
            next=url_for("home.index"),
        ),
        mimetype="text/html",
    )
    later = Timer(_ANSWERED, _reconnect, [machine()])
    later.daemon = True
    response.call_on_close(later.start)
    return response


def _reconnect(machine: Machine) -> None:
    try:
        machine.ask("reconnect")
    except ApplianceError as error:  # which home shows as well, where it is asked for then
        log.warning("RECONNECT %s", error)


@page.post("/read-only")
def read_only() -> Response:
    """Refuse changes of all storages, or allow them."""
    wanted = request.form.get("read_only") == "yes"
    for each in machine().ask("storage list"):
        if each["read_only"] is not wanted:
            machine().ask("storage read-only", storage=each["path"], read_only=wanted, lasting=True)
    now = machine().ask("storage list")
    held = [each["name"] for each in now if each["read_only"]]
    all_held = bool(now) and len(held) == len(now)
    machine().wait_for(lambda status: _all_read_only(status.storages) is all_held)
    if held and not wanted:
        complain(sentences.stays_read_only(held))
    elif wanted:
        done(gettext("Nothing can be changed from the PC now."))
    else:
        done(gettext("Files can be changed from the PC again."))
    return _back()


def _back() -> Response:
    return redirect(url_for("home.index"), 303)
