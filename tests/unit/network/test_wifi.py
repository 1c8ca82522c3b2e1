# SPDX-License-Identifier: GPL-3.0-or-later
"""What wpa_supplicant and networkd are told of the Wi-Fi."""

from configparser import ConfigParser

import pytest

from appliance.network.wifi import supplicant_file, wifi_networkd_file


def said(network: str = "Home", passphrase: str = "correct horse", country: str = "") -> list[str]:
    return [line.strip() for line in supplicant_file(network, passphrase, country).splitlines()]


@pytest.mark.parametrize(
    ("network", "ssid"),
    [("Home", "486f6d65"), ("Küche", "4bc3bc636865"), ('a"}\\', "61227d5c"), ("#", "23")],
)
def test_any_name_is_as_it_is(network: str, ssid: str) -> None:
    assert f"ssid={ssid}" in said(network)
    assert "scan_ssid=1" in said(network)


@pytest.mark.parametrize("passphrase", ["correct horse", 'with "quotes"', "# { } \\", "x" * 63])
def test_a_passphrase_serves_wpa2_and_wpa3(passphrase: str) -> None:
    lines = said(passphrase=passphrase)
    assert f'psk="{passphrase}"' in lines
    assert "key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE" in lines


def test_a_key_is_no_passphrase() -> None:
    lines = said(passphrase="0123456789abcdef" * 4)
    assert f"psk={'0123456789abcdef' * 4}" in lines
    assert not any("SAE" in line for line in lines)


def test_an_open_network() -> None:
    lines = said(passphrase="")
    assert "key_mgmt=NONE" in lines
    assert not any(line.startswith("psk") for line in lines)


def test_the_country_is_said_where_it_is_known() -> None:
    assert "country=DE" in said(country="DE")
    assert not any(line.startswith("country") for line in said())


def test_the_appliance_is_a_guest_there() -> None:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(wifi_networkd_file().text)
    assert parser["Match"]["Name"] == "wlan0"
    assert parser["Network"]["DHCP"] == "ipv4"
    assert parser["Network"]["DHCPServer"] == "no"
    assert parser["Link"]["RequiredForOnline"] == "no"
