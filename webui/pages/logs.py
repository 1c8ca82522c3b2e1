# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: the last lines, those that come, and a file of them."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, jsonify, render_template, request
from werkzeug.wrappers import Response

from webui.languages import lazy_gettext
from webui.machine import machine
from webui.pages.maintenance import attachment, stamp
from webui.words import moment

page = Blueprint("logs", __name__, url_prefix="/maintenance/logs")

SOURCES = {
    "all": lazy_gettext("everything"),
    "responder": lazy_gettext("files over MTP"),
    "gadget": lazy_gettext("USB"),
    "leds": lazy_gettext("the light"),
    "web": lazy_gettext("this page"),
    "wifi": lazy_gettext("the Wi-Fi"),
    "helper": lazy_gettext("what root does"),
    "kernel": lazy_gettext("the kernel"),
}
_SHOWN, _MOST = 200, 2000
#: syslog's priorities from this one up are worth a mark: warning.
_GRAVE = 4


@page.get("")
def index() -> str:
    """Show the last lines."""
    source, text = _source(), request.args.get("text", "")
    if not machine().has_helper:
        return render_template("logs.html", lines=None)
    among = _MOST if text else _SHOWN
    found = machine().ask_helper("logs", source=source, lines=among, after="")
    lines = [each for each in found["lines"] if _matches(each, text)][-_SHOWN:]
    return render_template(
        "logs.html",
        lines=[_plain(each) for each in lines],
        among=among,
        cursor=found["cursor"],
        sources=SOURCES,
        source=source,
        text=text,
    )


@page.get("/tail")
def tail() -> Response:
    """Give what has come since."""
    after = request.args.get("after", "")
    found = machine().ask_helper("logs", source=_source(), lines=_SHOWN, after=after)
    text = request.args.get("text", "")
    lines = [_plain(each) for each in found["lines"] if _matches(each, text)]
    return jsonify(lines=lines, cursor=found["cursor"])


@page.get("/download")
def download() -> Response:
    """Give the last lines as a file."""
    source, text = _source(), request.args.get("text", "")
    found = machine().ask_helper("logs", source=source, lines=_MOST, after="")
    lines = (_plain(each) for each in found["lines"] if _matches(each, text))
    written = "".join(f"{each['when']} {each['source']}: {each['text']}\n" for each in lines)
    return attachment(written, f"mtp-appliance-{source}-{stamp()}.log", "text/plain")


def _source() -> str:
    source = request.args.get("source", "all")
    return source if source in SOURCES else "all"


def _matches(line: Mapping[str, Any], text: str) -> bool:
    return text.lower() in f"{line['source']}: {line['text']}".lower()


def _plain(line: Mapping[str, Any]) -> dict[str, Any]:
    """Write a line for a person."""
    return {
        "when": moment(line["time"]),
        "source": line["source"],
        "grave": line["priority"] <= _GRAVE,
        "text": line["text"],
    }
