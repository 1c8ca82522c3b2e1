# SPDX-License-Identifier: GPL-3.0-or-later
"""The status in one line of a few words, without names of files; and where the page is."""

from importlib.util import find_spec

from appliance.settings.schema import Settings
from appliance.status import Cable, Direction, Status

_CABLES = {
    Cable.NOT_USED: "Waiting for a PC",
    Cable.NO_CONTROLLER: "No USB device controller",
    Cable.UNBOUND: "Not shown to the PC",
    Cable.DETACHED: "Waiting for a PC",
    Cable.ATTACHED: "A PC is there",
    Cable.CONFIGURED: "Connected to a PC",
    Cable.SUSPENDED: "The PC sleeps, or the cable is out",
}


def headline(status: Status) -> str:
    """Say what goes on, and how much is to be seen to."""
    count = len(status.warnings)
    if not count:
        return _doing(status)
    return f"{_doing(status)}; {count} {'warning' if count == 1 else 'warnings'}"


def _doing(status: Status) -> str:
    if not status.ready:
        return "It is starting"
    directions = {each.direction for each in status.transfers}
    if len(directions) > 1:
        return "Moving files to and from the PC"
    if directions:
        return "Sending to the PC" if Direction.IN in directions else "Receiving from the PC"
    if status.ejected:
        return "Ejected"
    if status.sessions and status.usb.cable in {Cable.NOT_USED, Cable.DETACHED, Cable.UNBOUND}:
        return "Connected to a PC"
    return _CABLES[status.usb.cable]


def page_address(settings: Settings) -> str:
    """Say where the settings page is on a PC at the cable; "" where there is none."""
    if settings.network_function == "none" or find_spec("webui") is None:
        return ""
    return f"http://{settings.network_host_name}.local"
