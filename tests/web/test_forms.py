# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of the settings is made from their declaration; the chart, the light, the words."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.leds.patterns import Pattern
from appliance.settings import checks
from appliance.settings.planning import plan
from appliance.settings.schema import Settings, declared
from appliance.status import Cable, Direction, Status, StorageStatus, Transfer, Unsafe, Usb, Warning
from tests.web.appliance import CHANGE, HOSTILE, FakeAppliance, Visitor, visitor
from webui import forms
from webui.chart import HEIGHT, chart
from webui.kept import Kept
from webui.light import style_sheet


class Inputs(HTMLParser):
    """All fields of a page by name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.labels: set[str | None] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = dict(attributes)
        if tag in ("input", "select") and known.get("name"):
            self.found[str(known["name"])] = known
        if tag == "label":
            self.labels.add(known.get("for"))


@pytest.fixture
def inputs(owner: Visitor) -> Inputs:
    return Inputs(owner.get("/settings").text)


def test_every_setting_has_its_field_with_a_label_and_help(inputs: Inputs) -> None:
    for key, _, _ in declared():
        if key == forms.PASSWORD:
            assert key not in inputs.found
            continue
        field = inputs.found[key]
        assert field["id"] in inputs.labels
        assert f"{field['id']}-help" in str(field["aria-describedby"])


@pytest.mark.parametrize(
    ("key", "attributes"),
    [
        ("trash.days", {"type": "number", "min": "1", "max": "3650", "value": "30"}),
        ("button.pin", {"type": "number", "min": "-1", "max": "27", "value": "-1"}),
        ("usb.vendor_id", {"value": "0x1d6b", "pattern": "0[xX][0-9a-fA-F]{1,4}|[0-9]{1,5}"}),
        ("trash.keep", {"type": "checkbox", "checked": None}),
        ("wifi.passphrase", {"type": "password", "pattern": "[ -~]{8,63}|[0-9A-Fa-f]{64}"}),
        ("name", {"maxlength": "254", "value": ""}),
    ],
)
def test_browser_can_check_what_the_declaration_says(
    inputs: Inputs, key: str, attributes: dict[str, str | None]
) -> None:
    assert {name: inputs.found[key].get(name, "lacks") for name in attributes} == attributes


def test_patterns_take_what_the_checks_take(inputs: Inputs) -> None:
    pattern = str(inputs.found["network.host_name"]["pattern"])
    for name, good in (("mtp-appliance", True), ("a", True), ("-a", False), ("A b", False)):
        assert bool(re.fullmatch(pattern, name)) is good
    pattern = str(inputs.found["wifi.passphrase"]["pattern"])
    for text in ("eight, 8", "x" * 63, "0123456789abcdefABCDEF0123456789" * 2, "seven 7", "g" * 64):
        assert bool(re.fullmatch(pattern, text)) is (not checks.passphrase(text))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"trash.days": "7"}, {"trash.days": "7"}),
        ({"trash.days": " 30 "}, {}),
        ({"trash.keep": ""}, {"trash.keep": "false"}),
        ({"leds.pins": "17, 27"}, {"leds.pins": "17, 27"}),
        ({"usb.vendor_id": "0x1d6b"}, {}),
        ({"wifi.passphrase": ""}, {}),
        ({"wifi.passphrase": " spaces count "}, {}),
        ({"web.password": "x"}, {}),
        ({"evil": "x"}, {}),
    ],
)
def test_only_what_is_different_is_sent(
    owner: Visitor, fake: FakeAppliance, given: dict[str, str], sent: dict[str, str]
) -> None:
    fields = {key: field.get("value") or "" for key, field in Inputs(page(owner)).found.items()}
    unticked = [
        key
        for key, field in Inputs(page(owner)).found.items()
        if field.get("type") == "checkbox" and "checked" not in field
    ]
    for key in (*unticked, *(key for key, value in given.items() if value == "")):
        fields.pop(key, None)
    fields["write_safety"], fields["log_level"], fields["network.function"] = (
        "safe",
        "normal",
        "ncm",
    )
    owner.post("/settings", **(fields | {key: each for key, each in given.items() if each}))
    assert fake.asked("settings plan")[-1]["values"] == sent


def test_a_passphrase_that_cannot_be_stands_at_its_field(
    owner: Visitor, fake: FakeAppliance
) -> None:
    answer = owner.post("/settings", **{"wifi.passphrase": "7 bytes"})
    assert answer.status_code == 422
    assert "This has to be 8 to 63 plain characters." in answer.text
    assert "7 bytes" not in answer.text
    assert fake.asked("secret set") == []


def page(owner: Visitor) -> str:
    return owner.get("/settings").text


def test_a_secret_is_never_shown_and_can_be_taken_away(owner: Visitor, fake: FakeAppliance) -> None:
    fake.settings.set({"wifi.passphrase": "hush hush"})
    assert "hush" not in page(owner)
    settings = fake.settings.read().settings
    assert forms.changed(settings, {"wifi.passphrase": "hush hush"}) != {}
    values = forms.read({"wifi.passphrase": "", "wifi.passphrase:none": "yes"})
    assert forms.changed(settings, values)["wifi.passphrase"] == ""


def test_a_secret_that_was_typed_is_in_no_page_before_it_is_set(
    owner: Visitor, fake: FakeAppliance
) -> None:
    typed = {"wifi.network": "home", "wifi.passphrase": "hush hush"}
    review = owner.post("/settings", **typed)
    assert "hush" not in review.text
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', review.text))
    assert fake.asked("settings set") == []
    owner.post("/settings/change", **fields)
    assert fake.asked("secret set") == [{"key": "wifi.passphrase", "value": "hush hush"}]
    (asked,) = fake.asked("settings set")
    assert asked["values"]["wifi.network"] == "home"
    assert "wifi.passphrase" not in asked["values"]  # the responder is not to know it
    assert "wifi.passphrase" not in fake.asked("settings plan")[-1]["values"]
    assert fake.settings.read().settings.wifi_passphrase == "hush hush"
    again = owner.post("/settings/change", **fields)  # once more, or after the process has ended
    assert len(fake.asked("settings set")) == 1
    assert again.status_code == 422
    assert "Type it once more" in again.text
    assert Inputs(again.text).found["wifi.network"]["value"] == "home"


ERRORS = {"changes": [], "errors": {"trash.days": "is no whole number"}}
RIGHT: dict[str, Any] = {"changes": [], "errors": {}}


def hidden(text: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', text))


def test_a_passphrase_outlives_what_is_wrong_elsewhere(owner: Visitor, fake: FakeAppliance) -> None:
    fake.answers["settings plan"] = ERRORS
    typed = {"wifi.network": "home", "wifi.passphrase": "hush hush", "trash.days": "x"}
    for _ in range(2):  # wrong once more, and the field of the passphrase left empty
        wrong = owner.post("/settings", **typed)
        assert (wrong.status_code, "hush" in wrong.text) == (422, False)
        assert "What you have typed is kept." in wrong.text
        typed |= {"wifi.passphrase": "", "kept": hidden(wrong.text)["kept"]}
    fake.answers["settings plan"] = RIGHT
    review = owner.post("/settings", **typed | {"trash.days": "7"})
    assert "(set)" in review.text
    owner.post("/settings/change", **hidden(review.text))
    assert fake.asked("secret set") == [{"key": "wifi.passphrase", "value": "hush hush"}]


@pytest.mark.parametrize(
    ("then", "asked"),
    [
        ({"wifi.passphrase": "another one"}, [{"key": "wifi.passphrase", "value": "another one"}]),
        ({"wifi.passphrase": "", "wifi.passphrase:none": "yes"}, []),  # as there is none
    ],
)
def test_what_is_typed_later_counts_more_than_what_is_kept(
    owner: Visitor, fake: FakeAppliance, then: dict[str, str], asked: list[dict[str, str]]
) -> None:
    fake.answers["settings plan"] = ERRORS
    wrong = owner.post("/settings", **{"wifi.passphrase": "hush hush"})
    fake.answers["settings plan"] = CHANGED
    review = owner.post("/settings", kept=hidden(wrong.text)["kept"], **then)
    owner.post("/settings/change", **hidden(review.text))
    assert [each for each in fake.asked("secret set") if each["value"]] == asked


CHANGED = {"changes": [CHANGE], "errors": {}}


def test_a_passphrase_that_is_known_no_more_is_asked_for_at_its_field(owner: Visitor) -> None:
    typed = {"wifi.network": "home", "kept": "a word of before"}
    for path in ("/settings", "/settings/again"):
        answer = owner.post(path, **typed).text
        assert "Type it once more" in answer
        assert Inputs(answer).found["wifi.network"]["value"] == "home"
        assert Inputs(answer).found["wifi.passphrase"]["aria-invalid"] == "true"


def test_something_else_is_changed_besides(owner: Visitor, fake: FakeAppliance) -> None:
    fake.settings.set({"wifi.passphrase": "old and long"})
    typed = {"name": "Kitchen", "leds.pwm": "", "wifi.passphrase": "hush hush"}
    review = owner.post("/settings", **typed)
    assert 'formaction="/settings/again"' in review.text
    form = owner.post("/settings/again", **hidden(review.text)).text
    found = Inputs(form).found
    assert (found["name"]["value"], "checked" in found["leds.pwm"]) == ("Kitchen", False)
    assert ("hush" in form, "What you have typed is kept." in form) == (False, True)
    review = owner.post("/settings", name="Kitchen", kept=hidden(form)["kept"])
    owner.post("/settings/change", **hidden(review.text))
    assert fake.asked("secret set")[-1]["value"] == "hush hush"
    review = owner.post("/settings", **{"wifi.passphrase:none": "yes"})
    form = owner.post("/settings/again", **hidden(review.text)).text
    assert "checked" in Inputs(form).found["wifi.passphrase:none"]


def test_spaces_of_a_network_s_name_are_its_own(owner: Visitor, fake: FakeAppliance) -> None:
    fake.settings.set({"wifi.network": "Home "})
    assert Inputs(page(owner)).found["wifi.network"]["value"] == "Home "
    owner.post("/settings", **{"wifi.network": "Home ", "trash.days": "7"})
    assert "wifi.network" not in fake.asked("settings plan")[-1]["values"]
    owner.post("/settings", **{"wifi.network": " Home"})
    assert fake.asked("settings plan")[-1]["values"]["wifi.network"] == " Home"


def test_secrets_that_nobody_sets_are_forgotten() -> None:
    kept = Kept()
    words = [kept.put({"wifi.passphrase": str(number)}) for number in range(20)]
    assert kept.take(words[-1]) == {"wifi.passphrase": "19"}
    assert [kept.take(word) for word in (words[-1], words[0], "")] == [None, None, None]


def test_errors_stand_at_their_fields_in_words(owner: Visitor, fake: FakeAppliance) -> None:
    errors = {"trash.days": "is not between 1 and 3650", "name": f"is {HOSTILE}"}
    fake.answers["settings plan"] = {"changes": [], "errors": errors}
    answer = owner.post("/settings", **{"trash.days": "0", "name": HOSTILE})
    assert answer.status_code == 422
    assert "This has to be between 1 and 3650." in answer.text
    assert 'aria-describedby="trash-days-help trash-days-error"' in answer.text
    assert "<script>alert" not in answer.text
    assert fake.asked("settings set") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": "trash.days"}, "How long"),
        ({"key": "storages[/a]"}, "Storage /a"),
        ({"key": "storages[/a].read_only"}, "Storage /a: Read-only"),
        ({"key": "storages[/a[b].x].name"}, "Storage /a[b].x: Name"),
        ({"key": "storages[/a].hidden_files"}, "Storage /a: Hidden files"),
    ],
)
def test_changes_have_names(owner: Visitor, change: dict[str, Any], words: str) -> None:
    with owner.client.application.test_request_context():
        assert forms.label_of(change) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(True, "yes"), (None, "(nothing)"), ("", "(nothing)"), ([17, 27], "17, 27"), (7, "7"),
     ("(set)", "(set)"), ([], "(nothing)"), (False, "no"), (0, "0"), ("Home ", "“Home ”")],
)  # fmt: skip
def test_values_have_words(owner: Visitor, value: object, words: str) -> None:
    with owner.client.application.test_request_context():
        assert forms.value_of(value) == words


def test_what_changes_is_shown_as_it_was_typed(owner: Visitor, fake: FakeAppliance) -> None:
    fake.answers["settings plan"] = plan(Settings(), {"usb.vendor_id": "0x1d6c"})
    review = owner.post("/settings", **{"usb.vendor_id": "0x1d6c"}).text
    assert ("<del>0x1d6b</del>" in review, "<ins>0x1d6c</ins>" in review) == (True, True)


@pytest.mark.parametrize(
    ("values", "bad"),
    [
        ({"trash.days": "030", "leds.pins": "04,17", "usb.vendor_id": "0x1D6C"}, set()),
        ({"trash.days": "0x", "leds.pins": "4,x", "button.pin": "1 7"}, {"trash.days", "leds.pins",
                                                                        "button.pin"}),
    ],
)  # fmt: skip
def test_numbers_may_begin_with_zeros(values: dict[str, str], bad: set[str]) -> None:
    planned = plan(Settings(), values)
    assert set(planned["errors"]) == bad
    if not bad:
        after = {each["key"]: each["after"] for each in planned["changes"]}
        assert after == {"leds.pins": (4, 17), "usb.vendor_id": 0x1D6C}


@pytest.mark.parametrize(
    ("helper", "words"),
    [
        (True, "at once; the service starts anew, and what is moving breaks off"),
        (False, "when the service starts anew"),
    ],
)
def test_when_it_takes_effect_is_told_as_it_will_be(
    fake: FakeAppliance, helper: bool, words: str
) -> None:
    """An appliance starts the service anew by itself, at once; a person's machine does not."""
    fake.claim()
    who = visitor(fake, helper=helper)
    who.log_in()
    fake.answers["settings plan"] = plan(Settings(), {"wifi.ptpip": "true"})
    for text in (who.get("/settings").text, who.post("/settings", **{"wifi.ptpip": "true"}).text):
        assert words in text
        assert ("breaks off" in text) is helper


@pytest.mark.parametrize(("function", "said"), [("none", True), ("ecm", False)])
def test_who_takes_the_network_away_is_told_that_the_page_goes(
    owner: Visitor, fake: FakeAppliance, function: str, said: bool
) -> None:
    fake.answers["settings plan"] = plan(Settings(), {"network.function": function})
    review = owner.post("/settings", **{"network.function": function}).text
    assert ("This page goes with the network" in review) is said


def test_defaults_read_back_as_they_are() -> None:
    assert forms.changed(Settings(), {}) == {}


# What is shown


def test_chart_lies_at_zero_where_nothing_moved() -> None:
    drawn = chart([(400, 0, 1e6), (402, 0, 2e6), (700, 3e6, 0)], 1000)
    points = [tuple(map(float, each.split(","))) for each in drawn.from_pc.split()]
    assert drawn.top == 5e6
    assert (drawn.most_to, drawn.most_from) == (3e6, 2e6)
    assert points[0] == (0, HEIGHT)
    assert points[-1] == (600, HEIGHT)
    assert all(0 <= x <= 600 and 0 <= y <= HEIGHT for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 1), (1, 1), (1.5, 2), (999, 1000), (1000, 1000), (4.2e6, 5e6), (9.6e6, 1e7)],
)
def test_scale_is_a_round_number(most: float, top: float) -> None:
    assert chart([(10, most, 0)], 10).top == top


def test_old_and_future_rows_are_left_out() -> None:
    assert chart([(0, 5, 5), (5000, 5, 5)], 1000).is_empty


@pytest.mark.parametrize("pattern", Pattern)
def test_light_is_animated_as_the_table_says(pattern: Pattern) -> None:
    sheet, name = style_sheet(), f"light-{pattern.label}"
    found = re.search(rf"@keyframes {name} {{ (.*) }}", sheet)
    if pattern is Pattern.CONNECTED:
        assert found is None
        return
    assert found is not None
    frames = re.findall(r"([\d.]+)% { opacity: ([\d.]+); }", found[1])
    assert [opacity == "1" for _, opacity in frames] == [lit for lit, _ in pattern.value.steps]
    assert f"{name} {pattern.value.period:g}s step-end infinite" in sheet


STATUSES = {
    "not running": (None, "The appliance is not running"),
    "starting": (Status(), "It is starting"),
    "waiting": (Status(ready=True, usb=Usb(cable=Cable.DETACHED)), "Waiting for a PC"),
    "connected": (Status(ready=True, usb=Usb(cable=Cable.CONFIGURED)), "Connected to a PC"),
    "ejected": (Status(ready=True, ejected=True), "Ejected"),
    "sending": (
        Status(ready=True, transfers=(Transfer(HOSTILE, Direction.IN, 5, 10, 1.0),)),
        "Sending to the PC",
    ),
    "both": (
        Status(
            ready=True,
            transfers=(Transfer(direction=Direction.IN), Transfer(direction=Direction.OUT)),
        ),
        "Moving files to and from the PC",
    ),
    "unsafe": (
        Status(ready=True, unsafe=Unsafe(2, 3_000_000)),
        "2 files",
    ),
    "full": (
        Status(
            ready=True,
            storages=(StorageStatus(HOSTILE, "/srv", "in", False, 5, 100),),
            warnings=(Warning("storage-full", HOSTILE, "delete"), Warning("new-code", "x")),
        ),
        "95 % used: make room",
    ),
}


def test_there_is_no_call_for_room_where_nobody_is_warned(
    owner: Visitor, fake: FakeAppliance
) -> None:
    large, film = 2 * 10**12, 10**11
    storages = (
        StorageStatus("Large", "/srv/a", "in", False, film, large),
        StorageStatus("Film", "/srv/b", "in", True, 0, film),
    )
    fake.show(Status(ready=True, storages=storages))
    assert "make room" not in owner.get("/live").text


@pytest.mark.parametrize("name", STATUSES)
def test_each_state_is_shown(owner: Visitor, fake: FakeAppliance, name: str) -> None:
    status, words = STATUSES[name]
    if status is not None:
        fake.show(status)
    for path in ("/", "/live"):
        text = owner.get(path).text
        assert words in text
        assert "<script>alert" not in text
        unsafe = "Do not unplug now" in text
        assert unsafe is (name in ("sending", "both", "unsafe"))


def test_eject_and_connect_take_each_others_place(owner: Visitor, fake: FakeAppliance) -> None:
    fake.show(Status(ready=True))
    assert 'action="/eject"' in owner.get("/").text
    fake.show(Status(ready=True, ejected=True))
    assert 'action="/connect"' in owner.get("/live").text


def test_an_open_page_costs_nothing_while_nothing_changes(
    owner: Visitor, fake: FakeAppliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui.pages.home.time", SimpleNamespace(time=lambda: 1_000_000.0))
    fake.show(Status(ready=True))
    tag = owner.get("/live").headers["ETag"]
    again = owner.get("/live", headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    fake.show(Status(ready=True, ejected=True))
    assert owner.get("/live", headers={"If-None-Match": tag}).status_code == 200
    owner.post("/language", language="de")
    fake.show(Status(ready=True))
    assert owner.get("/live", headers={"If-None-Match": tag}).status_code == 200
