# SPDX-License-Identifier: GPL-3.0-or-later
"""The application: what holds for all pages, and the pages."""

import hashlib
from contextlib import suppress
from pathlib import Path

from flask import Flask, Request, url_for
from jinja2 import FileSystemBytecodeCache
from jinja2.bccache import Bucket
from markupsafe import Markup

from appliance import __version__
from webui import access, failures, forms, languages, machine, security, uploads, words
from webui.config import Config
from webui.languages import lazy_gettext
from webui.pages import BLUEPRINTS

_STATIC = Path(__file__).with_name("static")
_YEAR = 365 * 86400
_PAGES = (
    ("home", lazy_gettext("Home")),
    ("settings", lazy_gettext("Settings")),
    ("storage", lazy_gettext("Storage")),
    ("maintenance", lazy_gettext("Maintenance")),
    ("help", lazy_gettext("Help")),
)
#: Pages that belong to another one.
_SECTION_OF = {"logs": "maintenance", "update": "maintenance"}


def create_app(config: Config) -> Flask:
    """Make the application for one appliance."""
    app = Flask(__name__.partition(".")[0], static_folder=str(_STATIC))
    cache = config.state / "templates"
    for each in (config.state, cache):
        with suppress(OSError):  # a full card: the page is to say so, and needs neither
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
    app.request_class = _request_class(config.state)
    app.config.update(SEND_FILE_MAX_AGE_DEFAULT=_YEAR)
    app.jinja_options = {
        "trim_blocks": True,
        "lstrip_blocks": True,
        "bytecode_cache": _Templates(str(cache)),
    }
    machine.install(app, config)
    languages.install(app, config.state)
    security.install(app, config.state)
    access.install(app, config.state)
    security.install_last(app)
    failures.install(app)
    words.install(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    _install_globals(app, config)
    return app


class _Templates(FileSystemBytecodeCache):
    """Templates that were compiled; where they cannot be kept, for the card is full or somebody
    has reset the appliance, they are compiled again.
    """

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template."""
        with suppress(OSError):
            super().dump_bytecode(bucket)


def _request_class(state: Path) -> type[Request]:
    """Let what is uploaded go to the page's own disk: /tmp is memory on a small board."""

    class ApplianceRequest(Request):
        _get_file_stream = staticmethod(uploads.stream_maker(state))

    return ApplianceRequest


def _install_globals(app: Flask, config: Config) -> None:
    version = _digest(_STATIC)

    def asset(name: str) -> str:
        return url_for("static", filename=name, v=version)

    def token() -> Markup:
        field = '<input type="hidden" name="{}" value="{}">'
        return Markup(field).format(security.TOKEN_FIELD, security.form_token())

    app.jinja_env.globals.update(
        asset=asset,
        token=token,
        title=config.title,
        version=__version__,
        pages=_PAGES,
        section_of=_SECTION_OF,
        label_of=forms.label_of,
        effect_of=forms.effect_of,
        value_of=forms.value_of,
        notes_of=forms.notes_of,
    )


def _digest(folder: Path) -> str:
    """Tell one set of files from another, so that a browser may keep them for a year."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
