# SPDX-License-Identifier: GPL-3.0-or-later
"""The page where something behind it is slow, full or refuses."""

import errno
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from tests.fakes.ptpip_client import PATIENCE
from tests.web.appliance import CHANGE, PASSWORD, FakeAppliance, Visitor, visitor
from webui import create_app

WAIT = 4 * PATIENCE


@dataclass
class Held:
    """A deed: when it is asked for, and when it is over."""

    begun: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture(autouse=True)
def compiled_once() -> None:
    """Here each page has its own state, and nothing from before."""


@contextmanager
def held(fake: FakeAppliance, verb: str) -> Iterator[Held]:
    """Let a verb take as long as this."""
    deed, go = Held(), threading.Event()

    def answer(**_: object) -> int:
        deed.begun.set()
        go.wait(WAIT)
        deed.over.set()
        return 0

    fake.answers[verb] = answer
    yield deed
    go.set()


def test_a_trash_that_is_emptied_for_minutes_holds_up_no_other_page(
    owner: Visitor, fake: FakeAppliance
) -> None:
    with held(fake, "trash empty") as deed:
        emptying = threading.Thread(target=owner.post, args=("/storage/trash/empty",))
        emptying.start()
        assert deed.begun.wait(WAIT)
        other = visitor(fake)
        other.log_in()
        shown = [other.get(path).status_code for path in ("/", "/live", "/storage")]
        ejected = other.post("/eject").status_code
        assert (shown, ejected, deed.over.is_set()) == ([200, 200, 200], 303, False)
    emptying.join(WAIT)


def test_home_is_shown_without_a_chart_that_does_not_come(
    owner: Visitor, fake: FakeAppliance
) -> None:
    with held(fake, "history") as deed:
        assert [owner.get(path).status_code for path in ("/", "/live")] == [200, 200]
        assert not deed.over.is_set()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_card_that_takes_nothing_has_a_page_all_the_same(
    fake: FakeAppliance, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A page that starts after a reset, when no key and no directory is there yet."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    fake.claim()
    with monkeypatch.context() as context:
        context.setattr("os.mkdir", refuse)
        for module in ("security", "sessions", "attempts"):
            context.setattr(f"webui.{module}.write_atomically", refuse)
        context.setattr("tempfile.NamedTemporaryFile", refuse)
        who = visitor(fake)
        who.log_in()
        assert [who.get(path).status_code for path in ("/", "/storage")] == [200, 200]
    assert not fake.config().state.exists()


@pytest.mark.parametrize("damage", ["a directory", "short", "a link to itself"])
def test_a_key_that_cannot_be_read_is_made_anew(fake: FakeAppliance, damage: str) -> None:
    fake.claim()
    key = fake.config().state / "session.key"
    visitor(fake)
    key.unlink()
    if damage == "a directory":
        key.mkdir()
    elif damage == "short":
        key.write_bytes(b"x")
    else:
        key.symlink_to(key)
    who = visitor(fake)
    who.log_in()
    assert who.get("/settings").status_code == 200


def change_network(owner: Visitor, fake: FakeAppliance) -> None:
    """Ask for a network and its passphrase, and for it once more when the difference is shown."""
    fake.answers["settings plan"] = {"changes": [CHANGE], "errors": {}}
    review = owner.post("/settings", **{"wifi.network": "Neu", "wifi.passphrase": "hush hush"})
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', review.text))
    owner.post("/settings/change", **fields)


def passphrase(fake: FakeAppliance) -> str:
    return fake.settings.read().settings.wifi_passphrase


def test_what_cannot_be_set_changes_nothing_that_goes_with_it(
    owner: Visitor, fake: FakeAppliance
) -> None:
    """A new network's passphrase with the old network is a Wi-Fi that worked, and is gone."""
    fake.settings.set_secrets({"wifi.passphrase": "older one"})
    fake.answers["settings set"] = ApplianceError("No space left", hint="the file is as it was")
    change_network(owner, fake)
    assert "as it was" in owner.said()
    assert passphrase(fake) == "older one"


def test_a_passphrase_for_a_network_that_is_not_set_is_taken_back(
    owner: Visitor, fake: FakeAppliance
) -> None:
    fake.answers["settings set"] = ApplianceError("No space left", hint="the file is as it was")
    change_network(owner, fake)
    assert "as it was" in owner.said()
    assert passphrase(fake) == ""


@pytest.mark.parametrize("older", ["", "older one"])
def test_a_new_network_is_open_at_no_moment(
    owner: Visitor, fake: FakeAppliance, older: str
) -> None:
    """What puts it into force may read the settings between any two changes of them."""
    fake.settings.set_secrets({"wifi.passphrase": older})
    seen = []

    def look(**_: object) -> None:
        found = fake.settings.read().settings
        seen.append((found.wifi_network, found.wifi_passphrase))

    fake.answers |= {"settings set": look, "secret set": look}
    change_network(owner, fake)
    assert seen[-1] == ("Neu", "hush hush")
    assert ("Neu", "") not in seen


def test_a_new_network_whose_passphrase_is_refused_is_not_set(
    owner: Visitor, fake: FakeAppliance
) -> None:
    fake.answers["secret set"] = ApplianceError("No space left")
    change_network(owner, fake)
    assert "No space left" in owner.said()
    assert fake.settings.read().settings.wifi_network == ""


def test_what_is_half_done_is_told_so(owner: Visitor, fake: FakeAppliance) -> None:
    fake.settings.set_secrets({"wifi.passphrase": "older one"})
    fake.answers["secret set"] = ApplianceError("No space left")
    change_network(owner, fake)
    said = owner.said()
    assert ("All else is changed, but not the passphrase" in said, "are changed." in said) == (1, 0)
    assert fake.settings.read().settings.wifi_network == "Neu"


def test_who_cannot_name_it_does_not_claim_it(fake: FakeAppliance) -> None:
    fake.answers["settings plan"] = {"changes": [], "errors": {}}
    fake.answers["settings set"] = ApplianceError("No space left")
    who = visitor(fake)
    who.post("/claim", name="Kitchen", password=PASSWORD, again=PASSWORD)
    assert fake.asked("secret set") == []


def owner_of(tmp_path: Path, failures: Path) -> Visitor:
    """Log in at an appliance whose units leave their failures there."""
    FakeAppliance(tmp_path).claim()
    config = replace(FakeAppliance(tmp_path).config(), failures=failures)
    who = Visitor(create_app(config).test_client())
    who.log_in()
    return who


def test_where_nothing_serves_home_says_what_has_failed(tmp_path: Path) -> None:
    """Light and page say the same, and the reason is there to be read."""
    failures = tmp_path / "failures"
    failures.mkdir()
    (failures / "card-settings").write_text("line 3: <unfinished> | mend it\n")
    who = owner_of(tmp_path, failures)
    shown = who.get("/").text
    assert "light-error" in shown
    assert "The settings on the card do not count" in shown
    assert "line 3: &lt;unfinished&gt;: mend it" in shown
    before = who.get("/live").headers["ETag"]
    (failures / "mtp-appliance.service").write_text("exit-code (exited 1)\n")
    again = who.get("/live", headers={"If-None-Match": before})
    assert "mtp-appliance.service has failed: exit-code (exited 1)" in again.text
    assert "under Maintenance" in again.text


def test_a_failure_that_is_over_or_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    failures = tmp_path / "failures"
    (failures / "b.service").mkdir(parents=True)
    (failures / "a.service").symlink_to("gone")  # as one that goes while they are read
    (failures / "c.service").write_text("exit-code (exited 1)\n")
    who = owner_of(tmp_path, failures)
    shown = who.get("/").text
    assert "c.service has failed: exit-code (exited 1)" in shown
    assert "b.service has failed<" in shown
    assert "a.service" not in shown


def test_what_is_no_directory_of_failures_is_none(tmp_path: Path) -> None:
    FakeAppliance(tmp_path).claim()
    config = replace(FakeAppliance(tmp_path).config(), failures=tmp_path / "none")
    shown = Visitor(create_app(config).test_client())
    shown.log_in()
    assert "light-starting" in shown.get("/").text
