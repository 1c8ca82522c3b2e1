# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of a settings file that this machine does not have, or does not have yet."""

import json
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.services import roads as module
from appliance.services.roads import Road, serve_roads
from appliance.transports.ptpip_listen import Address
from tests.fakes.ptpip_client import PATIENCE, PtpIpClient
from tests.fakes.usbredir_guest import Guest, dial
from tests.unit.test_cli import COMMAND, ENVIRONMENT, ROOT, run, serving

AWAY = "192.0.2.1"  # TEST-NET-1 (RFC 5737)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)


class Places:
    """Places where one can serve or not, as a test wants it."""

    def __init__(self, *there: str) -> None:
        self.there = set(there)
        self.serving: list[str] = []

    def serve(self, places: object, stack: ExitStack) -> list[str]:
        names = list(map(str, places))  # type: ignore[call-overload]
        for name in names:
            if name not in self.there:
                raise ApplianceError(f"cannot listen at {name}")
        for name in names:
            self.serving.append(name)
            stack.callback(self.serving.remove, name)
        return [f"Ready at {', '.join(names)}."]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 3 * PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_there_is_served_and_the_rest_when_it_comes() -> None:
    places, told = Places("a", "c"), list[list[str]]()
    with ExitStack() as stack:
        tell = lambda errors: told.append([each.message for each in errors])  # noqa: E731
        roads = [Road(places.serve, ["a", "b"], False), Road(places.serve, ["c"], False)]
        assert serve_roads(roads, tell, stack) == ["Ready at c.", "Ready at a."]
        assert (places.serving, told) == (["c", "a"], [["cannot listen at b"]])
        places.there.add("b")
        wait_until(lambda: "b" in places.serving)
        wait_until(lambda: told[1:] == [[]])
    assert places.serving == []


def test_where_all_is_there_nothing_is_told() -> None:
    places, told = Places("a", "b"), list[object]()
    with ExitStack() as stack:
        lines = serve_roads([Road(places.serve, ["a", "b"], False)], told.append, stack)
        assert (lines, told) == (["Ready at a, b."], [])


def test_a_road_that_is_needed() -> None:
    with ExitStack() as stack, pytest.raises(ApplianceError, match="listen at b"):
        serve_roads([Road(Places("a").serve, ["a", "b"], True)], lambda _: None, stack)


# As a person has it: a settings file, and the service that is asked to mend it


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def write_settings(folder: Path, said: str) -> Path:
    (folder / "share").mkdir()
    path = folder / "settings.toml"
    path.write_text(f'{said}\n[[storages]]\npath = "{folder}/share"\nname = "Card"\n')
    return path


def asked(state: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return run(*words, "--socket", state / "control.sock")


def warned(state: Path) -> list[str]:
    try:
        status = json.loads((state / "status.json").read_text())
    except FileNotFoundError:  # it is written for the first time soon after the start
        return []
    codes = {"address-failed"}
    return [each["text"] for each in status["warnings"] if each["code"] in codes]


@contextmanager
def service(settings: Path, state: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Serve what a file says, over the roads that it names alone."""
    argv = [*COMMAND, "serve", "--settings", str(settings), "--state-dir", str(state)]
    with subprocess.Popen(argv, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 3 * PATIENCE)[0], "not ready"
            assert process.stdout.readline().startswith(b"Serving ")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("said", "where"),
    [
        (f'listen = ["{AWAY}"]', f"{AWAY}:15740"),
        ('listen = ["no-such-host.invalid"]', "no-such-host.invalid:15740"),
        ('usbredir = ["unix:{}/none/x.sock"]', "none/x.sock"),
        (f'usbredir = ["tcp:{AWAY}:4000"]', f"{AWAY}:4000"),
    ],
)
def test_an_address_that_is_not_here_takes_nothing_else_away(
    tmp_path: Path, state: Path, said: str, where: str
) -> None:
    settings = write_settings(tmp_path, said.format(tmp_path))
    with service(settings, state) as process:
        listed = asked(state, "storage", "list", "--json")
        assert [each["name"] for each in json.loads(listed.stdout)] == ["Card"], listed.stderr
        wait_until(lambda: warned(state))
        assert where in warned(state)[0]
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_the_others_of_the_same_list_are_served(tmp_path: Path, state: Path) -> None:
    settings = write_settings(tmp_path, f'listen = ["127.0.0.1:0", "{AWAY}"]')
    with service(settings, state) as process:
        assert process.stdout is not None
        said = process.stdout.readline().decode().split()[-1].rstrip(".\n")
        with PtpIpClient(Address("127.0.0.1", int(said.rpartition(":")[2]))) as pc:
            assert pc.call(0x1002, 1).ok
        wait_until(lambda: len(warned(state)) == 1)


def test_a_place_that_comes_is_served_and_nothing_is_wrong_any_more(
    tmp_path: Path, state: Path
) -> None:
    place = tmp_path / "later" / "x.sock"
    settings = write_settings(tmp_path, f'usbredir = ["unix:{place}"]')
    with serving("--settings", settings, "--state-dir", state):
        wait_until(lambda: warned(state))
        place.parent.mkdir()
        wait_until(lambda: not warned(state))
        with closing(Guest(dial(place))) as guest:
            guest.plug()


def test_an_address_of_the_command_line_is_an_error(tmp_path: Path, state: Path) -> None:
    settings = write_settings(tmp_path, 'listen = ["127.0.0.1:0"]')
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{other.getsockname()[1]}"
        done = run("serve", "--settings", settings, "--state-dir", state, "--listen", where)
    assert (done.returncode, where in done.stderr) == (1, True)
