# SPDX-License-Identifier: GPL-3.0-or-later
"""The network on the cable: addresses from the serial number, files for networkd."""

from configparser import ConfigParser
from ipaddress import IPv4Interface

import pytest

from appliance.network.plan import cable_network, derived_address, networkd_files

MAC = "02:00:00:00:00:02"


def parsed(address: str = "10.55.0.1/29") -> dict[str, ConfigParser]:
    files = {}
    for file in networkd_files(cable_network("S", address), MAC):
        parser = ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(file.text)
        files[file.name] = parser
    return files


def test_one_unit_is_always_the_same_and_many_are_in_many_networks() -> None:
    units = [f"00000000{number:08x}" for number in range(0x4000_0000, 0x4000_0000 + 300)]
    addresses = [derived_address(unit) for unit in units]
    assert addresses == [derived_address(unit) for unit in units]
    networks = {IPv4Interface(each).network for each in addresses}
    assert len(networks) == len(units)
    assert all(network.prefixlen == 29 and network.is_private for network in networks)


@pytest.mark.parametrize(
    ("setting", "first", "count"),
    [
        ("10.55.0.1/29", "10.55.0.2", 5),
        ("10.55.0.6/29", "10.55.0.1", 5),
        ("10.55.0.5/29", "10.55.0.1", 4),
        ("10.55.0.1/30", "10.55.0.2", 1),
        ("10.0.0.1/8", "10.0.0.2", 64),
        ("192.168.9.254/24", "192.168.9.190", 64),
    ],
)
def test_what_the_pc_may_get(setting: str, first: str, count: int) -> None:
    network = cable_network("S", setting)
    assert str(network.device) == setting
    assert (str(network.pool[0]), len(network.pool)) == (first, count)
    assert network.device.ip not in network.pool
    hosts = network.device.network
    assert all(each in hosts for each in network.pool)
    assert hosts.broadcast_address not in network.pool


def test_the_pc_keeps_its_way_to_the_internet() -> None:
    network = parsed()["10-mtp-appliance.network"]
    server = network["DHCPServer"]
    assert (server["EmitRouter"], server["EmitDNS"], server["EmitNTP"]) == ("no", "no", "no")
    assert network["Network"]["IPv6SendRA"] == "no"


def test_the_device_is_there_with_and_without_a_pc() -> None:
    network = parsed()["10-mtp-appliance.network"]
    assert network["Match"]["MACAddress"] == MAC
    assert network["Network"]["Address"] == "10.55.0.1/29"
    assert network["Network"]["ConfigureWithoutCarrier"] == "yes"
    assert network["Network"]["IgnoreCarrierLoss"] == "yes"
    assert network["Network"]["LinkLocalAddressing"] == "ipv6"
    assert network["Link"]["RequiredForOnline"] == "no"
    server = network["DHCPServer"]
    assert (server["PoolOffset"], server["PoolSize"]) == ("2", "5")


def test_its_name_and_mac_address_stay() -> None:
    link = parsed()["10-mtp-appliance.link"]
    assert link["Match"]["MACAddress"] == MAC
    assert dict(link["Link"]) == {"NamePolicy": "", "Name": "usb0", "MACAddressPolicy": "none"}
