# SPDX-License-Identifier: GPL-3.0-or-later
"""The appliance as it has booted, and the PC at its cable."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance import cable, units
from tests.appliance.pc import Pc
from tests.appliance.settings_file import SETTINGS, STORAGE, edit

SHARE = Path("/srv/share")


@pytest.fixture(autouse=True)
def booted() -> Iterator[None]:
    """Nothing is started by a test; each waits for what the boot, or the test before, brings."""
    units.wait_until_active(units.RESPONDER)
    cable.wait_until_on_the_bus()
    yield
    print(units.journal())


@pytest.fixture
def share() -> Iterator[Path]:
    """The folder that is served; what a test leaves in it goes."""
    yield SHARE
    for each in SHARE.iterdir():
        if each.is_file():
            each.unlink()


@pytest.fixture(scope="session")
def pc() -> Iterator[Pc]:
    pc = Pc()
    pc.make()
    yield pc
    pc.remove()


@pytest.fixture
def settings_as_they_were() -> Iterator[None]:
    before = SETTINGS.read_text() if SETTINGS.exists() else f"version = 1\n{STORAGE}"
    yield
    edit(before)
