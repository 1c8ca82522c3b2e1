# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's languages: each says all that there is, with the same places for values."""

import re

import pytest
from babel.messages.catalog import Message

from appliance.settings.planning import plan
from appliance.settings.schema import Settings
from appliance.settings.values import value_of
from appliance.status import Direction, Session, Transfer
from tests import translations
from tests.unit.services.test_concerns import table
from tests.web.appliance import PASSWORD, FakeAppliance, Visitor, visitor
from tests.web.test_routes import CASES, routes
from webui.complaints import translate
from webui.languages import NAMES
from webui.sentences import advice, concern, progress, who

OTHERS = sorted(set(NAMES) - {translations.SOURCE})
PLACE = re.compile(r"%\(\w+\)[sd]|%%")


@pytest.mark.parametrize("language", OTHERS)
def test_everything_is_translated(language: str) -> None:
    assert translations.untranslated(language) == [], "make translations, then translate"


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_left_over(language: str) -> None:
    assert translations.left_over(language) == [], "make translations"


@pytest.mark.parametrize("language", OTHERS)
def test_places_for_values_are_the_same(language: str) -> None:
    for message in translations.read(language):
        if message.id:
            assert places(message.string) <= places(message.id), message.id
            assert set(PLACE.findall(str(message.id))) >= places(message.string), message.id
            assert singular(message) == places(message.id), message.id


def places(text: object) -> set[str]:
    """All that stands for a value in all forms of a message."""
    forms = text if isinstance(text, tuple | list) else [text]
    return {found for form in forms for found in PLACE.findall(str(form))}


def singular(message: Message) -> set[str]:
    """The places of all forms together; a form for one may do without the number."""
    return places(message.string) | (places(message.id) & {"%(num)d"})


def test_a_message_that_is_new_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = translations.template()
    whole.add("Something that nobody has translated")
    monkeypatch.setattr(translations, "template", lambda: whole)
    assert translations.untranslated("de") == ["Something that nobody has translated"]


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("de", "de"),
        ("de-AT,en;q=0.5", "de"),
        ("fr,de;q=0.5", "de"),
        ("fr", "en"),
        ("", "en"),
        ("en-US,de;q=0.9", "en"),
        ("*", "en"),
        ("de;q=x", "en"),
    ],
)
def test_browser_says_the_language(fake: FakeAppliance, asked: str, language: str) -> None:
    text = visitor(fake).get("/help", headers={"Accept-Language": asked}).text
    assert f'<html lang="{language}">' in text
    assert ("Hilfe" in text) is (language == "de")


def test_choice_counts_more_than_the_browser_and_survives_logging_in(stranger: Visitor) -> None:
    stranger.post("/language", language="de")
    assert "Anmelden" in stranger.get("/login").text
    stranger.log_in()
    assert "Einstellungen" in stranger.get("/settings").text
    stranger.post("/language", language="<xx>")
    assert '<html lang="en">' in stranger.get("/help").text


def test_german_pages_speak_german(owner: Visitor) -> None:
    owner.post("/language", language="de")
    english = {
        str(message.id)
        for message in translations.read("de")
        if isinstance(message.id, str) and len(message.id) > 20 and "%" not in message.id
    }
    german = owner.client.application
    for endpoint, method, path in routes(german):
        case = CASES[endpoint, method]
        if method == "GET" and case.status == 200 and endpoint not in ("static", "help.icon"):
            text = owner.get(f"{path}{case.query}").text
            assert [each for each in english if f">{each}<" in text] == [], endpoint


#: What a check, or a service, complains of; the page has words of its own for it.
BAD_VALUES = {
    "listen": ("x:y", "0.0.0.0:70000"),
    "usbredir": ("x", "tcp:127.0.0.1:70000", "tcp:127.0.0.1:x", f"unix:/{'x' * 200}"),
    "name": ("x" * 255,),
    "set_clock": ("perhaps",),
    "trash.days": ("0", "x", "1.5"),
    "usb.vendor_id": ("0x10000", "x"),
    "network.function": ("x",),
    "network.address": ("x", "10.0.0.1", "10.0.0.0/29", "8.8.8.8/29"),
    "network.host_name": ("-a", "A B"),
    "wifi.network": ("x" * 33, "\x01"),
    "wifi.passphrase": ("short", "ä" * 9),
    "wifi.country": ("d", "DEU"),
    "leds.pins": ("x", "99", "17,17"),
}


@pytest.mark.parametrize("key", BAD_VALUES)
def test_what_cannot_be_is_said_in_german(owner: Visitor, key: str) -> None:
    with owner.client.application.test_request_context(headers={"Accept-Language": "de"}):
        for text in BAD_VALUES[key]:
            complaint = value_of(key, text)[1]
            assert complaint, text
            assert not translate(complaint).startswith("Das geht nicht"), complaint


@pytest.mark.parametrize("code", sorted(table()))
def test_every_warning_has_words_of_its_own(owner: Visitor, code: str) -> None:
    with owner.client.application.test_request_context():
        assert concern(code) != concern("unheard-of")


def test_who_has_no_wifi_is_not_asked_for_its_passphrase(owner: Visitor) -> None:
    with owner.client.application.test_request_context():
        missing, alone = (
            advice(each, is_appliance=True) for each in ("wifi-missing", "wifi-not-joined")
        )
        assert ("passphrase" in missing, "passphrase" in alone) == (False, True)
        assert "empty" in missing


def test_every_warning_has_advice_for_who_has_the_page_alone(owner: Visitor) -> None:
    """Or else the responder's own words, where they name what only it knows."""
    with owner.client.application.test_request_context():
        without = {code for code in table() if not advice(code, is_appliance=True)}
        assert without == {"storage-failed", "card"}
        assert [code for code in table() if advice(code, is_appliance=False)] == []


def test_who_claims_it_is_told_in_german(fake: FakeAppliance) -> None:
    who = visitor(fake)
    who.post("/language", language="de")
    fake.answers["settings plan"] = lambda values: plan(Settings(), values)
    answer = who.post("/claim", name="x" * 300, password=PASSWORD, again=PASSWORD)
    assert (answer.status_code, "Das ist kein Name" in answer.text) == (422, True)
    assert "characters" not in answer.text


def test_numbers_have_a_comma_in_german(owner: Visitor) -> None:
    owner.post("/language", language="de")
    assert "10\N{NO-BREAK SPACE}kB" in owner.get("/maintenance/update").text
    with owner.client.application.test_request_context(headers={"Accept-Language": "de"}):
        from webui.words import duration, rate  # noqa: PLC0415

        assert rate(1_234_567) == "1,2\N{NO-BREAK SPACE}MB/s"
        assert [duration(each) for each in (1, 59.4, 60, 3600, 86400)] == [
            *("1 Sekunde", "59 Sekunden", "1 Minute", "1 h 0 min", "1 Tag"),
        ]


def test_days_are_in_their_case_in_german(owner: Visitor) -> None:
    """Their catalogue has one form of many days: what stands before it has to ask for that one."""
    with owner.client.application.test_request_context(headers={"Accept-Language": "de"}):
        days = Transfer(direction=Direction.IN, done=1, total=200_001, rate=1.0)
        assert progress(days).endswith("in 2 Tagen fertig")
        assert who(Session("usb"), 200_000).endswith("seit 2 Tagen")


def test_catalogues_are_compiled_once_and_a_read_only_state_is_no_end(
    fake: FakeAppliance,
) -> None:
    visitor(fake)
    compiled = list((fake.root / "state").rglob("*.mo"))
    assert len(compiled) == len(OTHERS)
    before = [each.stat().st_mtime_ns for each in compiled]
    visitor(fake)
    assert [each.stat().st_mtime_ns for each in compiled] == before
