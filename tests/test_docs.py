# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents say what is so: files, commands, options and operations that they name exist."""

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import pytest

import appliance
from appliance.leds import patterns
from appliance.mtp.operations import OPERATIONS
from appliance.settings import examples
from appliance.settings.interpretation import interpret
from appliance.settings.schema import Settings, StorageSetting
from appliance.storage import names

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/**/README.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)|<(https?:[^>\s]+)>")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
#: Pages of the appliance itself, and examples of addresses.
OWN = ("http://mtp-appliance.local", "http://10.")
PATH = re.compile(r"`((?:appliance|tests)(?:/[\w.]+)*/?)`")
MAKE = re.compile(r"(?:`|^ {4})make ([a-z-]+)", re.MULTILINE)
COMMAND = re.compile(r"mtp-appliance ([a-z]+)([^\n`#]*)")
OPTION = re.compile(r"(?<!\S)(--[a-z-]+)")
OPERATION = re.compile(r"\b([A-Z][a-z]+(?:[A-Z][A-Za-z]*)+\d*)\b")


def text(name: str) -> str:
    return (ROOT / name).read_text()


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", text("Makefile"), re.MULTILINE))


def spec_name(member: str) -> str:
    """GET_DEVICE_INFO as the specification writes it: GetDeviceInfo."""
    return "".join(
        {"ids": "IDs"}.get(word, word.capitalize()) for word in member.lower().split("_")
    )


each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


def anchors(document: Path) -> set[str]:
    """Name the places in a document that a link may lead to, as GitHub does."""
    headings = HEADING.findall(re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL))
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for inside, outside in LINK.findall(document.read_text()):
        link = inside or outside
        if re.match(r"https?:", link):
            good = link.startswith(("https://", *OWN)) and "example" not in link
        else:
            name, _, anchor = link.partition("#")
            target = document.parent / name if name else document
            good = target.exists() and (not anchor or anchor in anchors(target))
        broken += [] if good else [link]
    assert broken == []


@each_document
def test_named_files_exist(document: Path) -> None:
    named = PATH.findall(document.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_page_is_led_to_from_the_readme() -> None:
    pages = {f"docs/{path.name}" for path in ROOT.glob("docs/*.md")}
    assert pages <= {link.partition("#")[0] for link, _ in LINK.findall(text("README.md"))}


def test_pictures_are_described_and_can_be_drawn() -> None:
    for document in DOCUMENTS:
        for described, name in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", document.read_text()):
            assert len(described.split()) > 3, f"{document.name}: {name}"
            ElementTree.parse(document.parent / name)


@each_document
def test_named_make_targets_exist(document: Path) -> None:
    assert set(MAKE.findall(document.read_text())) <= targets()


def test_readme_names_its_two_commands() -> None:
    assert {"run", "test"} <= set(MAKE.findall(text("README.md")))


@each_document
def test_named_commands_and_options_exist(document: Path) -> None:
    for verb, rest in COMMAND.findall(document.read_text()):
        first = (rest.split() or [""])[0]
        words = (
            [verb, first]
            if verb in ("storage", "trash", "gadget", "update") and re.fullmatch("[a-z-]+", first)
            else [verb]
        )
        shown = subprocess.run(
            [sys.executable, "-m", "appliance", *words, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 0, f"mtp-appliance {verb}"
        assert set(OPTION.findall(rest)) <= set(OPTION.findall(shown.stdout)), f"{verb}{rest}"


def test_the_settings_file_in_the_docs_is_good() -> None:
    example = text("docs/serve.md").partition("```toml\n")[2].partition("```")[0]
    document = tomllib.loads(example)
    settings, findings = interpret(document)
    assert (findings.errors, findings.warnings) == ([], [])
    assert set(document["storages"][0]) == {item.name for item in fields(StorageSetting)}
    assert settings.trash_days == Settings().trash_days


def test_the_docs_have_the_table_of_lights() -> None:
    assert patterns.table() in text("docs/lights.md")


def test_the_drawing_says_what_the_text_says() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", text("docs/lights.md"), re.DOTALL)
    settings, findings = interpret(tomllib.loads(example))
    assert (findings.errors, findings.warnings) == ([], [])
    drawing = text("docs/wiring.svg")
    for pin, number in ((12, settings.leds_pins[0]), (16, settings.button_pin)):
        assert f">pin {pin}<" in drawing
        assert f">GPIO {number}<" in drawing
        assert f"pin {pin}, which is GPIO {number}" in text("docs/lights.md")
    assert f"leds.pins = {list(settings.leds_pins)}" in drawing
    assert f"button.pin = {settings.button_pin}" in drawing


def test_the_settings_for_the_card_are_good() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", text("docs/flash.md"), re.DOTALL)
    settings, findings = interpret(tomllib.loads(example))
    assert (findings.errors, findings.warnings) == ([], [])
    assert settings.wifi_page


def test_the_man_page_has_the_table_of_lights() -> None:
    assert patterns.manual() in text("overlay/usr/share/man/man1/mtp-appliance.1")


def test_the_docs_have_all_settings() -> None:
    assert examples.table_of_settings() in text("docs/settings.md")


def test_operations_are_listed() -> None:
    section = text("ARCHITECTURE.md").partition("## Operations")[2].partition("\n## ")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert set(OPERATION.findall(table)) == {spec_name(code.name) for code in OPERATIONS}


def first_column(text: str) -> str:
    """The words of a table's first column; a cell may go on in the next line."""
    cells = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    return " ".join(cell for cell in cells if not cell.startswith("---"))


def test_the_docs_have_the_table_of_names() -> None:
    section = text("docs/files.md").partition("## Files and their names")[2].partition("\n## ")[0]
    assert first_column(section) == first_column(names.__doc__ or "")


def test_changelog_has_this_version() -> None:
    assert re.search(rf"^## .*\b{re.escape(appliance.__version__)}\b", text("CHANGELOG.md"), re.M)
