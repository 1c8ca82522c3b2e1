# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogues of the settings page: what there is to translate, and what is translated.

    python -m tests.translations     # brings the catalogues up to date; `make translations`

A language that is in `webui.languages.NAMES` and has no catalogue yet gets an empty one.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from appliance.leds.patterns import Pattern
from appliance.settings.schema import declared, declared_of_storages
from webui.languages import NAMES

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "webui"
SOURCE = "en"
_METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
_KEYWORDS = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
_HEADER = """\
# SPDX-License-Identifier: GPL-3.0-or-later
# The settings page in LANGUAGE.
#"""


_LEFT_OUT = (
    *(b'"Project-Id-Version', b'"Report-Msgid-Bugs-To', b'"POT-Creation-Date'),
    *(b'"PO-Revision-Date', b'"Last-Translator', b'"Language-Team', b'"Generated-By'),
)


def path_of(language: str) -> Path:
    return PAGES / "translations" / language / "LC_MESSAGES" / "messages.po"


def template() -> Catalog:
    """All that there is to translate, from templates, modules and tables."""
    catalog = Catalog(charset="utf-8", header_comment=_HEADER)
    options = {"**/templates/**.html": {"trimmed": "true", "silent": "false"}}
    found = extract_from_dir(PAGES, _METHODS, options, _KEYWORDS)
    for name, _line, message, _comments, context in found:
        catalog.add(message, context=context, locations=[(f"webui/{name}", 0)])
    for message, where in from_tables():
        catalog.add(message, locations=[(where, 0)])
    return catalog


def from_tables() -> Iterator[tuple[str, str]]:
    """What pages take from the declaration of the settings and the table of the light."""
    for _, _, setting in (*declared(), *declared_of_storages()):
        for text in (setting.label, setting.help, setting.unit):
            if text:
                yield text, "appliance/settings/schema.py"
    for pattern in Pattern:
        rhythm = pattern.value
        for text in (rhythm.looks, rhythm.means, rhythm.advice):
            yield text, "appliance/leds/patterns.py"


def read(language: str) -> Catalog:
    path = path_of(language)
    if not path.exists():
        return Catalog(locale=language, charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language)


def untranslated(language: str) -> list[str]:
    """What a catalogue lacks, or has not been looked at since the source has changed."""
    there = read(language)
    wanted = [message for message in template() if message.id]
    return [
        str(message.id)
        for message in wanted
        if not _is_done(there.get(_first(message.id), message.context))
    ]


def left_over(language: str) -> list[str]:
    """What a catalogue has that no page says any more."""
    said = {(_first(each.id), each.context) for each in template()}
    return [str(each.id) for each in read(language) if (_first(each.id), each.context) not in said]


def _first(id: object) -> str:
    return str(id[0] if isinstance(id, tuple | list) else id)


def _is_done(message: object) -> bool:
    if not isinstance(message, Message) or message.fuzzy:
        return False
    words = message.string if isinstance(message.string, tuple | list) else [message.string]
    return all(words)


def update(language: str) -> int:
    """Bring a catalogue up to date; how much is to be translated."""
    catalog = read(language)
    catalog.update(template(), no_fuzzy_matching=False)
    catalog.obsolete.clear()
    catalog.header_comment = _HEADER.replace("LANGUAGE", NAMES[language])
    path = path_of(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encode(catalog))
    return len(untranslated(language))


def _encode(catalog: Catalog) -> bytes:
    """Write a catalogue that is another only where what it says is: no dates, no names."""
    catalog.fuzzy = False
    written = BytesIO()
    write_po(written, catalog, width=100, include_lineno=False, sort_output=True)
    lines = written.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(_LEFT_OUT))


if __name__ == "__main__":
    for each in NAMES:
        if each != SOURCE:
            print(f"{path_of(each).relative_to(ROOT)}: {update(each)} to translate")
