# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the Wi-Fi's settings into force: what its services read, and which of them are to run.

Without a network none of that is there, and then the units' own conditions keep them from running.
"""

import logging

from appliance import places
from appliance.errors import ApplianceError
from appliance.network.wifi import (
    INTERFACE,
    NETWORK_FILE,
    supplicant_file,
    wifi_networkd_file,
)
from appliance.services.root_files import put
from appliance.services.system import NETWORK_FILES, System
from appliance.settings.schema import Settings
from appliance.settings.secret_files import HIDDEN

log = logging.getLogger(__name__)

SUPPLICANT = places.WIFI / "wpa_supplicant.conf"
#: Is there where the settings page is to be served on the Wi-Fi.
PAGE = places.WIFI / "page"
#: Read by avahi's unit: which of its files says where it announces the page.
AVAHI = places.WIFI / "avahi"
_CARD = places.NETWORK_CARDS / INTERFACE
_WIFI = "mtp-appliance-wifi.service"
_PAGE = "mtp-appliance-web-wifi.socket"
_PAGE_SERVICE = "mtp-appliance-web.service"
_AVAHI = "avahi-daemon.service"


def apply_wifi(settings: Settings, system: System, *, starting: bool, again: bool = False) -> None:
    """Write the files; where the services may be running already, have them know of it.

    `again`: it failed before, so they may not know of what the files say already.
    """
    network = settings.wifi_network
    if network and settings.wifi_passphrase == HIDDEN:
        hint = "mtp-appliance settings passphrase"
        raise ApplianceError("the passphrase of the Wi-Fi cannot be read", hint=hint)
    secret = supplicant_file(network, settings.wifi_passphrase, settings.wifi_country)
    joined = put(system.place(SUPPLICANT), secret if network else None, mode=0o600) or again
    address = wifi_networkd_file().text if network else None
    if put(system.place(NETWORK_FILES / NETWORK_FILE), address) or again:
        system.reload_networkd()
    served = is_page_served(settings)
    told = put(system.place(AVAHI), "AVAHI=avahi-daemon-wifi.conf\n" if served else None)
    told |= put(system.place(PAGE), "" if served else None) or again
    if starting:
        return
    if joined:
        _start_or_stop(_WIFI, system, wanted=bool(network))
    if told:
        # A socket is not opened, nor closed to it, while what it is for is running.
        system.systemctl("stop", _PAGE_SERVICE)
        _start_or_stop(_PAGE, system, wanted=served)
        system.systemctl("try-restart", _AVAHI)


def is_page_served(settings: Settings) -> bool:
    """Whether the page is for the Wi-Fi too: not before somebody has given it a password."""
    return bool(settings.wifi_network and settings.wifi_page and settings.web_password)


def _start_or_stop(unit: str, system: System, *, wanted: bool) -> None:
    """Have a unit run as its files are now; without the card it starts when that comes."""
    if wanted and not system.place(_CARD).exists():
        log.warning("WI-FI   there is no %s here", INTERFACE)
        return
    system.systemctl("restart" if wanted else "stop", unit)
