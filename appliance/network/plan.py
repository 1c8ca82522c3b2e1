# SPDX-License-Identifier: GPL-3.0-or-later
"""The network on the cable: who has which address, and the files for systemd-networkd. Pure.

A device without a setting gets a network of eight addresses in 10.192.0.0/10, where hardly anybody
has one: which of its 524288 networks, the CRC-32 of the board's serial number says. So one unit is
always at the same address, and two units at one PC are in two networks. The device has the first
address, and its own DHCP server gives the PC one of the others.

The PC is told neither a router nor a name server: it must not send anything here but what is for
the device. Spec: systemd.network(5), systemd.link(5).
"""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from zlib import crc32

from appliance.values import dataclass

#: The kernel's name for the first network function of a gadget; a pattern is all it takes itself.
INTERFACE = "usb0"
#: The files' name; low, so that no file of the distribution's for all interfaces comes first.
FILE_NAME = "10-mtp-appliance"
_NETWORKS = IPv4Network("10.192.0.0/10")
_PREFIX = 29
#: More PCs than this are not at the other end of a cable.
_POOL = 64


@dataclass(frozen=True, slots=True)
class CableNetwork:
    """The device's address and its network, and the addresses that a PC may get."""

    device: IPv4Interface
    pool: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class File:
    """A file for systemd-networkd or udev."""

    name: str
    text: str


def cable_network(serial: str, setting: str = "") -> CableNetwork:
    """Lay out the network: at the address that the settings name, or one of the serial number."""
    device = IPv4Interface(setting or derived_address(serial))
    first = device.network.network_address + 1
    last = device.network.broadcast_address - 1
    above, below = int(last) - int(device.ip), int(device.ip) - int(first)
    count = min(max(above, below), _POOL)
    start = device.ip + 1 if above >= below else device.ip - count
    return CableNetwork(device, tuple(start + number for number in range(count)))


def derived_address(serial: str) -> str:
    """Derive the device's address from the board's serial number."""
    count = 1 << (_PREFIX - _NETWORKS.prefixlen)
    number = crc32(f"mtp-appliance network {serial}".encode()) % count
    address = _NETWORKS.network_address + (number << (32 - _PREFIX)) + 1
    return f"{address}/{_PREFIX}"


def networkd_files(network: CableNetwork, device_address: str) -> tuple[File, ...]:
    """Write the files; the interface is known by the MAC address that the gadget gives it."""
    return (
        File(f"{FILE_NAME}.link", _LINK.format(mac=device_address, name=INTERFACE)),
        File(
            f"{FILE_NAME}.network",
            _NETWORK.format(
                mac=device_address,
                address=network.device,
                offset=int(network.pool[0]) - int(network.device.network.network_address),
                size=len(network.pool),
            ),
        ),
    )


_LINK = """\
# Written by mtp-appliance from its settings.
[Match]
MACAddress={mac}

[Link]
NamePolicy=
Name={name}
MACAddressPolicy=none
"""

_NETWORK = """\
# Written by mtp-appliance from its settings.
[Match]
MACAddress={mac}

[Link]
RequiredForOnline=no

[Network]
Address={address}
DHCP=no
DHCPServer=yes
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
IPv6SendRA=no
MulticastDNS=no
LLMNR=no
DefaultRouteOnDevice=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes

[DHCPServer]
PoolOffset={offset}
PoolSize={size}
DefaultLeaseTimeSec=12h
MaxLeaseTimeSec=24h
EmitRouter=no
EmitDNS=no
EmitNTP=no
EmitSIP=no
EmitTimezone=no
"""
