# SPDX-License-Identifier: GPL-3.0-or-later
"""The Wi-Fi: what wpa_supplicant and systemd-networkd are told to join one network. Pure.

Without a network there is nothing to tell, and the radio stays off. The appliance is a guest there:
it takes an address by DHCP, gives none, and forwards nothing to the cable.

Spec: wpa_supplicant.conf(5), systemd.network(5).
"""

import re

from appliance.network.plan import FILE_NAME, File

INTERFACE = "wlan0"
#: Beside the cable's, for systemd-networkd.
NETWORK_FILE = f"{FILE_NAME}-wifi.network"
_KEY = re.compile("[0-9A-Fa-f]{64}")


def supplicant_file(network: str, passphrase: str, country: str) -> str:
    """Write what wpa_supplicant reads; a secret is in it. The network's name is in hexadecimal
    digits, so that every name is as it is. Spec: wpa_supplicant.conf(5).
    """
    return _SUPPLICANT.format(
        country=f"country={country}\n" if country else "",
        ssid=network.encode().hex(),
        security="\n".join(f"\t{line}" for line in _security(passphrase)),
    )


def _security(passphrase: str) -> tuple[str, ...]:
    """Say how to get in: openly, by the key itself (WPA2), or by passphrase (WPA2 and WPA3).

    A passphrase in quotes goes to the last quote of its line, so it may hold some itself.
    """
    if not passphrase:
        return ("key_mgmt=NONE",)
    if _KEY.fullmatch(passphrase):
        return ("key_mgmt=WPA-PSK WPA-PSK-SHA256", f"psk={passphrase}", "ieee80211w=1")
    return ("key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE", f'psk="{passphrase}"', "ieee80211w=1")


def wifi_networkd_file() -> File:
    """Write the file for systemd-networkd."""
    return File(NETWORK_FILE, _NETWORK.format(name=INTERFACE))


# scan_ssid also finds a network that hides its name. Peer-to-peer is not for us.
_SUPPLICANT = """\
# Written by mtp-appliance from its settings.
{country}p2p_disabled=1
network={{
\tssid={ssid}
\tscan_ssid=1
{security}
}}
"""

_NETWORK = """\
# Written by mtp-appliance from its settings.
[Match]
Name={name}

[Link]
RequiredForOnline=no

[Network]
DHCP=ipv4
IPv6AcceptRA=yes
LinkLocalAddressing=ipv6
DHCPServer=no
MulticastDNS=no
LLMNR=no
IgnoreCarrierLoss=3s

[DHCPv4]
ClientIdentifier=mac
"""
