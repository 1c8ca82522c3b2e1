# SPDX-License-Identifier: GPL-3.0-or-later
"""Every route, as one who may and as those who may not; a new route has to come into the table."""

import errno
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from flask import Flask

from appliance.errors import ApplianceError
from tests.web.appliance import (
    ANSWERS,
    HOSTILE,
    PASSWORD,
    FakeAppliance,
    Visitor,
    appliance,
    visitor,
)
from webui import create_app


@dataclass(frozen=True, slots=True)
class Case:
    """What a person sends, what comes back, and what the services are asked for that."""

    status: int
    fields: dict[str, Any] = field(default_factory=dict)
    query: str = ""
    asks: dict[str, dict[str, Any]] = field(default_factory=dict)
    open_to_strangers: bool = False
    open_before_claim: bool = False


def open_to_all(status: int, **more: Any) -> Case:
    return Case(status, open_to_strangers=True, open_before_claim=True, **more)


SHARE = {"storage": "/srv/share"}
NEW = "a new password"
CASES: dict[tuple[str, str], Case] = {
    ("static", "GET"): open_to_all(200),
    ("help.index", "GET"): open_to_all(200),
    ("help.light", "GET"): open_to_all(200),
    ("help.icon", "GET"): open_to_all(200),
    ("home.index", "GET"): Case(200, open_before_claim=True),
    ("home.live", "GET"): Case(200, open_before_claim=True),
    ("home.eject", "POST"): Case(303, asks={"storage lock": {}}),
    ("home.connect", "POST"): Case(303, asks={"storage unlock": {}}),
    ("home.reconnect", "POST"): Case(303, asks={"reconnect": {}}),
    ("home.read_only", "POST"): Case(
        303,
        {"read_only": "yes"},
        asks={"storage read-only": SHARE | {"read_only": True, "lasting": True}},
    ),
    ("access.claim_page", "GET"): Case(302, open_before_claim=True),
    ("access.claim_it", "POST"): Case(303, open_before_claim=True),
    ("access.index", "GET"): open_to_all(302),
    ("access.login", "POST"): Case(303, {"password": PASSWORD}, open_to_strangers=True),
    ("access.logout", "POST"): open_to_all(303),
    ("access.password", "GET"): Case(200),
    ("access.change_password", "POST"): Case(
        303, {"old": PASSWORD, "password": NEW, "again": NEW}, asks={"secret set": {}}
    ),
    ("access.language", "POST"): open_to_all(303, fields={"language": "de"}),
    ("settings.index", "GET"): Case(200),
    ("settings.review", "POST"): Case(200, {"trash.days": "7"}, asks={"settings plan": {}}),
    ("settings.change", "POST"): Case(
        303, {"trash.days": "7"}, asks={"settings set": {"values": {"trash.days": "7"}}}
    ),
    ("settings.again", "POST"): Case(200, {"trash.days": "7"}),
    ("settings.show_undo", "GET"): Case(200, asks={"settings undo": {"dry": True}}),
    ("settings.undo", "POST"): Case(303, asks={"settings undo": {"dry": False}}),
    ("storage.index", "GET"): Case(200),
    ("storage.add", "POST"): Case(
        303,
        {"path": "/srv/music", "name": "", "read_only": "yes"},
        asks={
            "storage add": {
                "path": "/srv/music",
                "name": "music",
                "read_only": True,
                "lasting": True,
            }
        },
    ),
    ("storage.rename", "POST"): Case(
        303, SHARE | {"name": "New"}, asks={"storage rename": SHARE | {"name": "New"}}
    ),
    ("storage.read_only", "POST"): Case(
        303,
        SHARE | {"read_only": "no"},
        asks={"storage read-only": SHARE | {"read_only": False, "lasting": True}},
    ),
    ("storage.eject", "POST"): Case(303, SHARE, asks={"storage eject": SHARE}),
    ("storage.load", "POST"): Case(303, SHARE, asks={"storage load": SHARE}),
    ("storage.move", "POST"): Case(
        303, SHARE | {"to": "down"}, asks={"storage order": {"names": [HOSTILE, "Files"]}}
    ),
    ("storage.ask_to_remove", "GET"): Case(200, query="?storage=/srv/share"),
    ("storage.remove", "POST"): Case(
        303, SHARE, asks={"storage remove": SHARE | {"lasting": True}}
    ),
    ("storage.browse", "GET"): Case(
        200,
        query="?storage=/srv/share&path=a/b",
        asks={"storage browse": SHARE | {"path": "a/b"}},
    ),
    ("storage.trash", "GET"): Case(200),
    ("storage.restore", "POST"): Case(
        303,
        {"name": "x", "storage": "Files"},
        asks={"trash restore": {"name": "x", "storage": "Files"}},
    ),
    ("storage.ask_to_empty", "GET"): Case(200),
    ("storage.empty", "POST"): Case(303, asks={"trash empty": {"name": "", "storage": ""}}),
    ("maintenance.index", "GET"): Case(200),
    ("maintenance.backup", "GET"): Case(200, asks={"settings export": {}}),
    ("maintenance.review", "POST"): Case(
        200,
        {"file": (b"version = 1\n", "backup.toml")},
        asks={"settings import": {"text": "version = 1\n", "dry": True}},
    ),
    ("maintenance.restore", "POST"): Case(
        303,
        {"text": "version = 1\r\n"},
        asks={"settings import": {"text": "version = 1\n", "dry": False}},
    ),
    ("maintenance.report", "POST"): Case(200, asks={"report": {}}),
    ("maintenance.doctor", "GET"): Case(200, asks={"doctor": {}}),
    ("maintenance.clock", "POST"): Case(
        303, {"when": "2026-11-29T12:00:00"}, asks={"clock set": {"time": 1_795_953_600.0}}
    ),
    ("maintenance.ask_to_restart", "GET"): Case(200),
    ("maintenance.restart", "POST"): Case(200, asks={"restart": {}}),
    ("maintenance.ask_to_power_off", "GET"): Case(200),
    ("maintenance.power_off", "POST"): Case(200, asks={"power off": {}}),
    ("maintenance.ask_to_reset", "GET"): Case(200),
    ("maintenance.reset", "POST"): Case(303, {"word": " Reset "}, asks={"factory reset": {}}),
    ("logs.index", "GET"): Case(
        200,
        query="?source=kernel&text=alert",
        asks={"logs": {"source": "kernel", "lines": 2000, "after": ""}},
    ),
    ("logs.tail", "GET"): Case(
        200, query="?after=c1", asks={"logs": {"source": "all", "lines": 200, "after": "c1"}}
    ),
    ("logs.download", "GET"): Case(
        200,
        query="?source=nonsense",
        asks={"logs": {"source": "all", "lines": 2000, "after": ""}},
    ),
    ("update.index", "GET"): Case(200, asks={"update status": {}, "update find": {}}),
    ("update.state", "GET"): Case(200),
    ("update.upload", "POST"): Case(
        303, {"bundle": (b"bundle", "x.mtp-update")}, asks={"update check": {}}
    ),
    ("update.review", "GET"): Case(
        200, query="?path=/srv/share/x", asks={"update check": {"path": "/srv/share/x"}}
    ),
    ("update.install", "POST"): Case(
        200,
        {"path": "/srv/share/x"},
        asks={"update install": {"path": "/srv/share/x", "older": False}, "restart": {}},
    ),
    ("update.roll_back", "POST"): Case(200, asks={"update roll back": {}, "restart": {}}),
}


def routes(app: Flask) -> Iterator[tuple[str, str, str]]:
    """All that can be asked for: endpoint, method, path."""
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<path:filename>", "page.css")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield rule.endpoint, method, path


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    with appliance(tmp_path_factory.mktemp("routes")) as fake:
        found = routes(create_app(fake.config()))
        return {(endpoint, method): path for endpoint, method, path in found}


def send(
    who: Visitor, method: str, path: str, case: Case, *, token: bool = True, **headers: str
) -> Any:
    data = {
        key: (io.BytesIO(value[0]), value[1]) if isinstance(value, tuple) else value
        for key, value in case.fields.items()
    }
    if token and method == "POST":
        data["token"] = who.token()
    options: dict[str, Any] = {"data": data} if method == "POST" else {}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    options |= {"base_url": who.base, "headers": names, "buffered": True}
    return who.client.open(f"{path}{case.query}", method=method, **options)


def test_every_route_is_in_the_table(paths: dict[tuple[str, str], str]) -> None:
    assert set(paths) == set(CASES)


@pytest.fixture(params=sorted(CASES), ids=" ".join)
def key(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


Paths = dict[tuple[str, str], str]


def test_owner_gets_what_was_asked_for(
    key: tuple[str, str], paths: Paths, owner: Visitor, fake: FakeAppliance
) -> None:
    case = CASES[key]
    answer = send(owner, key[1], paths[key], case)
    assert answer.status_code == case.status, answer.text
    for verb, arguments in case.asks.items():
        given = fake.asked(verb)[-1]
        assert {name: given[name] for name in arguments} == arguments
    assert "scrypt$" not in answer.text
    if answer.mimetype == "text/html":
        assert "<script>alert" not in answer.text
        assert "style=" not in answer.text
        assert not re.search(r"<[^>]* on[a-z]+=", answer.text)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_stranger_is_refused(key: tuple[str, str], paths: Paths, stranger: Visitor) -> None:
    case = CASES[key]
    answer = send(stranger, key[1], paths[key], case)
    if case.open_to_strangers:
        assert answer.status_code != 403
        assert answer.headers.get("Location") != "/login" or key[0] == "access.logout"
    elif key[1] == "GET" and key[0] not in ("home.live", "logs.tail", "update.state"):
        assert (answer.status_code, answer.headers["Location"]) == (302, "/login")
    else:
        assert answer.status_code == 403


def test_before_the_claim_only_status_is_shown(
    key: tuple[str, str], paths: Paths, fake: FakeAppliance
) -> None:
    case, who = CASES[key], visitor(fake)
    answer = send(who, key[1], paths[key], case)
    if case.open_before_claim:
        assert answer.status_code in (200, 302, 303, 422)
        assert answer.headers.get("Location") != "/claim" or key[0] == "access.index"
    elif key[1] == "GET" and key[0] not in ("home.live", "logs.tail", "update.state"):
        assert (answer.status_code, answer.headers["Location"]) == (302, "/claim")
    else:
        assert answer.status_code == 403
    read_only = {"history", "settings plan", "secret set", "settings set"}
    assert {verb for verb, _ in fake.calls} <= read_only


@pytest.mark.parametrize("host", ["evil.example", "mtp-appliance.local.evil.example", "[::2]", ""])
def test_names_that_are_not_ours_get_nothing(paths: Paths, owner: Visitor, host: str) -> None:
    for key, case in CASES.items():
        answer = send(owner, key[1], paths[key], case, Host=host)
        assert answer.status_code == 421, key


POSTS = sorted(key for key in CASES if key[1] == "POST")


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("none", {}),
        ("ours", {"Origin": "http://evil.example"}),
        ("ours", {"Origin": "null"}),
        ("ours", {"Sec_Fetch_Site": "cross-site"}),
        ("ours", {"Sec_Fetch_Site": "same-site"}),
        ("another's", {}),
    ],
)
def test_writes_that_no_form_of_ours_has_sent_are_refused(
    paths: Paths, owner: Visitor, fake: FakeAppliance, token: str, headers: dict[str, str]
) -> None:
    other = visitor(fake).token()
    fake.calls.clear()
    for key in POSTS:
        case = CASES[key]
        if token == "another's":
            case = replace(case, fields=case.fields | {"token": other})
        answer = send(owner, "POST", paths[key], case, token=token == "ours", **headers)
        assert answer.status_code == 400, key
    assert fake.calls == []


def test_services_that_fail_are_no_defect_of_the_page(
    key: tuple[str, str], paths: Paths, owner: Visitor, fake: FakeAppliance
) -> None:
    words = f"it cannot: {HOSTILE}"
    for verb in (*ANSWERS, "settings set", "secret set"):
        fake.answers[verb] = ApplianceError(words, hint="try again")
    answer = send(owner, key[1], paths[key], CASES[key])
    assert answer.status_code in (200, 302, 303, 401, 422, 503)
    assert "<script>alert" not in answer.text or answer.mimetype != "text/html"
    if key[1] == "POST" and CASES[key].asks:
        said = answer.text if answer.status_code == 422 else owner.said()
        assert "it cannot: &lt;script&gt;" in said


def test_nobody_listens(key: tuple[str, str], paths: Paths, tmp_path: Path) -> None:
    with appliance(tmp_path) as fake:
        fake.claim()
        who = visitor(fake)
        who.log_in()
    answer = send(who, key[1], paths[key], CASES[key])
    assert answer.status_code in (200, 302, 303, 401, 422, 503)


@pytest.mark.parametrize(
    ("verb", "path", "back"),
    [
        ("settings undo", "/settings/undo", "/settings"),
        ("storage browse", "/storage/browse?storage=/srv/share&path=gone", "/storage"),
    ],
)
def test_what_is_not_there_any_more_is_no_failure_of_the_appliance(
    owner: Visitor, fake: FakeAppliance, verb: str, path: str, back: str
) -> None:
    fake.answers[verb] = ApplianceError("there is none")
    assert owner.get(path).headers["Location"] == back
    assert "there is none" in owner.get(back).text


@pytest.mark.parametrize(
    ("path", "back"), [("/read-only", "/"), ("/storage/read-only", "/storage")]
)
@pytest.mark.parametrize("wanted", ["yes", "no"])
def test_what_its_disk_keeps_read_only_is_told_so(
    owner: Visitor, fake: FakeAppliance, path: str, back: str, wanted: str
) -> None:
    """A card that is mounted read-only stays so whatever a person allows."""
    fake.answers["storage list"] = [{**ANSWERS["storage list"][0], "read_only": True}]
    assert owner.post(path, **SHARE, read_only=wanted).headers["Location"] == back
    said = owner.said()
    assert ("This stays read-only" in said) is (wanted == "no")
    assert ('class="note good"' in said) is (wanted == "yes")


def test_who_is_at_the_cable_has_the_answer_before_its_network_goes(
    owner: Visitor, fake: FakeAppliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui.pages.home._ANSWERED", 0)
    asked, answered = Event(), Event()

    def reconnect() -> None:
        asked.set()
        answered.wait(20)

    fake.answers["reconnect"] = reconnect
    owner.client.environ_base["REMOTE_ADDR"] = "10.55.0.2"
    answer = owner.post("/reconnect")
    assert (answer.status_code, 'id="wait"' in answer.text) == (200, True)
    answer.close()
    assert asked.wait(20)
    answered.set()


@pytest.mark.parametrize("listed", [ANSWERS["storage list"], []])
def test_a_storage_that_is_gone_moves_no_other(
    owner: Visitor, fake: FakeAppliance, listed: list[dict[str, Any]]
) -> None:
    fake.answers["storage list"] = listed
    assert owner.post("/storage/move", storage="/srv/gone", to="down").status_code == 303
    assert fake.asked("storage order") == []


def test_without_a_helper_nothing_is_offered_that_needs_one(
    key: tuple[str, str], paths: Paths, fake: FakeAppliance
) -> None:
    fake.claim()
    who = visitor(fake, helper=False)
    who.log_in()
    answer = send(who, key[1], paths[key], CASES[key])
    assert answer.status_code in (200, 302, 303, 401, 422, 503)
    assert not {"restart", "power off", "factory reset"} & {verb for verb, _ in fake.calls}


FULL = (507, "There is no room left on the card")
DEFECT = (500, "The log has the reason")


@pytest.mark.parametrize(
    "place", ["werkzeug.datastructures.FileStorage.save", "tempfile.TemporaryFile"]
)
@pytest.mark.parametrize(
    ("fault", "told"), [(errno.ENOSPC, FULL), (errno.EDQUOT, FULL), (errno.EIO, DEFECT)]
)
def test_a_card_that_is_full_is_said_to_be_so(
    owner: Visitor,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    fault: int,
    told: tuple[int, str],
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(place, full)
    case = Case(0, {"bundle": (bytes(100_000), "x.mtp-update")})
    answer = send(owner, "POST", "/maintenance/update/upload", case)
    assert answer.status_code == told[0]
    assert told[1] in answer.text


@pytest.mark.parametrize(("count", "more"), [(999, False), (1000, False), (1001, True)])
def test_long_lists_end_somewhere(
    owner: Visitor, fake: FakeAppliance, count: int, more: bool
) -> None:
    """A small board has no memory for a page of all that a PC may have deleted."""
    (kept,), (found, *_) = ANSWERS["trash list"], ANSWERS["storage browse"]
    fake.answers["trash list"] = [{**kept, "path": f"{n}."} for n in range(count)]
    fake.answers["storage browse"] = [{**found, "name": f"{n}."} for n in range(count)]
    trash = owner.get("/storage/trash").text
    assert fake.asked("trash list")[-1] == {"most": 1001}
    assert trash.count('action="/storage/trash/restore"') == min(1000, count)
    assert f">{count - 1}.</bdi>" in trash  # the newest
    assert trash.index("/storage/trash/empty") < trash.index("<table")
    folder = owner.get("/storage/browse?storage=/srv/share").text
    assert folder.count("<tr>") == 1 + min(1000, count)
    assert ["There are more" in each for each in (trash, folder)] == [more, more]


def test_the_log_is_searched_as_far_as_it_is_saved(owner: Visitor, fake: FakeAppliance) -> None:
    (line, *_) = ANSWERS["logs"]["lines"]
    lines = [{**line, "text": f"needle {n}" if n < 300 else "hay"} for n in range(2000)]

    def logs(**asked: Any) -> dict[str, Any]:
        return {"lines": lines[-asked["lines"] :], "cursor": "c1"}

    fake.answers["logs"] = logs
    found = owner.get("/maintenance/logs?text=Needle").text
    assert found.count("responder: needle") == 200
    assert "responder: needle 299" in found
    assert owner.get("/maintenance/logs").text.count("responder: hay") == 200
    none = owner.get("/maintenance/logs?text=thread").text
    assert "There are no such lines among the last 2000." in none


def test_other_methods_and_pages_are_refused(owner: Visitor) -> None:
    assert owner.get("/eject").status_code == 405
    answer = owner.get("/none")
    assert answer.status_code == 404
    assert owner.get("/static/../config.py").status_code == 404
