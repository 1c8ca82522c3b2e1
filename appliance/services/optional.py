# SPDX-License-Identifier: GPL-3.0-or-later
"""What a responder does only where it is asked to, and what is not loaded before that."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from appliance.mtp.responder import Responder

if TYPE_CHECKING:
    from appliance.services.binding import Binder
    from appliance.services.reporting import Reporter
    from appliance.services.roads import Road
    from appliance.services.watchdog import Watchdog
    from appliance.settings.guest_places import GuestPlace
    from appliance.settings.schema import Settings


def make_binder(gadget: str, controller: str) -> "Binder | None":
    """Give what binds a gadget; None for none."""
    if not gadget:
        return None
    from appliance.services.binding import Binder  # noqa: PLC0415 - for this road only

    return Binder(gadget, controller)


def wifi_server(responder: Responder) -> AbstractContextManager[object]:
    """Give what serves on the Wi-Fi alone."""
    from appliance.services.wifi import WifiServer  # noqa: PLC0415 - for this road only

    return WifiServer(responder)


def ptpip_road(
    responder: Responder,
    addresses: "Sequence[tuple[str, int]]",
    watchdog: "Watchdog",
    *,
    is_needed: bool,
) -> "Road":
    """Give the road over the network, at addresses."""
    from appliance.services.ptpip import serve_ptpip  # noqa: PLC0415 - for this road only
    from appliance.services.roads import Road  # noqa: PLC0415

    def serve(places: "Sequence[tuple[str, int]]", stack: ExitStack) -> list[str]:
        return serve_ptpip(responder, places, watchdog, stack)

    return Road(serve, addresses, is_needed)


def guests_road(
    responder: Responder,
    guests: "Sequence[GuestPlace]",
    settings: "Settings",
    watchdog: "Watchdog",
    *,
    is_needed: bool,
) -> "Road":
    """Give the road into virtual machines, met at places."""
    from appliance.services.roads import Road  # noqa: PLC0415
    from appliance.services.usbredir import serve_usbredir  # noqa: PLC0415 - for this road only

    def serve(places: "Sequence[GuestPlace]", stack: ExitStack) -> list[str]:
        return serve_usbredir(responder, places, settings, watchdog, stack)

    return Road(serve, guests, is_needed)


def serve_beside(roads: "Sequence[Road]", reporter: "Reporter", stack: ExitStack) -> list[str]:
    """Serve over roads beside USB until `stack` is left; what to tell a person about it."""
    from appliance.services.roads import serve_roads  # noqa: PLC0415 - not for USB alone

    return serve_roads(roads, reporter.addresses_failed, stack)
