# SPDX-License-Identifier: GPL-3.0-or-later
"""What a settings document may say."""

import tomllib
from pathlib import Path

import pytest

from appliance.settings.checks import REACHABLE
from appliance.settings.interpretation import interpret
from appliance.settings.schema import Settings, StorageSetting, declared
from tests.unit.test_cli import ROOT

GOOD = """
version = 1
name = "Küche"
listen = ["0.0.0.0", "[::1]:15999"]
allow_format = true
set_clock = false
[trash]
keep = false
days = 7
share = 25
[[storages]]
path = "/srv/share"
[[storages]]
path = "/srv/music"
name = "Music"
read_only = true
hidden_files = false
"""


def test_all_that_can_be_said() -> None:
    settings, findings = interpret(tomllib.loads(GOOD))
    assert (findings.errors, findings.warnings) == ([], [])
    assert settings == Settings(
        name="Küche",
        listen=("0.0.0.0", "[::1]:15999"),
        allow_format=True,
        set_clock=False,
        trash_keep=False,
        trash_days=7,
        trash_share=25,
        storages=(
            StorageSetting(Path("/srv/share")),
            StorageSetting(Path("/srv/music"), "Music", read_only=True, hidden_files=False),
        ),
    )


def test_nothing_said_is_the_defaults() -> None:
    settings, findings = interpret({})
    assert settings == Settings()
    assert (findings.errors, findings.warnings) == ([], [])


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("version = 2", "version: 2 is of a later program"),
        ("version = 'x'", "version: 'x'"),
        ("name = 5", "name: 5 is no text"),
        ("name = '   '", "name: '   ' is no name"),
        ("listen = '0.0.0.0'", "listen: '0.0.0.0' is no list"),
        ("listen = [1]", "listen: [1] is no list"),
        ("listen = ['a:99999']", "65535"),
        ('listen = ["a\\u0000b"]', "listen: ['a\\x00b'] holds what it cannot"),
        ('usbredir = ["unix:/tmp/x\\u0000y"]', "no place such as"),
        ('[usb]\ncontroller = "a\\u0000b"', "is no name of a file"),
        ('[usb]\ncontroller = "../b"', "is no name of a file"),
        ('[[storages]]\npath = "/srv/a\\u0000b"', "storages[1].path: '/srv/a\\x00b' holds a NUL"),
        ("allow_format = 1", "allow_format: 1 is no true or false"),
        ("allow_format = 'yes'", "allow_format: 'yes' is no true or false"),
        ("[trash]\ndays = 0", "trash.days: 0 is not between 1 and 3650"),
        ("[trash]\ndays = true", "trash.days: True is no whole number"),
        ("[trash]\ndays = 1.5", "trash.days: 1.5 is no whole number"),
        ("[trash]\nshare = 100", "trash.share: 100 is not between"),
        ("[wifi]\nnetwork = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'", "longer than 32 bytes"),
        ("[wifi]\nnetwork = 'äääääääääääääääää'", "longer than 32 bytes"),
        ('[wifi]\nnetwork = "a\\nb"', "no printable character"),
        ("[wifi]\npassphrase = 'seven 7'", "wifi.passphrase: the value is not 8 to 63"),
        ("[wifi]\npassphrase = 'schlüssel'", "wifi.passphrase: the value is not 8 to 63"),
        ('[wifi]\npassphrase = "a line\\nand one"', "wifi.passphrase: the value is not 8 to 63"),
        ("[wifi]\ncountry = 'de'", "wifi.country: 'de' is not the two capital letters"),
        *(
            (f"[network]\naddress = '{each}'", "is not of a private network")
            for each in (
                *("198.18.0.1/24", "203.0.113.1/24", "240.0.0.1/24", "127.0.0.2/8", "8.8.8.1/24"),
                *("100.64.0.1/24", "172.16.0.1/8", "192.168.0.1/15"),
            )
        ),
        ("leds.pins = [18]\nbutton.pin = 18", "button.pin: 18 is the pin of an LED too"),
        ("storages = 1", "storages: write each as a table"),
        ("storages = ['/srv']", "storages: write each as a table"),
        ("[[storages]]", "storages[1].path: is missing"),
        ("[[storages]]\npath = 1", "storages[1].path: 1 is no text"),
        ("[[storages]]\npath = 'srv'", "storages[1].path: 'srv' does not begin with /"),
        ("[[storages]]\npath = '/a'\n[[storages]]\npath = '/b'\nread_only = 'no'", "storages[2].r"),
    ],
)
def test_errors_name_the_key(document: str, complaint: str) -> None:
    _, findings = interpret(tomllib.loads(document))
    assert len(findings.errors) == 1, findings.errors
    assert complaint in findings.errors[0]


@pytest.mark.parametrize(
    "document",
    [
        *(
            f"network.address = '{each}'"
            for each in ("10.0.0.1/8", "172.31.0.1/29", "192.168.7.1/24", "169.254.3.1/16", "")
        ),
        "leds.pins = [18]\nbutton.pin = 23",
        "leds.pins = []\nbutton.pin = -1",
    ],
)
def test_what_will_do(document: str) -> None:
    _, findings = interpret(tomllib.loads(document))
    assert (findings.errors, findings.warnings) == ([], [])


def test_an_address_is_taken_where_the_page_lets_in_from_there() -> None:
    socket = (ROOT / "overlay/usr/lib/systemd/system/mtp-appliance-web.socket").read_text()
    (line,) = (each for each in socket.splitlines() if each.startswith("IPAddressAllow="))
    told = line.partition("=")[2].replace("link-local", "169.254.0.0/16").split()
    assert {each for each in told if ":" not in each} == set(REACHABLE)


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ("colour = 'red'", "colour"),
        ("[trash]\nage = 1", "trash.age"),
        ("[[storages]]\npath = '/a'\nsize = 1", "storages[1].size"),
    ],
)
def test_unknown_keys_are_odd_but_no_error(document: str, key: str) -> None:
    _, findings = interpret(tomllib.loads(document))
    assert findings.errors == []
    assert findings.warnings == [f"{key}: there is no such setting"]


def test_every_setting_is_explained_and_its_default_is_good() -> None:
    for key, item, setting in declared():
        assert setting.label, key
        assert setting.help.endswith("."), key
        assert setting.check(item.default) == "", key
