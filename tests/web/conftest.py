# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the pages share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.appliance import FakeAppliance, Visitor, appliance, visitor


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeAppliance]:
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
