# SPDX-License-Identifier: GPL-3.0-or-later
"""MTP into virtual machines: places as a person writes them, and what serves at them."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from appliance.mtp.responder import Responder
from appliance.services.watchdog import Watchdog
from appliance.settings.guest_places import GuestPlace
from appliance.settings.schema import Settings
from appliance.transports.ptpip_listen import Address
from appliance.transports.usb_descriptors import Description
from appliance.transports.usbredir import UsbRedirServer
from appliance.transports.usbredir_places import Place


def serve_usbredir(
    responder: Responder,
    places: Sequence[GuestPlace],
    settings: Settings,
    watchdog: Watchdog,
    stack: ExitStack,
) -> list[str]:
    """Serve virtual machines until `stack` is left; what to tell a person about it."""
    server = UsbRedirServer(responder, list(map(_place, places)), _description(responder, settings))
    stack.enter_context(server)
    where = ", ".join(map(str, server.places))
    watchdog.watch(f"the usbredir server at {where}", lambda: server.is_alive)
    return [f"Ready for virtual machines at {where}."]


def _place(place: GuestPlace) -> Place:
    path = Path(place.path) if place.path else None
    address = Address(place.host, place.port) if place.host else None
    return Place(path, address, place.calls)


def _description(responder: Responder, settings: Settings) -> Description:
    who = responder.device.identity
    ids = settings.usb_vendor_id, settings.usb_product_id
    return Description(who.manufacturer, who.model, who.serial_number, *ids)
