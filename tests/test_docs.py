# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents say what is so: files, commands, options and operations that they name exist."""

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

import appliance
from appliance.leds import patterns
from appliance.mtp.operations import OPERATIONS
from appliance.settings import examples
from appliance.settings.interpretation import interpret
from appliance.settings.schema import Settings, StorageSetting
from appliance.storage import names

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(ROOT.glob("*.md"))
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(document: Path) -> None:
    named = LINK.findall(document.read_text()) + PATH.findall(document.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_make_targets_exist(document: Path) -> None:
    assert set(MAKE.findall(document.read_text())) <= targets()


def test_readme_names_its_two_commands() -> None:
    assert {"run", "test"} <= set(MAKE.findall(text("README.md")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
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


def test_the_settings_file_in_the_readme_is_good() -> None:
    example = text("README.md").partition("```toml\n")[2].partition("```")[0]
    document = tomllib.loads(example)
    settings, findings = interpret(document)
    assert (findings.errors, findings.warnings) == ([], [])
    assert set(document["storages"][0]) == {item.name for item in fields(StorageSetting)}
    assert settings.trash_days == Settings().trash_days


def test_the_readme_has_the_table_of_lights() -> None:
    assert patterns.table() in text("README.md")


def test_the_man_page_has_the_table_of_lights() -> None:
    assert patterns.manual() in text("overlay/usr/share/man/man1/mtp-appliance.1")


def test_the_readme_has_all_settings() -> None:
    assert examples.table_of_settings() in text("README.md")


def test_operations_are_listed() -> None:
    section = text("ARCHITECTURE.md").partition("## Operations")[2].partition("\n## ")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert set(OPERATION.findall(table)) == {spec_name(code.name) for code in OPERATIONS}


def first_column(text: str) -> str:
    """The words of a table's first column; a cell may go on in the next line."""
    cells = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    return " ".join(cell for cell in cells if not cell.startswith("---"))


def test_readme_has_the_table_of_names() -> None:
    section = text("README.md").partition("## Files and their names")[2].partition("\n## ")[0]
    assert first_column(section) == first_column(names.__doc__ or "")


def test_changelog_has_this_version() -> None:
    assert re.search(rf"^## .*\b{re.escape(appliance.__version__)}\b", text("CHANGELOG.md"), re.M)
