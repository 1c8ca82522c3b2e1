# SPDX-License-Identifier: GPL-3.0-or-later
"""Claiming, logging in and out, sessions, wrong passwords, and settings that cannot be read."""

import errno
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.settings import passwords
from appliance.settings.secret_files import SecretFiles
from appliance.update.bundle import MAX_SIZE
from tests.web.appliance import HOST, PASSWORD, FakeAppliance, Visitor, visitor
from webui import create_app
from webui.attempts import Attempts
from webui.limits import body_limit
from webui.security import FORM_LIMIT
from webui.sessions import Sessions


def is_in(who: Visitor) -> bool:
    return who.get("/settings").status_code == 200


def test_first_visit_claims(fake: FakeAppliance) -> None:
    who, late = visitor(fake), visitor(fake)
    assert "Make it yours" in who.get("/").text
    answer = who.post("/claim", name="Kitchen", password=PASSWORD, again=PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    settings = fake.settings.read().settings
    assert settings.name == "Kitchen"
    assert passwords.verify_password(PASSWORD, settings.web_password)
    assert is_in(who)
    assert late.get("/").headers["Location"] == "/login"
    assert late.post("/claim", name="Mine", password=PASSWORD, again=PASSWORD).status_code == 403
    assert late.get("/claim").headers["Location"] == "/login"


def test_two_who_claim_at_once_are_not_both_its_owners(fake: FakeAppliance) -> None:
    app = create_app(fake.config())
    first, second = Visitor(app.test_client()), Visitor(app.test_client())
    tokens = first.token(), second.token()  # both have the form before either sends it
    planned = threading.Event()

    def plan(**_: object) -> dict[str, object]:
        planned.set()
        time.sleep(0.5)  # as long as a small board takes for the hash
        return {"changes": [], "errors": {}}

    fake.answers["settings plan"] = plan
    early = threading.Thread(
        target=first.post, args=("/claim",), kwargs=_claiming(PASSWORD, tokens[0])
    )
    early.start()
    assert planned.wait(10)
    second.post("/claim", **_claiming("somebody else's", tokens[1]))
    early.join()
    assert [is_in(first), is_in(second)] == [True, False]
    assert len(fake.asked("secret set")) == 1


def test_who_comes_over_the_wifi_cannot_claim_it(fake: FakeAppliance) -> None:
    """The page is there for a moment after a reset; who is at the cable can."""
    app = create_app(fake.config())
    near, owner = Visitor(app.test_client(), over_wifi=True), Visitor(app.test_client())
    fake.claim()
    near.log_in()
    owner.log_in()
    fake.settings.forget_secrets()
    for path in ("/", "/claim", "/settings", "/live"):
        assert near.get(path).headers.get("Location", "/login") == "/login", path
    said = near.get("/login").text
    assert "on the PC that it is plugged into" in said
    assert 'href="/claim"' not in said
    words = {"name": "Mine", "password": PASSWORD, "again": PASSWORD}
    assert near.post("/claim", **words).status_code == 403
    assert near.post("/login", password="").status_code == 403
    assert fake.asked("secret set") == []
    assert not is_in(near)
    assert owner.post("/claim", **words).status_code == 303
    assert [is_in(owner), is_in(near)] == [True, False]
    near.log_in()
    assert is_in(near)


def _claiming(password: str, token: str) -> dict[str, str]:
    return {"name": "", "password": password, "again": password, "token": token}


def test_a_reset_leaves_the_page_that_runs_usable(owner: Visitor, fake: FakeAppliance) -> None:
    fake.settings.forget_secrets()
    shutil.rmtree(fake.config().state)
    fake.config().state.mkdir()
    assert [owner.get(path).status_code for path in ("/", "/claim")] == [200, 200]
    answer = owner.post("/claim", name="", password=PASSWORD, again=PASSWORD)
    assert (answer.status_code, is_in(owner)) == (303, True)


def test_a_full_card_keeps_nobody_out(
    stranger: Visitor, fake: FakeAppliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("webui.sessions.write_atomically", full)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    stranger.log_in()
    assert [stranger.get(path).status_code for path in ("/", "/storage/trash")] == [200, 200]


@pytest.mark.parametrize(
    ("password", "again", "complaint"),
    [
        ("short", "short", "8 characters at least"),
        ("long enough", "long enouhg", "not the same"),
        ("x" * 2000, "x" * 2000, "1024 at most"),
        ("", "", "8 characters at least"),
    ],
)
def test_claim_wants_a_good_password(
    fake: FakeAppliance, password: str, again: str, complaint: str
) -> None:
    who = visitor(fake)
    answer = who.post("/claim", name="<Kitchen>", password=password, again=again)
    assert answer.status_code == 422
    assert complaint in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "&lt;Kitchen&gt;" in answer.text
    assert fake.asked("secret set") == []
    assert not is_in(who)


def test_claim_wants_a_good_name(fake: FakeAppliance) -> None:
    fake.answers["settings plan"] = {"changes": [], "errors": {"name": "is no name"}}
    answer = visitor(fake).post("/claim", name="\n", password=PASSWORD, again=PASSWORD)
    assert (answer.status_code, fake.asked("secret set")) == (422, [])


def test_log_out_ends_the_session_for_its_cookie_too(owner: Visitor) -> None:
    cookie = owner.client.get_cookie("mtp-appliance", domain="mtp-appliance.local")
    assert cookie is not None
    assert is_in(owner)
    assert owner.post("/logout").status_code == 303
    assert not is_in(owner)
    owner.client.set_cookie("mtp-appliance", cookie.value, domain="mtp-appliance.local")
    assert not is_in(owner)


def test_cookie_is_for_our_pages_and_links_to_them(stranger: Visitor) -> None:
    cookie = stranger.get("/login").headers["Set-Cookie"]
    words = cookie.split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(words)
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_what_another_site_sends_takes_no_cookie_away(
    stranger: Visitor, headers: dict[str, str]
) -> None:
    """Its form comes without our cookie; a new one in the answer would take the place of ours."""
    for path in ("/login", "/logout", "/language", "/claim"):
        answer = stranger.client.post(path, base_url=stranger.base, headers=headers)
        assert answer.status_code == 400
        assert "Set-Cookie" not in answer.headers


def test_session_outlives_the_process_but_not_the_password(
    owner: Visitor, fake: FakeAppliance
) -> None:
    cookie = owner.client.get_cookie("mtp-appliance", domain="mtp-appliance.local")
    assert cookie is not None
    again = visitor(fake)
    again.client.set_cookie("mtp-appliance", cookie.value, domain="mtp-appliance.local")
    assert is_in(again)
    new = "another password"
    assert owner.post("/password", old=PASSWORD, password=new, again=new).status_code == 303
    assert is_in(owner)
    assert not is_in(again)
    again.log_in(new)
    assert is_in(again)


@pytest.mark.parametrize("jump", [-40 * 365 * 86400, 5 * 365 * 86400])
def test_setting_the_clock_logs_nobody_out(
    owner: Visitor, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    assert is_in(owner)


def test_a_cookie_of_somebody_elses_making_counts_for_nothing(owner: Visitor) -> None:
    cookie = owner.client.get_cookie("mtp-appliance", domain="mtp-appliance.local")
    assert cookie is not None
    for bad in (cookie.value[:-2], f"e{cookie.value}", "x", "eyJzZXNzaW9uIjoieCJ9.x.x"):
        owner.client.set_cookie("mtp-appliance", bad, domain="mtp-appliance.local")
        assert not is_in(owner)


def test_lost_password_returns_to_nobodys(owner: Visitor, fake: FakeAppliance) -> None:
    fake.settings.set({"web.password": ""})
    assert not is_in(owner)
    assert owner.get("/settings").headers["Location"] == "/claim"


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [("wrong password", "long enough", "long enough"), (PASSWORD, "short", "short")],
)
def test_password_is_changed_by_who_knows_it(
    owner: Visitor, fake: FakeAppliance, old: str, new: str, again: str
) -> None:
    assert owner.post("/password", old=old, password=new, again=again).status_code == 422
    assert fake.asked("secret set") == []


@pytest.mark.usefixtures("long_waits")
def test_wrong_passwords_have_to_wait(stranger: Visitor) -> None:
    for _ in range(5):
        assert stranger.post("/login", password="wrong").status_code == 401
    answer = stranger.post("/login", password=PASSWORD)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.usefixtures("long_waits")
def test_the_wait_outlives_the_page_s_process(stranger: Visitor, fake: FakeAppliance) -> None:
    """Which ends when nobody looks for a while: whoever tries passwords knows how long."""
    for _ in range(5):
        assert stranger.post("/login", password="wrong").status_code == 401
    assert visitor(fake).post("/login", password=PASSWORD).status_code == 429
    kept = fake.config().state / "attempts.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.unlink()
    assert visitor(fake).post("/login", password=PASSWORD).status_code == 303


def test_attempts_wait_longer_each_time_and_not_for_ever(tmp_path: Path) -> None:
    now = [0.0]
    attempts = Attempts(tmp_path, lambda: now[0])
    waits = []
    for _ in range(20):
        attempts.was_wrong("a")
        waits.append(attempts.wait("a"))
    assert waits[:7] == [0, 0, 0, 0, 2, 4, 8]
    assert waits[-1] == 300
    now[0] += 300
    assert attempts.wait("a") == 0
    assert attempts.wait("b") == 0
    attempts.was_right("a")
    attempts.was_wrong("a")
    assert attempts.wait("a") == 0


@pytest.mark.parametrize("is_another_boot", [False, True])
def test_attempts_are_kept_over_restarts_and_boots_and_forgotten_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_another_boot: bool
) -> None:
    now = [1000.0]
    for _ in range(9):
        Attempts(tmp_path, lambda: now[0]).was_wrong("a")
    now[0] += 10
    if is_another_boot:
        now[0] = 5.0
        monkeypatch.setattr("webui.attempts.boot", lambda: "another")
    assert Attempts(tmp_path, lambda: now[0]).wait("a") == (32 if is_another_boot else 22)
    attempts = Attempts(tmp_path, lambda: now[0])
    now[0] += 86401
    assert attempts.wait("a") == 0
    attempts.was_wrong("a")
    assert attempts.wait("a") == 0


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a": 1}', '{"a": ["x", "", 0]}', "[" * 100_000, '{"a": [1e999, "", 0]}'],
)
def test_kept_attempts_that_are_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "attempts.json").write_text(text)
    attempts = Attempts(tmp_path)
    for _ in range(5):
        attempts.was_wrong("a")
    assert attempts.wait("a") > 0
    assert Attempts(tmp_path).wait("a") > 0


def test_a_card_that_is_full_forgives_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("webui.attempts.write_atomically", full)
    attempts = Attempts(tmp_path)
    for _ in range(5):
        attempts.was_wrong("a")
    assert attempts.wait("a") > 0


def test_a_flood_of_addresses_takes_no_memory_and_waits_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # which is not what is asked here
    attempts = Attempts(tmp_path, lambda: 0.0)
    attempts.was_wrong("x" * 65)
    for number in range(1000):
        attempts.was_wrong(str(number))
    assert attempts.wait("2000") > 0
    assert attempts.wait("1") == 0
    assert attempts.wait("x" * 65) > 0
    assert (tmp_path / "attempts.json").stat().st_size < 20_000


@pytest.mark.usefixtures("long_waits")
def test_who_tries_passwords_over_the_wifi_keeps_nobody_out_at_the_cable(
    fake: FakeAppliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where addresses are had for the asking: those of the flood wait together, the owner alone."""
    monkeypatch.setattr("webui.attempts._MOST", 4)
    monkeypatch.setattr("webui.attempts._FORGIVEN", 2)
    fake.claim()
    app = create_app(fake.config())
    near = Visitor(app.test_client(), over_wifi=True)
    for number in range(8):
        near.client.environ_base["REMOTE_ADDR"] = f"fe80::{number}"
        near.post("/login", password="wrong")
    near.client.environ_base["REMOTE_ADDR"] = "fe80::99"
    assert near.post("/login", password=PASSWORD).status_code == 429
    owner = Visitor(app.test_client())
    owner.log_in()
    assert is_in(owner)
    assert visitor(fake).post("/login", password=PASSWORD).status_code == 303


@pytest.mark.parametrize("text", ["version = ", "[trash]\ndays = 0\n", None])
def test_settings_that_cannot_be_read_are_no_open_door(
    fake: FakeAppliance, text: str | None
) -> None:
    path = fake.root / "settings.toml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    who = visitor(fake)
    assert who.get("/").status_code == 200
    assert who.get("/claim").headers["Location"] == "/"
    assert "cannot be read" in who.get("/login").text
    assert who.post("/claim", password=PASSWORD, again=PASSWORD).status_code == 403
    assert who.post("/login", password="").status_code == 403
    assert who.get("/settings").headers["Location"] == "/"


@pytest.mark.parametrize("damage", [bytes(80), b"scrypt", None], ids=["zeros", "torn", "fails"])
def test_a_password_that_cannot_be_read_is_not_told_as_a_wrong_one(
    fake: FakeAppliance, damage: bytes | None
) -> None:
    fake.claim()
    password = fake.root / "settings.secrets" / "web.password"
    good = password.read_bytes()
    password.unlink()
    if damage is None:
        password.mkdir()  # reading fails, as on a failing card
    else:
        password.write_bytes(damage)
    who = visitor(fake)
    for path in ("/", "/claim", "/settings", "/storage"):
        assert who.get(path).headers["Location"] == "/login", path
    said = who.get("/login").text
    assert "The password cannot be read" in said
    assert "reset-password.txt" in said
    assert 'name="password"' not in said
    assert 'href="/login"' in who.get("/help").text
    assert who.post("/login", password=PASSWORD).status_code == 403
    assert who.post("/claim", password=PASSWORD, again=PASSWORD).status_code == 403
    if damage is None:
        password.rmdir()
    password.write_bytes(good)
    who.log_in()
    assert is_in(who)


def test_a_password_that_could_not_be_read_for_a_moment_is_read_again(
    fake: FakeAppliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.claim()
    who = visitor(fake)

    def fail(*_: object) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(SecretFiles, "_read", fail)
        assert "The password cannot be read" in who.get("/login").text
    who.log_in()
    assert is_in(who)


def test_settings_that_break_later_leave_the_password_as_it_was(
    owner: Visitor, fake: FakeAppliance
) -> None:
    (fake.root / "settings.toml").write_text("version = ")
    assert is_in(owner)
    assert "has errors" in owner.get("/settings").text
    again = visitor(fake)
    again.log_in()
    assert is_in(again)


def test_sessions_are_bounded_and_survive_a_damaged_file(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    tokens = [sessions.begin("hash") for _ in range(20)]
    assert [sessions.is_good(each, "hash") for each in tokens] == 4 * [False] + 16 * [True]
    assert not sessions.is_good(tokens[-1], "other hash")
    assert not sessions.is_good(tokens[-1], "")
    assert tokens[-1] not in (tmp_path / "sessions.json").read_text()
    for damage in ("{", "[]", '{"a": 1}', '{"a": [1, 2]}', '{"a": ["m", "b", "x"]}'):
        (tmp_path / "sessions.json").write_text(damage)
        assert not Sessions(tmp_path).is_good(tokens[-1], "hash")


def test_sessions_end_when_nobody_uses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("webui.sessions.now", lambda: now[0])
    sessions = Sessions(tmp_path)
    used, unused = sessions.begin("hash"), sessions.begin("hash")
    for _ in range(4):
        now[0] += 4 * 3600
        assert sessions.is_good(used, "hash")
    assert not sessions.is_good(unused, "hash")


@pytest.mark.parametrize(
    "host",
    ["10.55.0.1", "10.55.0.1:8080", "[fe80::1]", "kitchen", "kitchen.local", "KITCHEN.local.",
     "mtp-appliance.local:80", "localhost:8080", "127.0.0.1"],
)  # fmt: skip
def test_own_names_and_addresses_work(stranger: Visitor, host: str) -> None:
    assert stranger.get("/help", headers={"Host": host}).status_code == 200


def test_changed_host_name_works_at_once(stranger: Visitor, fake: FakeAppliance) -> None:
    fake.settings.set({"network.host_name": "cellar"})
    assert stranger.get("/help", headers={"Host": "cellar.local"}).status_code == 200


def test_language_is_chosen_and_the_way_back_is_ours(stranger: Visitor) -> None:
    referer = {"Referer": "http://mtp-appliance.local/help"}
    data = {"token": stranger.token(), "language": "en"}
    answer = stranger.client.post("/language", base_url=stranger.base, data=data, headers=referer)
    assert answer.headers["Location"] == "/help"
    assert '<html lang="en">' in stranger.get("/help").text
    for bad in ("http://evil.example/x", "http://mtp-appliance.local//evil.example"):
        headers = {"Referer": bad}
        answer = stranger.client.post(
            "/language", base_url=stranger.base, data=data, headers=headers
        )
        assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    ("left", "back"),
    [
        (
            "/storage/browse?storage=/srv/share&path=a%20b",
            "/storage/browse?storage=/srv/share&path=a%20b",
        ),
        ("/maintenance/logs?source=kernel&text=usb", "/maintenance/logs?source=kernel&text=usb"),
        ("/settings/change", "/"),
        ("/maintenance/restore", "/"),
        ("/storage/add", "/"),
        ("/none", "/"),
    ],
)
def test_choosing_a_language_leads_back_to_a_page_that_is_there(
    owner: Visitor, left: str, back: str
) -> None:
    answer = owner.client.post(
        "/language",
        base_url=owner.base,
        data={"token": owner.token(), "language": "en"},
        headers={"Referer": f"{owner.base}{left}"},
    )
    assert answer.headers["Location"] == back
    assert owner.get(back).status_code == 200


def test_too_much_is_refused(owner: Visitor) -> None:
    assert owner.post("/settings", name="x" * (1 << 20)).status_code == 413
    assert owner.post("/storage/add", path="/", **{str(n): "" for n in range(2)}).status_code == 303


def test_what_is_large_is_kept_for_the_owner_alone(owner: Visitor) -> None:
    app, upload = owner.client.application, "/maintenance/update/upload"
    cookie = owner.client.get_cookie("mtp-appliance", domain=HOST)
    assert cookie is not None
    owners = f"mtp-appliance={cookie.value}"
    assert body_limit(app, upload, owners) > MAX_SIZE + FORM_LIMIT
    for path, cookies in (
        (upload, ""),
        (upload, "mtp-appliance=x"),
        ("/settings", owners),
        ("/none", owners),
        ("", "\xff;;=\0"),
    ):
        assert FORM_LIMIT < body_limit(app, path, cookies) < 4 * FORM_LIMIT, path
    owner.post("/logout")
    assert body_limit(app, upload, owners) < 4 * FORM_LIMIT


def test_nobody_else_reads_what_the_page_keeps(owner: Visitor, fake: FakeAppliance) -> None:
    state = fake.root / "state"
    owner.get("/settings")
    for path in ("session.key", "sessions.json", "settings.good.toml"):
        assert (state / path).stat().st_mode & 0o077 == 0, path
    assert state.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("host", "announced", "status"),
    [
        ("mtp-appliance-2.local", "mtp-appliance-2", 200),
        ("MTP-Appliance-2.local:80", "mtp-appliance-2", 200),
        ("mtp-appliance-2.local.", "mtp-appliance-2", 200),
        ("kitchen-12.local", "kitchen-12", 200),
        ("mtp-appliance-3.local", "mtp-appliance-2", 421),
        ("mtp-appliance-2", "mtp-appliance-2", 421),
        ("mtp-appliance-2.local", "", 421),
        ("mtp-appliance-2.local.evil.example", "mtp-appliance-2", 421),
        ("evil-2.local", "evil-2", 421),
        ("evil.local", "evil", 421),
    ],
)
def test_the_name_that_the_network_gave_it(
    fake: FakeAppliance, host: str, announced: str, status: int
) -> None:
    """Two of the same name in one network: Avahi calls the second one NAME-2.local."""
    app = create_app(replace(fake.config(), announced=lambda: announced))
    assert Visitor(app.test_client(), host).get("/help").status_code == status


def test_the_network_is_asked_only_for_what_looks_like_our_name(fake: FakeAppliance) -> None:
    asked: list[str] = []

    def announced() -> str:
        asked.append("asked")
        return ""

    client = create_app(replace(fake.config(), announced=announced)).test_client()
    for host in (HOST, "evil.example", "evil-2.local", "10.55.0.1"):
        Visitor(client, host).get("/help")
    assert asked == []
