# SPDX-License-Identifier: GPL-3.0-or-later
"""The device's end of the cable, and what the PC sees on its bus."""

import json
from pathlib import Path

import usb.core

from tests.appliance.units import run, wait_until
from tests.usb.host import PRODUCT, VENDOR

GADGET = Path("/sys/kernel/config/usb_gadget/mtp-appliance")


def is_on_the_bus() -> bool:
    """Whether the PC sees the device."""
    return usb.core.find(idVendor=VENDOR, idProduct=PRODUCT) is not None


def wait_until_on_the_bus() -> None:
    """Wait until the PC sees the device."""
    wait_until(is_on_the_bus, "the PC sees the device")


def controller() -> str:
    """Name the controller that the gadget is bound to, "" for none."""
    return (GADGET / "UDC").read_text().strip()


def pull_and_plug() -> None:
    """Pull the cable, and plug it in when the PC has noticed."""
    name = controller()
    (GADGET / "UDC").write_text("\n")
    wait_until(lambda: not is_on_the_bus(), "the device is gone")
    if not controller():
        (GADGET / "UDC").write_text(name)
    wait_until_on_the_bus()


def interface() -> str:
    """Name the device's own network interface at the cable."""
    (name,) = (each.read_text().strip() for each in GADGET.glob("functions/*/ifname"))
    return name


def addresses() -> dict[str, str]:
    """Give the device's addresses at the cable: `inet` and `inet6`, with `mac`."""
    (card,) = json.loads(run("ip", "-j", "address", "show", "dev", interface()))
    found = {each["family"]: each["local"] for each in card["addr_info"]}
    return found | {"mac": card["address"]}
