# SPDX-License-Identifier: GPL-3.0-or-later
"""Root's helper: what it does is what its table says, whoever asks and whatever they say."""

import base64
import io
import json
import pwd
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from appliance import places
from appliance.control import ask
from appliance.errors import ApplianceError
from appliance.services import control_socket, factory_reset, helper, helper_verbs, journal
from appliance.services.control_socket import Answers, Verb
from appliance.services.host import LinuxHost
from appliance.settings import examples, passwords
from appliance.settings.schema import Settings
from appliance.settings.store import SettingsFile
from tests.fakes.ptpip_client import PATIENCE
from tests.unit.services.activated import start
from tests.unit.settings.test_files import obstacles

PAGE, STRANGER = 4242, 4243


class Rig:
    """The helper's table at a socket, with programs that are only noted."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.ran: list[str] = []
        self.fails = ""
        self.user = 0
        self.clock: list[float] = []
        monkeypatch.setattr(control_socket, "process_and_user", lambda _: (7, self.user))
        monkeypatch.setattr(LinuxHost, "set_clock", self._set_clock)
        monkeypatch.setattr(places, "SETTINGS", path.parent / "etc" / "settings.toml")
        monkeypatch.setattr(places, "SECRETS", path.parent / "secrets")
        self.table = helper_verbs.verbs(self._run)
        answers = Answers(lambda: self.table, {PAGE: tuple(self.table)})
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, args=(answers,), daemon=True)
        self._thread.start()

    def _run(self, command: Sequence[str]) -> None:
        self.ran.append(" ".join(command))
        if self.ran[-1] == self.fails:
            raise ApplianceError(f"{self.fails} failed")

    def _set_clock(self, timestamp: float) -> None:
        self.clock.append(timestamp)

    def _serve(self, answers: Answers) -> None:
        while True:
            try:
                answers.to(self._listener.accept()[0])
            except OSError:
                return

    def ask(self, verb: str, **arguments: Any) -> Any:
        return ask(self.path, verb, **arguments)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listener.close()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    rig = Rig(tmp_path / "h.sock", monkeypatch)
    yield rig
    rig.close()


def test_the_table_is_closed(rig: Rig) -> None:
    known = {
        *("restart", "power off", "clock set", "logs", "report", "doctor", "factory reset"),
        *("secret set", "update status", "update find", "update check", "update install"),
        *("update roll back", "update confirm"),
    }
    assert set(rig.table) == known
    for verb in ("", "run", "settings set", "__init__", "restart ", "RESTART", "clock"):
        with pytest.raises(ApplianceError, match="not understood"):
            rig.ask(verb)


def test_what_switches_the_machine(rig: Rig) -> None:
    rig.user = PAGE
    rig.ask("restart")
    rig.ask("power off")
    assert rig.ran == [
        "systemctl --no-block restart mtp-appliance.target",
        "systemctl --no-block poweroff",
    ]


@pytest.mark.parametrize("user", [STRANGER, 1, 65534])
def test_another_user_is_refused_everything(rig: Rig, user: int) -> None:
    rig.user = user
    for verb in rig.table:
        with pytest.raises(ApplianceError, match="may not do that"):
            rig.ask(verb)
    assert rig.ran == []


HUGE = "x" * 500_000
NO_TIMES: list[Any] = [
    *("1700000000", None, True, [], {}, -1, 0, 1e300, 10**400),
    *(float("nan"), float("inf")),
]
NO_SOURCES: list[Any] = ["", "ssh", "../x", "all\0", HUGE, 1, None, []]
NO_COUNTS: list[Any] = [0, -1, 2001, 10**30, "5", 1.5, True, None]
NO_PLACES: list[Any] = [
    *("--vacuum-size=1", "s=1 --rotate", "a\0", "é", "A" * 3, HUGE),
    *(1, None, []),
]
NO_BUNDLES: list[Any] = ["", "/etc/shadow", "/srv/share/../x", "/srv/share/x\0", HUGE, 1, None, []]
HASH = passwords.hash_password("a good password")
NO_SECRETS: list[Any] = [
    *("", "name", "../web.password", "web.password\0", "/etc/shadow", "WEB.PASSWORD"),
    *(HUGE, 1, None, [], ["web.password"], {}),
]
NO_HASHES: list[Any] = [
    *("a good password", "scrypt$1$2$3$4$5", f"{HASH}\n", f"{HASH}\n{HASH}", "\0hidden", HUGE),
    *(1, None, [], {}, True),
]
NO_PASSPHRASES: list[Any] = [
    *("7 bytes", "x" * 65, "with\na line", "schlüssel", "\0hidden", HUGE),
    *(12345678, None, [], {}, True),
]
BAD_ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "restart": [{"unit": "sshd.service"}, {"": 1}],
    "power off": [{"when": "now"}],
    "clock set": [
        {},
        *[{"time": each} for each in NO_TIMES],
        {"time": 1_800_000_000, "zone": "x"},
    ],
    "logs": [
        {},
        {"source": "all"},
        {"lines": 5},
        *[{"source": each, "lines": 5} for each in NO_SOURCES],
        *[{"source": "all", "lines": each} for each in NO_COUNTS],
        *[{"source": "all", "lines": 5, "after": each} for each in NO_PLACES],
        {"source": "all", "lines": 5, "file": "/etc/shadow"},
    ],
    "report": [{"path": "/etc/shadow"}],
    "doctor": [{"root": "/tmp"}],
    "secret set": [
        {},
        {"key": "web.password"},
        {"value": HASH},
        *[{"key": each, "value": HASH} for each in NO_SECRETS],
        *[{"key": "web.password", "value": each} for each in NO_HASHES],
        *[{"key": "wifi.passphrase", "value": each} for each in NO_PASSPHRASES],
        {"key": "web.password", "value": HASH, "directory": "/tmp"},
    ],
    "factory reset": [{"root": "/tmp"}, {"keep": True}],
    "update status": [{"root": "/tmp"}],
    "update find": [{"folder": "/root"}],
    "update check": [{}, *[{"path": each} for each in NO_BUNDLES], {"path": "x", "keys": []}],
    "update install": [{}, *[{"path": each, "older": True} for each in NO_BUNDLES]],
    "update roll back": [{"version": "0.1.0"}],
    "update confirm": [{"version": "0.1.0"}],
}


_REFUSALS = r"not understood|that is no|no place|is taken from|the value is"


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [(verb, each) for verb, all_of_them in BAD_ARGUMENTS.items() for each in all_of_them],
)
def test_bad_arguments_do_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, verb: str, arguments: dict[str, Any]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was carried out")

    monkeypatch.setattr(journal, "_ask", never)
    monkeypatch.setattr(helper_verbs, "factory_reset", never)
    with pytest.raises(ApplianceError, match=_REFUSALS):
        rig.ask(verb, **arguments)
    assert (rig.ran, rig.clock) == ([], [])
    assert not places.SECRETS.exists()


def test_every_verb_is_tried_with_bad_arguments(rig: Rig) -> None:
    assert set(BAD_ARGUMENTS) == set(rig.table)


@pytest.mark.parametrize(
    "said",
    [
        b'{"verb": "restart"',
        b'{"verb": "restart", "arguments": []}\n',
        b'{"verb": ["restart"]}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
        b"x" * (1 << 20) + b"xxxx\n",
    ],
)
def test_nonsense(rig: Rig, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(rig.path))
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        assert b'"error"' in client.recv(1 << 16)
    assert rig.ran == []
    rig.ask("restart")


def test_the_clock(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.ask("clock set", time=1_800_000_000.5)
    assert rig.clock == [1_800_000_000.5]
    monkeypatch.undo()
    monkeypatch.setattr(LinuxHost, "may_set_clock", False)
    with pytest.raises(ApplianceError, match="not to be set from here"):
        helper_verbs.clock_set(1_800_000_000)


# The journal


@pytest.fixture
def journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journalctl that notes how it was called, and says what lies in `said`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "journalctl"
    script.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$@" >"{tmp_path}/called"\n'
        f'case "$*" in *gone*) exit 1 ;; esac\nexec cat "{tmp_path}/said"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return tmp_path


def entry(message: object, **more: object) -> str:
    base = {"__REALTIME_TIMESTAMP": "1700000000500000", "__CURSOR": "s=1;i=2"}
    return json.dumps({**base, "MESSAGE": message, "PRIORITY": "4", **more}) + "\n"


def test_lines_of_the_journal(rig: Rig, journalctl: Path) -> None:
    (journalctl / "said").write_text(
        entry("WATCH   it", _SYSTEMD_UNIT="mtp-appliance.service")
        + entry([104, 105, 255], _SYSTEMD_UNIT="mtp-appliance-web.service")
        + entry("Started it", UNIT="mtp-appliance-apply.service", _SYSTEMD_UNIT="init.scope")
        + "no json\n[1]\n"
        + entry(None, _TRANSPORT="kernel", __CURSOR="s=1;i=9")
    )
    found = rig.ask("logs", source="all", lines=2000)
    assert [(each["source"], each["text"]) for each in found["lines"]] == [
        ("responder", "WATCH   it"),
        ("web", "hi�"),
        ("gadget", "Started it"),
        ("kernel", ""),
    ]
    assert {each["time"] for each in found["lines"]} == {1_700_000_000.5}
    assert {each["priority"] for each in found["lines"]} == {4}
    assert found["cursor"] == "s=1;i=9"


def test_secrets_are_left_out_of_the_log(rig: Rig, journalctl: Path) -> None:
    hashed = passwords.hash_password("a good password")
    (journalctl / "said").write_text(
        entry(f"saw {hashed}") + entry("psk=hunter2hunter2") + entry("from 02:11:22:33:44:55")
    )
    told = json.dumps(rig.ask("logs", source="web", lines=10))
    for secret in (hashed, hashed.rpartition("$")[2], "hunter2", "02:11:22"):
        assert secret not in told


def test_only_what_is_newer(rig: Rig, journalctl: Path) -> None:
    (journalctl / "said").write_text("")
    assert rig.ask("logs", source="leds", lines=7, after="s=1;i=2") == {
        "lines": [],
        "cursor": "s=1;i=2",
    }
    called = (journalctl / "called").read_text().splitlines()
    assert "--after-cursor=s=1;i=2" in called
    assert "--lines=7" in called
    assert "_SYSTEMD_UNIT=mtp-appliance-leds.service" in called
    assert "_TRANSPORT=kernel" not in called


def test_a_place_that_is_not_there_any_more(rig: Rig, journalctl: Path) -> None:
    (journalctl / "said").write_text(entry("the last line"))
    found = rig.ask("logs", source="kernel", lines=7, after="s=gone")
    assert [each["text"] for each in found["lines"]] == ["the last line"]


def test_there_is_no_journal(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ApplianceError, match="journal cannot be read"):
        rig.ask("logs", source="all", lines=10)


# Secrets


@pytest.mark.parametrize(
    ("key", "value"),
    [("web.password", HASH), ("wifi.passphrase", "correct horse"), ("wifi.passphrase", "")],
)
def test_a_secret_is_set(rig: Rig, tmp_path: Path, key: str, value: str) -> None:
    rig.user = PAGE
    rig.ask("secret set", key=key, value=value)
    assert (tmp_path / "secrets" / key).read_text() == f"{value}\n"
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == ["secrets"]


# The rest


def test_report_and_doctor(rig: Rig) -> None:
    made = rig.ask("report")
    assert made["name"].startswith("mtp-appliance-report-")
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(made["data"]))) as archive:
        assert "doctor.json" in archive.namelist()
    assert {"about", "grade", "text", "advice"} == set(rig.ask("doctor")[0])


def test_a_factory_reset_forgets_what_was_set_and_touches_no_file(tmp_path: Path) -> None:
    settings, secrets, kept, page = (
        tmp_path / each.relative_to("/")
        for each in (places.SETTINGS, places.SECRETS, places.STATE, places.PAGE_STATE)
    )
    for each in (settings.parent, kept, page / "uploads", tmp_path / "srv"):
        each.mkdir(parents=True)
    (tmp_path / "srv" / "holiday.jpg").write_bytes(b"1")
    settings.write_text('name = "Kitchen"\n')
    file = SettingsFile(settings, kept, secrets=secrets)
    file.read()
    file.set({"web.password": passwords.hash_password("a good password"), "trash.days": 3})
    file.read()
    (kept / "state.json").write_text('{"friendly_name": "Mine"}')
    (kept / "boot.digest").write_text("1234")
    (page / "session.key").write_bytes(b"key")
    (page / "uploads" / "bundle").write_bytes(b"key")
    (page / "link").symlink_to(tmp_path / "srv", target_is_directory=True)
    factory_reset.factory_reset(tmp_path)
    found = file.read().settings
    assert (found.name, found.web_password, found.trash_days) == ("", "", Settings().trash_days)
    assert [each.name for each in kept.iterdir() if "good" not in each.name] == ["boot.digest"]
    assert list(page.iterdir()) == []
    assert (tmp_path / "srv" / "holiday.jpg").read_bytes() == b"1"
    with pytest.raises(ApplianceError, match="no change to undo"):
        file.before()


@obstacles
@pytest.mark.parametrize(
    ("place", "name"),
    [
        *((places.SETTINGS, each) for each in ("", ".new", ".lock")),
        *((places.STATE, each) for each in ("settings.good.toml", "settings.before.toml")),
        *((places.STATE, each) for each in ("state.json", "state.json.new")),
    ],
)
def test_a_factory_reset_stumbles_over_nothing(
    tmp_path: Path, obstacle: Callable[[Path], None], place: Path, name: str
) -> None:
    """It is the way back from a responder that somebody has taken over."""
    settings, secrets, kept, page = (
        tmp_path / each.relative_to("/")
        for each in (places.SETTINGS, places.SECRETS, places.STATE, places.PAGE_STATE)
    )
    for each in (settings.parent, kept, page):
        each.mkdir(parents=True)
    (settings.parent / "elsewhere").touch()
    (page / "session.key").touch()
    settings.write_text('name = "Kitchen"\n')
    file = SettingsFile(settings, kept, keeps=False, secrets=secrets)
    file.set_secrets({"web.password": HASH})
    where = tmp_path / place.relative_to("/")
    if place == places.STATE:
        where /= name
    else:
        where = where.with_name(f".{where.name}.lock" if name == ".lock" else where.name + name)
    where.unlink(missing_ok=True)
    obstacle(where)
    factory_reset.factory_reset(tmp_path)
    found = file.read()
    assert (found.settings.name, found.settings.web_password) == ("", "")
    assert found.findings.errors == []
    assert list(page.iterdir()) == []
    assert not (kept / "state.json").exists()
    assert settings.read_text() == examples.shipped()


def test_a_factory_reset_that_breaks_off_ends_the_wifi_before_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the page were nobody's in that network."""
    settings, secrets, kept = (
        tmp_path / each.relative_to("/") for each in (places.SETTINGS, places.SECRETS, places.STATE)
    )
    settings.parent.mkdir(parents=True)
    settings.write_text('[wifi]\nnetwork = "Home"\npage = true\n')
    file = SettingsFile(settings, kept, keeps=False, secrets=secrets)
    file.set_secrets({"web.password": HASH})
    monkeypatch.setattr(SettingsFile, "forget_secrets", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        factory_reset.factory_reset(tmp_path)
    found = file.read().settings
    assert (found.wifi_network, found.wifi_page, found.web_password) == ("", False, HASH)


def test_a_page_directory_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    page = tmp_path / places.PAGE_STATE.relative_to("/")
    page.parent.mkdir(parents=True)
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv" / "file").touch()
    page.symlink_to(tmp_path / "srv", target_is_directory=True)
    with pytest.raises(ApplianceError, match="is a link"):
        factory_reset.factory_reset(tmp_path)
    assert (tmp_path / "srv" / "file").exists()


@pytest.mark.parametrize("fails", ["", "the reset", "the stop"])
def test_a_factory_reset_has_the_responder_out_of_the_way(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """One that was taken over could else change at once what is reset."""
    done: list[str] = []

    def reset() -> None:
        done.extend([*rig.ran, "reset"])
        if fails == "the reset":
            raise ApplianceError("no room")

    monkeypatch.setattr(helper_verbs, "factory_reset", reset)
    rig.fails = "systemctl stop mtp-appliance.service" if fails == "the stop" else ""
    with pytest.raises(ApplianceError, match="no room") if fails == "the reset" else nullcontext():
        rig.ask("factory reset")
    assert done == ["systemctl stop mtp-appliance.service", "reset"]
    assert rig.ran[1:] == ["systemctl --no-block restart mtp-appliance.service"]


@pytest.mark.parametrize(("script", "fails"), [("exit 0", False), ("exit 3", True)])
def test_a_program_that_fails_is_told_of(tmp_path: Path, script: str, fails: bool) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    if not fails:
        helper_verbs.run([str(program)])
        return
    for command in (str(program), str(tmp_path / "none")):
        with pytest.raises(ApplianceError):
            helper_verbs.run([command])


# The process


def test_without_a_socket_handed_over_it_says_so() -> None:
    with pytest.raises(ApplianceError, match="nobody listens"):
        helper.run(1.0)


def test_it_answers_at_systemds_socket_and_ends_when_nobody_asks(tmp_path: Path) -> None:
    path = tmp_path / "helper.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        process = start(listener, "helper", "--idle", "1")
        with pytest.raises(ApplianceError, match="not understood"):
            ask(path, "nothing")
        said, _ = process.communicate(timeout=3 * PATIENCE)
        assert process.returncode == 0, said
        assert "IDLE" in said


def test_it_ends_at_once_when_it_is_to(tmp_path: Path) -> None:
    path = tmp_path / "helper.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        process = start(listener, "helper", "--idle", "600")
        with pytest.raises(ApplianceError, match="not understood"):
            ask(path, "nothing")
        process.terminate()
        process.communicate(timeout=3 * PATIENCE)
        assert process.returncode == 0


def test_who_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    table: dict[str, Verb] = {"restart": lambda: None, "factory reset": lambda: None}
    monkeypatch.setattr(helper, "PAGE_USER", "root")
    monkeypatch.setattr(helper, "BUTTON_USER", "daemon")
    button = pwd.getpwnam("daemon").pw_uid
    assert helper.allowed(table) == {0: ("restart", "factory reset"), button: ("factory reset",)}
    monkeypatch.setattr(helper, "PAGE_USER", "no such user")
    assert helper.allowed(table) == {}
