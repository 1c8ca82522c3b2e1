# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage: the folders that are served, what is in them, and what was deleted from them.

A storage goes by its folder, which no two have in common.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from appliance.errors import ApplianceError
from webui import sentences
from webui.asking import confirm
from webui.complaints import is_of_name, refusal
from webui.failures import complain, done, failed
from webui.languages import gettext, ngettext
from webui.machine import machine

page = Blueprint("storage", __name__, url_prefix="/storage")

#: Lines of a page: it takes memory that a small board does not have.
_SHOWN = 1000


@page.get("")
def index() -> str:
    """List the storages."""
    return _list({}, {})


def _list(given: dict[str, Any], errors: Mapping[str, ApplianceError]) -> str:
    status = machine().status
    space = {each.path: each for each in status.storages} if status else {}
    return render_template(
        "storage.html",
        storages=machine().ask("storage list"),
        space=space,
        say=sentences,
        given=given,
        errors={field: (refusal(error) or str(error)) for field, error in errors.items()},
        is_own=not any(map(refusal, errors.values())),
    )


@page.post("/add")
def add() -> Any:
    """Serve one more folder."""
    path, name = request.form.get("path", "").strip(), request.form.get("name", "").strip()
    read_only = request.form.get("read_only") == "yes"
    called = name or path.rstrip("/").rpartition("/")[2]
    try:
        machine().ask("storage add", path=path, name=called, read_only=read_only, lasting=True)
    except ApplianceError as error:
        given = {"path": path, "name": name, "read_only": read_only}
        return _list(given, {"name" if is_of_name(error) else "path": error}), 422
    return _back(gettext("%(name)s is served now.", name=called))


@page.post("/rename")
def rename() -> Response:
    """Give a storage another name."""
    name = request.form.get("name", "").strip()
    machine().ask("storage rename", storage=_storage(), name=name)
    return _back(gettext("It is called %(name)s now.", name=name))


@page.post("/read-only")
def read_only() -> Response:
    """Refuse changes, or allow them."""
    wanted = request.form.get("read_only") == "yes"
    machine().ask("storage read-only", storage=_storage(), read_only=wanted, lasting=True)
    if wanted:
        return _back(gettext("It cannot be changed from the PC now."))
    listed = machine().ask("storage list")
    held = [each["name"] for each in listed if each["path"] == _storage() and each["read_only"]]
    if not held:
        return _back(gettext("It can be changed from the PC again."))
    complain(sentences.stays_read_only(held))
    return redirect(url_for("storage.index"), 303)


@page.post("/eject")
def eject() -> Response:
    """Take a storage away from the PC."""
    machine().ask("storage eject", storage=_storage())
    return _back(gettext("It is ejected."))


@page.post("/load")
def load() -> Response:
    """Bring a storage back."""
    machine().ask("storage load", storage=_storage())
    return _back(gettext("The PC sees it again."))


@page.post("/move")
def move() -> Response:
    """Move a storage one place up or down."""
    listed = machine().ask("storage list")
    paths = [each["path"] for each in listed]
    if _storage() not in paths:
        complain(gettext("This folder is not served any more."))
        return redirect(url_for("storage.index"), 303)
    at = paths.index(_storage())
    to = max(0, at - 1) if request.form.get("to") == "up" else min(len(paths) - 1, at + 1)
    names = [each["name"] for each in listed]
    names.insert(to, names.pop(at))
    machine().ask("storage order", names=names)
    return _back(gettext("The order is changed."))


@page.get("/remove")
def ask_to_remove() -> str:
    """Ask whether a storage is to be taken out."""
    storage = request.args.get("storage", "")
    return confirm(
        gettext("Take this folder out?"),
        gettext("The PC does not see it any more. The files in it stay where they are."),
        gettext("Take it out"),
        action="storage.remove",
        back="storage.index",
        fields={"storage": storage},
        what=storage,
    )


@page.post("/remove")
def remove() -> Response:
    """Serve a folder no more."""
    machine().ask("storage remove", storage=_storage(), lasting=True)
    return _back(gettext("It is not served any more. Its files are where they were."))


@page.get("/browse")
def browse() -> Any:
    """List a folder of a storage: names only."""
    storage, path = request.args.get("storage", ""), request.args.get("path", "").strip("/")
    parts = path.split("/") if path else []
    try:
        entries = machine().ask("storage browse", storage=storage, path=path)
    except ApplianceError as error:
        failed(error)
        return redirect(url_for("storage.index"))
    return render_template(
        "browse.html",
        storage=storage,
        name=_name_of(storage),
        steps=[(part, "/".join(parts[: number + 1])) for number, part in enumerate(parts)],
        path=path,
        entries=entries[:_SHOWN],
        has_more=len(entries) > _SHOWN,
    )


def _name_of(storage: str) -> str:
    listed = machine().ask("storage list")
    return next((each["name"] for each in listed if each["path"] == storage), storage)


# What was deleted


@page.get("/trash")
def trash() -> str:
    """List what can be put back."""
    found = machine().ask("trash list", most=_SHOWN + 1)[::-1]
    return render_template("trash.html", items=found[:_SHOWN], has_more=len(found) > _SHOWN)


@page.post("/trash/restore")
def restore() -> Response:
    """Put something back to where it lay."""
    name = request.form.get("name", "")
    machine().ask("trash restore", name=name, storage=_storage())
    done(gettext("%(name)s is back.", name=name))
    return redirect(url_for("storage.trash"), 303)


@page.get("/trash/empty")
def ask_to_empty() -> str:
    """Ask whether all of it is to be deleted for good."""
    return confirm(
        gettext("Delete all of it for good?"),
        gettext("Nothing of it can be put back then."),
        gettext("Delete for good"),
        action="storage.empty",
        back="storage.trash",
    )


@page.post("/trash/empty")
def empty() -> Response:
    """Delete all of it for good."""
    count = machine().ask("trash empty", name="", storage="")
    done(ngettext("%(num)d is deleted for good.", "%(num)d are deleted for good.", count))
    return redirect(url_for("storage.trash"), 303)


def _storage() -> str:
    return request.form.get("storage", "")


def _back(text: str) -> Response:
    done(text)
    return redirect(url_for("storage.index"), 303)
