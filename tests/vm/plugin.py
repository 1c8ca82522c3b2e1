# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs tests marked `guest` in the virtual Pi, as if they ran here.

`guest("appliance")` asks for the virtual Pi as systemd boots it, with `overlay/` installed. Tests
marked `boots` run here and start guests of their own, after all the others.

On the host, the first guest is booted in the background as soon as guest tests are collected, and
runs them in their order; each report is a line in a file that both share, and is given out here as
the result of the very test. Once the host has nothing of its own to run, the next guest works
beside the one that is reported. In the guest the same plugin picks the tests and writes the
reports.
"""

import json
import os
import time
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.vm import bridge
from tests.vm.bridge import Bridge
from tests.vm.machine import Kind

#: Where the guest finds its work and leaves its reports; nothing on the host.
SHARED = os.environ.get("MTP_APPLIANCE_GUEST")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that leaves the guest out."""
    group = parser.getgroup("guest", "the virtual Pi")
    group.addoption("--no-guest", action="store_true", help="leave out tests that need the guest")
    group.addoption(
        "--redirected",
        action="store_true",
        help="run all tests of clients over usbredir too, in a guest (half an hour more)",
    )
    group.addoption(
        "--guest-timeout",
        type=float,
        default=1800.0,
        help="seconds after which a test in the guest is given up (default 1800)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Become the host's half or the guest's."""
    if SHARED:
        config.pluginmanager.register(GuestHalf(config, Path(SHARED)), "guest-half")
    else:
        config.pluginmanager.register(HostHalf(config), "host-half")


def guest_of(item: pytest.Item) -> Kind | None:
    """Say in which guest a test is to run, None for here."""
    marker = item.get_closest_marker("guest")
    return None if marker is None else Kind(*(marker.args or (Kind.PLAIN,)))


def _boots(item: pytest.Item) -> bool:
    return item.get_closest_marker("boots") is not None


class HostHalf:
    """Sends guest tests away and reports what comes back."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._bridges: dict[Kind, Bridge] = {}
        self._left_out = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put guest tests last, so that the guest boots and works while the others run."""
        boots = [each for each in items if _boots(each)]
        here = [each for each in items if guest_of(each) is None and each not in boots]
        there = [each for kind in Kind for each in items if guest_of(each) is kind] + boots
        if self._config.getoption("--no-guest"):
            self._left_out = len(there)
            self._config.hook.pytest_deselected(items=there)
            there = []
        items[:] = here + there

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Boot the first guest when it is clear which tests it is to run."""
        if not self._config.option.collectonly:
            self._bridges = dict(self._needed(session.items))
        if self._bridges:
            next(iter(self._bridges.values())).start()
        try:
            return (yield)
        finally:
            for each in self._bridges.values():
                each.stop()

    def _needed(self, items: list[pytest.Item]) -> Iterator[tuple[Kind, Bridge]]:
        timeout = self._config.getoption("--guest-timeout")
        for kind in Kind:
            wanted = [each.nodeid for each in items if guest_of(each) is kind]
            if wanted:
                yield kind, Bridge(wanted, timeout, partial(bridge.new_guest, kind))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run a test here, or report a guest test's result instead."""
        kind, hook = guest_of(item), item.ihook
        if _boots(item):
            self._run_only()
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        if kind is None or kind not in self._bridges:
            # What has been set up is not kept for a test that does not run here.
            is_next_here = nextitem is not None and guest_of(nextitem) not in self._bridges
            runtestprotocol(item, nextitem=nextitem if is_next_here else None)
        else:
            self._run_only(kind, *self._next_after(kind))
            for report in self._reports(item, self._bridges[kind]):
                hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _next_after(self, kind: Kind) -> list[Kind]:
        kinds = list(self._bridges)
        return kinds[kinds.index(kind) + 1 :][:1]

    def _run_only(self, *kinds: Kind) -> None:
        """Let these guests work, and stop the others."""
        for kind, each in self._bridges.items():
            if kind in kinds:
                each.begin()
            else:
                each.stop()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was left out, and what went wrong before a test could."""
        for kind, each in self._bridges.items():
            if each.stillborn:
                text = f"A guest ({kind}) died while it booted; another took its place:"
                terminalreporter.write_line(f"{text}\n{each.stillborn}")
        if self._left_out:
            terminalreporter.write_line(f"{self._left_out} tests in the guest left out: --no-guest")

    def _reports(self, item: pytest.Item, guest: Bridge) -> Iterator[pytest.TestReport]:
        for message in guest.messages(item.nodeid):
            if "failure" in message:
                yield _failure(item, message["failure"])
                continue
            report = self._config.hook.pytest_report_from_serializable(
                config=self._config, data=message["report"]
            )
            yield _revived(report)


def _revived(report: pytest.TestReport) -> pytest.TestReport:
    """Make tuples again of what JSON has made lists of; a skip's reason is taken from one."""
    if isinstance(report.longrepr, list):
        report.longrepr = tuple(report.longrepr)
    file, line, name = report.location
    report.location = file, line, name
    report.sections = [(head, text) for head, text in report.sections]
    report.user_properties = [(key, value) for key, value in report.user_properties]
    return report


def _failure(item: pytest.Item, text: str) -> pytest.TestReport:
    now = time.time()
    return pytest.TestReport(
        item.nodeid, item.location, dict.fromkeys(item.keywords, 1), "failed", text, "call",
        start=now, stop=now,
    )  # fmt: skip


class GuestHalf:
    """Picks the tests that the host asked for, and writes their reports."""

    def __init__(self, config: pytest.Config, shared: Path) -> None:
        self._config = config
        self._wanted: list[str] = json.loads((shared / "wanted.json").read_text())
        self._reports = (shared / "reports.jsonl").open("a", buffering=1)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the tests that are wanted, in the order of the host."""
        found = {each.nodeid: each for each in items}
        items[:] = [found[each] for each in self._wanted if each in found]
        for each in self._wanted:
            if each not in found:
                self._write(nodeid=each, failure="pytest in the guest finds no such test")
                self._write(nodeid=each, finished=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write a report; where a test skips is said as the host has it, relative to the root."""
        if isinstance(report.longrepr, tuple):
            path, line, reason = report.longrepr
            report.longrepr = (os.path.relpath(path, self._config.rootpath), line, reason)
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._write(nodeid=report.nodeid, report=data)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Write that a test is over."""
        self._write(nodeid=nodeid, finished=True)

    def _write(self, **message: Any) -> None:
        self._reports.write(json.dumps(message) + "\n")
