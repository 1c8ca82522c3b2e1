# SPDX-License-Identifier: GPL-3.0-or-later
"""`make torture` runs these for as long as it is told; the test suite runs them shortly.

`--seconds N` is for each harness and road, `--seed N` where it begins. Without, nothing is random.
"""

from collections.abc import Iterator

import pytest

from tests.protocol.conftest import connect
from tests.torture.budget import Budget

__all__ = ["connect"]

_told: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, help="how long each harness works")
    parser.addoption("--seed", type=int, default=1, help="where its randomness begins")


@pytest.fixture
def budget(request: pytest.FixtureRequest) -> Iterator[Budget]:
    seconds = request.config.getoption("--seconds", None)
    given = Budget(seconds, request.config.getoption("--seed", 1))
    yield given
    _told.extend(f"{request.node.name}: {figure}" for figure in given.figures)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _told:
        terminalreporter.write_line(line)
