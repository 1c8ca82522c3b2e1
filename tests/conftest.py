# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share."""

import logging
from collections.abc import Iterator

import pytest

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
