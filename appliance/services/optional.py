# SPDX-License-Identifier: GPL-3.0-or-later
"""What a responder does only where it is asked to, and what is not loaded before that."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from appliance.mtp.responder import Responder

if TYPE_CHECKING:
    from appliance.services.binding import Binder
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


def serve_guests(
    responder: Responder,
    places: "Sequence[GuestPlace]",
    settings: "Settings",
    watchdog: "Watchdog",
    stack: ExitStack,
) -> list[str]:
    """Serve virtual machines until `stack` is left; what to tell a person about it."""
    from appliance.services.usbredir import serve_usbredir  # noqa: PLC0415 - for this road only

    return serve_usbredir(responder, places, settings, watchdog, stack)
