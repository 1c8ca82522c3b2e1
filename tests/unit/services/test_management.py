# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may ask the responder for what."""

import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.mtp.device import Device
from appliance.mtp.responder import Responder
from appliance.services.management import all_verbs, allowed_users
from appliance.storage import Catalogue, Folder
from tests.fakes.device import IDENTITY, ForgetfulState, TestHost

USERS = {"mtp-appliance-leds": 901, "mtp-appliance-web": 902}


@pytest.fixture
def appliance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwnam", lambda name: SimpleNamespace(pw_uid=USERS[name]))


@pytest.mark.usefixtures("appliance")
def test_the_page_and_the_lights_may_ask_for_what_is_there(tmp_path: Path) -> None:
    with Catalogue([Folder(tmp_path, "Card")]) as catalogue:
        responder = Responder(Device(IDENTITY, ForgetfulState(), TestHost()), catalogue)
        there = {*all_verbs(catalogue, responder, None), "reconnect", "history"}
    allowed = allowed_users()
    assert set(allowed) == set(USERS.values())
    assert all(set(verbs) <= there for verbs in allowed.values())
    assert there - set(allowed[902]) == {"settings reset"}


def test_on_an_ordinary_machine_nobody_else_may_ask() -> None:
    assert not set(allowed_users()) & set(USERS.values())
