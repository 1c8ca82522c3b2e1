# SPDX-License-Identifier: GPL-3.0-or-later
"""The languages of the page. English is what the source says; the others lie in `translations`.

A catalogue is a text file, `translations/LANGUAGE/LC_MESSAGES/messages.po`, and nothing else: it is
compiled into the page's state when it is first met, so that installing needs no step of its own.
"""

import hashlib
import logging
from io import BytesIO
from pathlib import Path
from typing import Any

import flask_babel
from flask import Flask, request, session

from appliance.settings.files import write_atomically

log = logging.getLogger(__name__)

#: What each language calls itself.
NAMES = {"en": "English", "de": "Deutsch"}
_SOURCE_LANGUAGE = "en"
_SOURCE = Path(__file__).with_name("translations")
_INSIDE = Path("LC_MESSAGES")
_CHOSEN = "language"


def install(app: Flask, state: Path) -> None:
    """Let an application speak the language of who asks."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(_compiled(state))
    flask_babel.Babel(app, locale_selector=language)
    app.context_processor(lambda: {"language": language(), "languages": NAMES})


# The words: in the language of who asks


def gettext(text: str, **values: object) -> str:
    """Say a text."""
    return str(flask_babel.gettext(text, **values))


def ngettext(one: str, many: str, num: int) -> str:
    """Say a text for a number, which is `%(num)d` in it."""
    return str(flask_babel.ngettext(one, many, num))


def pgettext(context: str, text: str) -> str:
    """Say a text that means something else elsewhere."""
    return str(flask_babel.pgettext(context, text))


def lazy_gettext(text: str) -> Any:
    """Say a text when it is needed, for tables that are made before anybody asks."""
    return flask_babel.lazy_gettext(text)


# The catalogues


def language() -> str:
    """Choose the language: what was chosen on the page, else what the browser asks for."""
    asked = (tag.partition("-")[0].lower() for tag in request.accept_languages.values())
    return chosen() or next((each for each in asked if each in NAMES), _SOURCE_LANGUAGE)


def chosen() -> str:
    """Say which language was chosen on the page; "" for none."""
    name = session.get(_CHOSEN)
    return name if name in NAMES else ""


def choose(name: str) -> None:
    """Remember a language; "" and one that is not there count for nothing."""
    session[_CHOSEN] = name


def _compiled(state: Path) -> Path:
    """Compile the catalogues that have not been; where the results lie."""
    sources = sorted(_SOURCE.glob(f"*/{_INSIDE}/*.po"))
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in sources)).hexdigest()[:16]
    place = state / "translations" / digest
    for source in sources:
        target = place / source.relative_to(_SOURCE).with_suffix(".mo")
        if not target.exists():
            try:
                write_atomically(target, _compile(source))
            except OSError as error:
                log.warning("LANGUAGE %s: %s", source.name, error.strerror)
    return place


def _compile(source: Path) -> bytes:
    from babel.messages.mofile import write_mo  # noqa: PLC0415 - large, needed once
    from babel.messages.pofile import read_po  # noqa: PLC0415

    compiled = BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file))
    return compiled.getvalue()
