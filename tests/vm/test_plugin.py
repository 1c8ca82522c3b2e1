# SPDX-License-Identifier: GPL-3.0-or-later
"""Both halves of the plugin, with this machine as the guest: what comes back is what went on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm.image import PROJECT

_CONFTEST = """
import os, pathlib, subprocess, sys
import tests.vm.bridge

pytest_plugins = ["tests.vm.plugin"]


class ThisMachine:
    def __init__(self, kind):
        self.folder = pathlib.Path(f"shared-{kind}")
        self.folder.mkdir()

    def start(self, command):
        environment = os.environ | {"MTP_APPLIANCE_GUEST": str(self.folder.absolute())}
        argv = command.replace("python3", sys.executable, 1)
        output = (self.folder / "output").open("wb")
        self.process = subprocess.Popen(argv, shell=True, env=environment, stdout=output)

    def running(self):
        return self.process.poll() is None

    def last_words(self, lines=40):
        return (self.folder / "output").read_text()

    def stop(self, *, keep=False):
        self.process.kill()
        self.process.wait()


tests.vm.bridge.new_guest = ThisMachine
"""

_HEAD = """
import os, pytest, warnings
pytestmark = pytest.mark.guest
"""


def _run(folder: Path, body: str, *options: str, head: str = _HEAD) -> str:
    """Run the tests of `body` through both halves; what the host's pytest says."""
    (folder / "conftest.py").write_text(_CONFTEST)
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n guest(kind): somewhere else\n boots: its own\n"
    )
    (folder / "test_it.py").write_text(head + body)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert "INTERNALERROR" not in done.stdout
    return done.stdout


def test_a_skip_stays_a_skip_with_its_reason(tmp_path: Path) -> None:
    said = _run(
        tmp_path,
        """
def test_skips(): pytest.skip("no such client here")
@pytest.mark.skip(reason="marked so")
def test_marked(): pass
@pytest.fixture
def broken(): pytest.skip("by its fixture")
def test_fixture(broken): pass
def test_passes(): pass
""",
        "--junitxml=report.xml",
    )
    assert "1 passed, 3 skipped" in said
    for reason in ("no such client here", "marked so", "by its fixture"):
        assert f": {reason}" in said
        assert reason in (tmp_path / "report.xml").read_text()


def test_an_expected_failure_stays_expected(tmp_path: Path) -> None:
    said = _run(
        tmp_path,
        """
@pytest.mark.xfail(reason="known", strict=True)
def test_xfail(): assert 1 == 2
""",
    )
    assert "1 xfailed" in said
    assert "known" in said


def test_a_failure_shows_its_traceback_and_what_was_printed(tmp_path: Path) -> None:
    said = _run(
        tmp_path,
        """
def test_fails():
    print("said before")
    answer = 41
    assert answer == 42, "the answer"
""",
    )
    assert "1 failed" in said
    assert "AssertionError: the answer" in said
    assert "assert answer == 42" in said
    assert "said before" in said


@pytest.mark.parametrize("where", ["set-up", "tear-down"])
def test_an_error_of_a_fixture_is_an_error(tmp_path: Path, where: str) -> None:
    before, after = ("1 / 0", "") if where == "set-up" else ("", "1 / 0")
    said = _run(
        tmp_path,
        f"""
@pytest.fixture
def thing():
    {before}
    yield 1
    {after}
def test_errs(thing): pass
""",
    )
    assert "1 error" in said
    assert "ZeroDivisionError" in said


def test_a_test_that_the_guest_does_not_find_fails_alone(tmp_path: Path) -> None:
    said = _run(
        tmp_path,
        """
if "MTP_APPLIANCE_GUEST" not in os.environ:
    def test_here_only(): pass
def test_both(): pass
""",
    )
    assert "1 failed, 1 passed" in said
    assert "no such test" in said


def test_a_guest_that_ends_says_its_last_words(tmp_path: Path) -> None:
    said = _run(tmp_path, "def test_ends(): os.write(1, b'the end'); os._exit(3)\n", "-s")
    assert "the guest ended before this test did" in said
    assert "1 failed" in said


def test_each_test_runs_in_the_guest_that_it_asks_for(tmp_path: Path) -> None:
    said = _run(
        tmp_path,
        """
@pytest.mark.guest("appliance")
def test_appliance(): assert os.environ["MTP_APPLIANCE_GUEST"].endswith("shared-appliance")
@pytest.mark.guest("plain")
def test_plain(): assert os.environ["MTP_APPLIANCE_GUEST"].endswith("shared-plain")
def test_any(): assert os.environ["MTP_APPLIANCE_GUEST"].endswith("shared-plain")
""",
    )
    assert "3 passed" in said


def test_the_next_guest_works_beside_the_first(tmp_path: Path) -> None:
    said = _run(
        tmp_path,
        """
import pathlib, time
HERE = pathlib.Path("the-next-was-here")
@pytest.mark.guest("appliance")
def test_appliance(): HERE.touch()
@pytest.mark.guest("plain")
def test_plain():
    deadline = time.monotonic() + 60
    while not HERE.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
""",
    )
    assert "2 passed" in said


@pytest.mark.parametrize(("options", "said_so"), [((), "2 passed"), (("--no-guest",), "1 passed")])
def test_what_boots_guests_of_its_own_runs_here_and_last(
    tmp_path: Path, options: tuple[str, ...], said_so: str
) -> None:
    body = """
@pytest.mark.boots
def test_boots(): assert "MTP_APPLIANCE_GUEST" not in os.environ
def test_here(): assert "MTP_APPLIANCE_GUEST" not in os.environ
"""
    said = _run(tmp_path, body, "-v", *options, head="import os, pytest\n")
    assert said_so in said
    assert "test_here" in said.partition("test_boots")[0] or options


def test_one_of_its_own_guests_comes_after_a_module_of_both_kinds(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import pytest\n@pytest.mark.boots\ndef test_own(): pass\n"
    )
    body = """
def test_here(): pass
@pytest.mark.guest
def test_there(): pass
"""
    assert "3 passed" in _run(tmp_path, body, head="import pytest\n")
