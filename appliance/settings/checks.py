# SPDX-License-Identifier: GPL-3.0-or-later
"""What a value of a setting may be: each check gives a complaint in words, or nothing."""

import re
from collections.abc import Callable
from typing import Any

from appliance.settings.addresses import parse_address
from appliance.settings.guest_places import parse_guest_place
from appliance.settings.state import is_name
from appliance.values import dataclass

Check = Callable[[Any], str]

#: GPIO numbers on the header of every Raspberry Pi.
LAST_PIN = 27
#: One label of a host name, as forms check it too.
HOST_NAME = r"[a-z0-9]([a-z0-9\-]{0,61}[a-z0-9])?"
#: Where the settings page answers: what mtp-appliance-web.socket lets in.
REACHABLE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
#: What WPA takes: 8 to 63 printable characters of ASCII, or the key itself in 64 digits.
_PASSPHRASE = r"[ -~]{8,63}|[0-9A-Fa-f]{64}"
#: Bytes of a Wi-Fi network's name (IEEE 802.11, 9.4.2.2).
_MAX_NETWORK = 32


@dataclass(frozen=True, slots=True)
class Between:
    """A check for whole numbers; a form says its bounds beforehand."""

    least: int
    most: int

    def __call__(self, value: int) -> str:
        """Check a number."""
        if self.least <= value <= self.most:
            return ""
        return f"is not between {self.least} and {self.most}"


def name_or_nothing(value: str) -> str:
    """Check a friendly name."""
    return "" if not value or is_name(value) else "is no name of 1 to 254 characters"


def addresses(value: tuple[str, ...]) -> str:
    """Check addresses to listen at."""
    for each in value:
        try:
            parse_address(each)
        except ValueError as error:
            return f"holds what it cannot: {error}"
    return ""


def guest_places(value: tuple[str, ...]) -> str:
    """Check places where virtual machines are met."""
    for each in value:
        try:
            parse_guest_place(each)
        except ValueError as error:
            return f"holds what it cannot: {error}"
    return ""


def folder(value: str) -> str:
    """Check the path of a folder."""
    return "holds a NUL, as no path does" if "\0" in value else ""


def file_name(value: str) -> str:
    """Check the name of a file, or of none."""
    return "is no name of a file" if set(value) & {"/", "\0"} else ""


def hash_or_nothing(value: str) -> str:
    """Check a password's hash."""
    from appliance.settings import passwords  # noqa: PLC0415 - hashlib is large

    good = not value or passwords.is_hash(value)
    return "" if good else "is no hash; choose a password by `mtp-appliance settings password`"


def host_name(value: str) -> str:
    """Check one label of a host name (RFC 1123)."""
    return "" if re.fullmatch(HOST_NAME, value) else "is no name of letters a-z, digits and hyphens"


def interface_address(value: str) -> str:
    """Check an IPv4 address with the length of its network, with room for a PC in it."""
    if not value:
        return ""
    import ipaddress  # noqa: PLC0415 - large, and seldom needed

    try:
        interface = ipaddress.IPv4Interface(value)
    except ValueError:
        return "is no ADDRESS/LENGTH, such as 10.55.0.1/29"
    if "/" not in value or not 8 <= interface.network.prefixlen <= 30:
        return "is no ADDRESS/LENGTH with a length of 8 to 30, such as 10.55.0.1/29"
    if interface.ip in (interface.network.network_address, interface.network.broadcast_address):
        return "is the address of the network itself"
    if any(interface.network.subnet_of(ipaddress.IPv4Network(each)) for each in REACHABLE):
        return ""
    return "is not of a private network, such as 10.55.0.1/29"


def pins(value: tuple[int, ...]) -> str:
    """Check GPIO numbers."""
    if any(not 0 <= pin <= LAST_PIN for pin in value):
        return f"holds a number that is not between 0 and {LAST_PIN}"
    return "" if len(set(value)) == len(value) else "holds a number twice"


def wifi_network(value: str) -> str:
    """Check the name of a Wi-Fi network."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "is no text"
    if size > _MAX_NETWORK:
        return f"is longer than {_MAX_NETWORK} bytes"
    return "" if value.isprintable() else "holds what is no printable character"


def passphrase(value: str) -> str:
    """Check the passphrase of a Wi-Fi network."""
    good = not value or re.fullmatch(_PASSPHRASE, value)
    return "" if good else "is not 8 to 63 characters of ASCII, as the passphrase of a Wi-Fi is"


def country(value: str) -> str:
    """Check a country by its code (ISO 3166-1)."""
    good = not value or re.fullmatch("[A-Z]{2}", value)
    return "" if good else "is not the two capital letters of a country, such as DE"
