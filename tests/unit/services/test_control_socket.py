# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket between the command line and the service."""

import errno
import json
import logging
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.control import ask, socket_path
from appliance.errors import ApplianceError, ExitStatus
from appliance.services import control_socket
from appliance.services.control_socket import ControlServer
from tests.fakes.ptpip_client import PATIENCE
from tests.unit.settings.test_files import obstacles

WAIT = 4 * PATIENCE


def fail() -> None:
    raise ApplianceError("it is broken", hint="mend it")


def crash() -> None:
    raise RuntimeError("a defect")


def run_full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "/secret/name")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    verbs: dict[str, Any] = {
        "add": lambda a, b: a + b,
        "fail": fail,
        "crash": crash,
        "run full": run_full,
        "echo": lambda text: text,
    }
    with ControlServer(tmp_path / "run" / "c.sock", lambda: verbs):
        yield tmp_path / "run" / "c.sock"


def test_asking(path: Path) -> None:
    assert ask(path, "add", a=1, b=2) == 3
    text = "\n\0ümläut" * 10_000
    assert ask(path, "echo", text=text) == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_others_may_ask_for_what_they_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verbs: dict[str, Any] = {"lock": lambda: "locked", "empty": lambda: "emptied"}
    path = tmp_path / "c.sock"
    with ControlServer(path, lambda: verbs, {4242: ("lock",)}):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert ask(path, "empty") == "emptied"
        monkeypatch.setattr(control_socket, "process_and_user", lambda _: (7, 4242))
        assert ask(path, "lock") == "locked"
        with pytest.raises(ApplianceError, match="may not do that") as refused:
            ask(path, "empty")
        assert refused.value.status == ExitStatus.NEEDS_ROOT
        monkeypatch.setattr(control_socket, "process_and_user", lambda _: (7, 4243))
        for verb in verbs:
            with pytest.raises(ApplianceError, match="may not do that"):
                ask(path, verb)


def test_errors_come_as_they_are(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ApplianceError, match=r"it is broken \(mend it\)"):
        ask(path, "fail")
    for verb, arguments in (("nothing", {}), ("add", {}), ("add", {"a": 1, "b": "2"})):
        with pytest.raises(ApplianceError, match="not understood"):
            ask(path, verb, **arguments)
    with caplog.at_level(logging.ERROR), pytest.raises(ApplianceError, match="the service failed"):
        ask(path, "crash")
    assert ask(path, "add", a=1, b=2) == 3


def test_a_full_disk_is_told_and_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ApplianceError, match="failed: No space left"):
        ask(path, "run full")
    assert "No space left" in caplog.text
    assert "secret" not in caplog.text
    assert ask(path, "add", a=1, b=2) == 3


@pytest.mark.parametrize(
    "said",
    [b"\n", b"hello\n", b"[]\n", b"{}\n", b'{"verb": []}\n', b'{"verb": "add", "arguments": 1}\n'],
)
def test_nonsense_is_answered(path: Path, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(said)
        assert "error" in json.loads(client.recv(1 << 16))


def test_who_says_nothing_or_goes_away_is_in_nobodys_way(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b'{"verb": "echo", "arguments": {"text": "')
    assert ask(path, "add", a=1, b=2) == 3


@contextmanager
def asking(path: Path, verb: str) -> Iterator[list[Any]]:
    """Ask in a thread, which has ended after this with the answer."""
    answers: list[Any] = []
    asker = threading.Thread(target=lambda: answers.append(ask(path, verb)))
    asker.start()
    yield answers
    asker.join(WAIT)
    assert not asker.is_alive()


def test_what_takes_long_holds_up_nobody_who_asks_for_what_is_at_hand(tmp_path: Path) -> None:
    """As a trash of thousands of files that is emptied, while somebody presses the button."""
    begun, go = threading.Event(), threading.Event()

    def empty() -> bool:
        begun.set()
        return go.wait(WAIT)

    path = tmp_path / "c.sock"
    verbs = {"empty": empty, "lock": lambda: "locked", "set": lambda: "set"}
    with ControlServer(path, lambda: verbs, at_once=("empty", "lock")):
        with asking(path, "empty") as emptied:
            assert begun.wait(WAIT)
            assert [ask(path, "lock"), ask(path, "set")] == ["locked", "set"]
            assert emptied == []
            go.set()
        assert emptied == [True]


def test_what_changes_the_same_is_done_one_after_the_other(tmp_path: Path) -> None:
    begun, go = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        begun.set()
        go.wait(WAIT)
        order.append("first")

    path = tmp_path / "c.sock"
    verbs = {"first": first, "second": lambda: order.append("second"), "look": lambda: None}
    with (
        ControlServer(path, lambda: verbs, at_once=("look",)),
        asking(path, "first"),
    ):
        assert begun.wait(WAIT)
        with asking(path, "second"):
            ask(path, "look")
            go.set()
    assert order == ["first", "second"]


def test_who_ask_for_ever_end_neither_the_service_nor_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "_PATIENCE", 0.5)
    path = tmp_path / "c.sock"
    with ExitStack() as stack:
        with ControlServer(path, lambda: {"look": lambda: 1}, at_once=("look",)):
            for _ in range(3 * control_socket._MOST):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(str(path))
            assert ask(path, "look") == 1
        with pytest.raises(ApplianceError, match="no appliance listens"):
            ask(path, "look")


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="no appliance listens") as caught:
        ask(tmp_path / "none.sock", "add")
    assert caught.value.status is ExitStatus.NOT_RUNNING


def test_a_socket_that_was_left_behind_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(ApplianceError, match="no appliance listens"):
        ask(path, "add")
    with ControlServer(path, lambda: {"one": lambda: 1}):
        assert ask(path, "one") == 1
    assert not path.exists()


@obstacles
def test_it_is_asked_whatever_lay_in_its_place(
    tmp_path: Path, obstacle: Callable[[Path], None]
) -> None:
    """Its folder stays when the service begins anew, which somebody may have taken over."""
    place = tmp_path / "control.sock"
    obstacle(place)
    with ControlServer(place, lambda: {"echo": lambda text: text}):
        assert ask(place, "echo", text="it") == "it"


def test_the_second_of_two_does_without(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ControlServer(path, lambda: {"add": lambda a, b: 0}):
        assert "another appliance" in caplog.text
        assert ask(path, "add", a=1, b=2) == 3
    assert ask(path, "add", a=1, b=2) == 3


def test_a_path_that_is_too_long_is_no_reason_not_to_serve(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ControlServer(tmp_path / ("x" * 200) / "c.sock", dict):
        assert "cannot be used" in caplog.text


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b"}, "/run/a/control.sock"),
        ({"XDG_RUNTIME_DIR": "/run/user/5"}, "/run/user/5/mtp-appliance/control.sock"),
    ],
)
def test_where_it_is(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert socket_path() == Path(expected)
    assert socket_path(Path("/state")) == Path("/state/control.sock")
