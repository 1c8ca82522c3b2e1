# SPDX-License-Identifier: GPL-3.0-or-later
"""What no form of ours sends: nonsense for every route, ways out in names, planted cookies."""

import io
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.web.appliance import HOST, PASSWORD, FakeAppliance, Visitor, visitor
from webui import create_app
from webui.security import FORM_LIMIT

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
    """All that takes a form; what ends the session is the last."""
    found = [each.rule for each in app.url_map.iter_rules() if "POST" in (each.methods or ())]
    return sorted(found, key=lambda rule: (rule == "/logout", rule))


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


@pytest.mark.parametrize("turn", range(len(WAYS_OUT)))
def test_any_value_in_any_field_of_any_form(owner: Visitor, fake: FakeAppliance, turn: int) -> None:
    fields = turned(FIELDS, turn) | {"token": owner.token()}
    for path in posts(owner.client.application):
        answer = owner.client.post(path, base_url=owner.base, data=fields)
        assert_no_defect(answer, path)
        assert answer.status_code not in (400, 403), f"{path} was not asked"
    assert len(fake.calls) > 20


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
NO_FORMS: dict[str, tuple[bytes, str]] = {
    "no body": (b"", FORM),
    "JSON": (b'{"token": "x"}', "application/json"),
    "no UTF-8": (b"token=%ff%fe&name=\xff\xfe", FORM),
    "no boundary": (b"--x\r\n\r\n", "multipart/form-data"),
    "another boundary": (b"--y\r\n\r\nx\r\n--y--", PARTS),
    "no kind": (b"\0\1\2", ""),
}


@pytest.mark.parametrize("body", NO_FORMS)
def test_a_body_that_is_no_form_is_refused_everywhere(
    owner: Visitor, fake: FakeAppliance, body: str
) -> None:
    data, kind = NO_FORMS[body]
    fake.calls.clear()
    for path in posts(owner.client.application):
        answer = owner.client.post(path, base_url=owner.base, data=data, content_type=kind)
        assert answer.status_code == 400, path
    assert fake.calls == []


TOKEN, END = b"@", b"--x--\r\n"
READ, REFUSED, TOO_MUCH = 303, 400, 413


def part(name: str, data: bytes = b"x", *, file: str = "", more: str = "") -> bytes:
    named = f'name="{name}"; filename="{file}"' if file else f'name="{name}"'
    return f"--x\r\nContent-Disposition: form-data; {named}\r\n{more}\r\n".encode() + data + b"\r\n"


def parts(*some: bytes) -> bytes:
    return part("token", TOKEN) + b"".join(some) + END


def in_letters(charset: str) -> tuple[bytes, str, int]:
    kind = f"Content-Type: text/plain; charset={charset}\r\n"
    return parts(part("name", b"\xff\xfe", more=kind)), f"{PARTS}; charset={charset}", READ


#: One route of each kind: fields, a storage's name, a text, a file.
KINDS = (
    "/settings/change",
    "/storage/rename",
    "/maintenance/restore",
    "/maintenance/update/upload",
)
#: What one who may sends: a body, in which the token goes, its kind, and what it comes to.
BODIES: dict[str, tuple[bytes, str, int]] = {
    "no letters": (b"token=@&name=%ff%fe&text=%c0%80&trash.days=%ed%a0%80", FORM, READ),
    "no UTF-8": (b"token=@&name=\xff\xfe", FORM, REFUSED),
    "token twice": (b"token=@&token=x&trash.days=7", FORM, READ),
    "many fields": (b"token=@" + b"&a=b" * 10_000 + b"&trash.days=7", FORM, READ),
    "too long": (b"token=@&name=" + b"x" * FORM_LIMIT, FORM, TOO_MUCH),
    "no end": (parts(part("name")).removesuffix(END), PARTS, REFUSED),
    "many parts": (parts(part("name") * 500), PARTS, TOO_MUCH),
    "a long part": (parts(part("name", b"x" * (FORM_LIMIT + 1))), PARTS, TOO_MUCH),
    "files": (parts(*(part(each, file="f") for each in FIELDS)), PARTS, READ),
    "no files": (parts(part("bundle"), part("file")), PARTS, READ),
    "a long head": (parts(part("name", more=f"X: {'x' * 100_000}\r\n")), PARTS, READ),
    **{each: in_letters(each) for each in ("nonsense", "idna", "utf-16-be")},
}


@pytest.mark.parametrize("body", BODIES)
def test_an_odd_form_of_one_who_may(owner: Visitor, fake: FakeAppliance, body: str) -> None:
    data, kind, expected = BODIES[body]
    data = data.replace(TOKEN, owner.token().encode())
    fake.calls.clear()
    for path in KINDS:
        answer = owner.client.post(path, base_url=owner.base, data=data, content_type=kind)
        assert answer.status_code == expected, path
    assert bool(fake.calls) == (expected == READ), fake.calls


@pytest.mark.parametrize("turn", range(len(WAYS_OUT)))
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
@pytest.mark.parametrize(
    ("path", "field", "wrong"), [("/login", "password", 401), ("/password", "old", 422)]
)
def test_who_tries_passwords_gets_few(
    fake: FakeAppliance, path: str, field: str, wrong: int
) -> None:
    """From one address, whatever else is different; and the right one has to wait as well."""
    fake.claim()
    app = create_app(fake.config())
    owner = Visitor(app.test_client())
    owner.log_in()
    statuses = []
    for number in range(15):
        who = owner if path == "/password" else Visitor(app.test_client())
        headers = {"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"}
        data = {"token": who.token(), field: f"password {number}"}
        answer = who.client.post(path, base_url=who.base, data=data, headers=headers)
        statuses.append(answer.status_code)
    assert statuses == [wrong] * 5 + [429] * 10
    right = {field: PASSWORD, "again": PASSWORD} | {"password": PASSWORD}
    assert owner.post(path, **right).status_code == 429
    assert visitor(fake).post("/login", password=PASSWORD).status_code == 429
