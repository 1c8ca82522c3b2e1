# SPDX-License-Identifier: GPL-3.0-or-later
"""What no form of ours sends: nonsense for every route, ways out in names, planted cookies."""

import io
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.web.appliance import HOST, PASSWORD, FakeAppliance, Visitor, visitor
from webui import create_app

COOKIE = "mtp-appliance"
#: What reaches a verb of a service as it came; the services are tested to refuse it.
WAYS_OUT = (
    *("../../etc/passwd", "/etc/shadow", "..\\..\\x", "%2e%2e%2fx", "a\0b", "\ufffd", "\n"),
    *("<script>alert(1)</script>", "'; rm -rf /", "${7*7}{{7*7}}", "-x", "x" * 70_000, "\u202e"),
)
FIELDS = (
    *("name", "path", "storage", "to", "read_only", "word", "when", "text", "password", "again"),
    *("old", "language", "older", "trash.days", "wifi.passphrase", "kept", "leds.pins", "listen"),
)
QUERIES = ("storage", "path", "source", "text", "after", "next", "v", "lines")


def posts(app: Flask) -> list[str]:
    return sorted(each.rule for each in app.url_map.iter_rules() if "POST" in (each.methods or ()))


def gets(app: Flask) -> list[str]:
    found = (each for each in app.url_map.iter_rules() if "GET" in (each.methods or ()))
    return sorted(each.rule for each in found if not each.arguments)


def assert_no_defect(answer: TestResponse, what: str) -> None:
    assert answer.status_code < 500 or answer.status_code == 503, what
    if answer.mimetype == "text/html":
        assert "<script>alert" not in answer.text, what
        assert "${49}" not in answer.text, what


def turned(names: tuple[str, ...], turn: int) -> dict[str, str]:
    """Give each name another of the values; in as many turns as there are, each gets all."""
    return {name: WAYS_OUT[(at + turn) % len(WAYS_OUT)] for at, name in enumerate(names)}


@pytest.mark.parametrize("turn", range(0, len(WAYS_OUT), 3))
def test_any_value_in_any_field_of_any_form(owner: Visitor, turn: int) -> None:
    cookie, token = owner.client.get_cookie(COOKIE, domain=HOST), owner.token()
    assert cookie is not None
    for path in posts(owner.client.application):
        owner.client.set_cookie(COOKIE, cookie.value, domain=HOST)  # /logout is among them
        fields = turned(FIELDS, turn) | {"token": token}
        assert_no_defect(owner.client.post(path, base_url=owner.base, data=fields), path)


@pytest.mark.parametrize("name", ["Origin", "Referer"])
@pytest.mark.parametrize("value", ["http://[", "http://[::1", "http://\u2100", "//", "\xff", ":"])
def test_addresses_that_are_none(owner: Visitor, name: str, value: str) -> None:
    data = {"token": owner.token(), "language": "de"}
    headers = {name: value}
    answer = owner.client.post("/language", base_url=owner.base, data=data, headers=headers)
    assert answer.status_code == (400 if name == "Origin" else 303)
    assert answer.headers.get("Location", "/") == "/"


@pytest.mark.parametrize("modified", [2.0**62, -(2.0**62), 1e308, -1.0, 2.0**40])
def test_times_that_no_calendar_has(owner: Visitor, fake: FakeAppliance, modified: float) -> None:
    fake.answers["storage browse"] = [
        {"name": "future", "folder": False, "size": 1, "modified": modified}
    ]
    answer = owner.get("/storage/browse?storage=/srv/share")
    assert (answer.status_code, "future" in answer.text) == (200, True)


FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=x"
HEAD = b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n'
BODIES: dict[str, tuple[bytes, str]] = {
    "no body": (b"", FORM),
    "JSON": (b'{"token": "x"}', "application/json"),
    "no UTF-8": (b"token=%ff%fe&name=\xff\xfe", FORM),
    "no end": (HEAD + b"abc", PARTS),
    "no boundary": (b"--x\r\n\r\n", "multipart/form-data"),
    "another boundary": (b"--y\r\n\r\nx\r\n--y--", PARTS),
    "many parts": (HEAD + b"abc\r\n" + HEAD * 600 + b"--x--", PARTS),
    "many fields": (b"a=b&" * 50_000, FORM),
    "no kind": (b"\0\1\2", ""),
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_is_no_form_is_refused_everywhere(
    owner: Visitor, fake: FakeAppliance, body: str
) -> None:
    data, kind = BODIES[body]
    fake.calls.clear()
    for path in posts(owner.client.application):
        answer = owner.client.post(path, base_url=owner.base, data=data, content_type=kind)
        assert answer.status_code in (400, 413), path
    assert fake.calls == []


@pytest.mark.parametrize("turn", range(0, len(WAYS_OUT), 3))
def test_any_value_in_any_address(owner: Visitor, turn: int) -> None:
    for path in gets(owner.client.application):
        assert_no_defect(owner.get(path, query_string=turned(QUERIES, turn), buffered=True), path)


@pytest.mark.parametrize(
    "way", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "a%00"]
)
def test_there_is_no_way_out_of_the_files_of_the_page(owner: Visitor, way: str) -> None:
    answer = owner.get(f"/static/{way}", follow_redirects=True)
    assert answer.status_code in (404, 400)


@pytest.mark.parametrize(
    "name",
    ["../../evil", "/etc/evil", "..", "a\\..\\b", "x" * 5000, "<script>alert(1)</script>", ".\n"],
)
def test_what_is_uploaded_gets_no_name_of_its_sender_s(
    owner: Visitor, fake: FakeAppliance, name: str
) -> None:
    data: dict[str, Any] = {"token": owner.token(), "bundle": (io.BytesIO(b"bundle"), name)}
    answer = owner.client.post("/maintenance/update/upload", base_url=owner.base, data=data)
    assert answer.status_code == 303
    kept = [
        each for each in fake.root.rglob("*") if each.is_file() and each.read_bytes() == b"bundle"
    ]
    assert [str(each.relative_to(fake.root)) for each in kept] in (
        ["state/uploads/bundle.mtp-update"],
        [],  # a name that is none is as if nothing was chosen
    )


def test_a_cookie_that_was_planted_before_lets_nobody_in_after(fake: FakeAppliance) -> None:
    """Session fixation: who knows the visitor's cookie of before knows nothing after the login."""
    fake.claim()
    app = create_app(fake.config())
    attacker, victim = Visitor(app.test_client()), Visitor(app.test_client())
    attacker.token()
    planted = attacker.client.get_cookie(COOKIE, domain=HOST)
    assert planted is not None
    victim.client.set_cookie(COOKIE, planted.value, domain=HOST)
    token_of_before = victim.token()
    assert token_of_before == attacker.token()
    victim.log_in()
    assert victim.get("/settings").status_code == 200
    assert attacker.get("/settings").status_code == 302
    assert attacker.post("/settings/change", **{"trash.days": "7"}).status_code == 403
    assert victim.post("/eject", token=token_of_before).status_code == 400
    fresh = victim.client.get_cookie(COOKIE, domain=HOST)
    assert fresh is not None
    assert fresh.value != planted.value


@pytest.mark.usefixtures("long_waits")
def test_who_tries_passwords_gets_few(fake: FakeAppliance) -> None:
    """From one address, whatever else is different; and the right one has to wait as well."""
    fake.claim()
    app = create_app(fake.config())
    statuses = []
    for number in range(30):
        who = Visitor(app.test_client())
        headers = {"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"}
        data = {"token": who.token(), "password": f"password {number}"}
        answer = who.client.post("/login", base_url=who.base, data=data, headers=headers)
        statuses.append(answer.status_code)
    assert statuses == [401] * 5 + [429] * 25
    assert visitor(fake).post("/login", password=PASSWORD).status_code == 429
