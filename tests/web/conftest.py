# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the pages share."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.web.appliance import FakeAppliance, Visitor, appliance, visitor
from tests.web.browser import chromium
from webui import app, languages

_templates, _compiled = app._Templates, functools.cache(languages._compile)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the place for what templates become, which knows them by their content."""
    return tmp_path_factory.mktemp("templates")


@pytest.fixture(autouse=True)
def compiled_once(templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates and catalogues are compiled by the first test that meets them, and no other."""
    monkeypatch.setattr("webui.app._Templates", lambda _: _templates(str(templates)))
    monkeypatch.setattr("webui.languages._compile", _compiled)


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a password costs on purpose need not be paid in every test."""
    monkeypatch.setattr("appliance.settings.passwords._LOG2_N", 4)


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has to wait does so for longer than a test takes on a machine that is busy."""
    monkeypatch.setattr("webui.attempts._FIRST", 300.0)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAppliance]:
    monkeypatch.setattr("webui.machine.PATIENCE", 0)  # its status stays as it is
    with appliance(tmp_path) as found:
        yield found


@pytest.fixture
def stranger(fake: FakeAppliance) -> Visitor:
    """One who is not logged in, at an appliance that is somebody's."""
    fake.claim()
    return visitor(fake)


@pytest.fixture
def owner(stranger: Visitor) -> Visitor:
    stranger.log_in()
    return stranger
