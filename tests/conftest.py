# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share."""

import logging
from collections.abc import Iterator

import pytest

from appliance.storage.errors import HEALTH

pytest_plugins = ["tests.vm.plugin"]


@pytest.fixture(autouse=True)
def the_log_is_as_it_was() -> Iterator[None]:
    """What a test makes of the log is not for the tests after it: a command sets the level."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for each in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(each)


@pytest.fixture(autouse=True)
def no_disk_has_failed() -> Iterator[None]:
    """What a test lets a disk do is not for the tests after it: it is remembered for a process."""
    yield
    HEALTH.trouble = ""
