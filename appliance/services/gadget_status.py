# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to say of the gadget and of the network on its cable."""

from pathlib import Path

from appliance.gadget import udc
from appliance.gadget.configfs import Gadget
from appliance.gadget.identity import network_addresses, serial_number
from appliance.network.plan import INTERFACE, cable_network
from appliance.services.gadget import GADGET
from appliance.settings.schema import Settings
from appliance.values import dataclass


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """The network beside MTP; `urls` are where the settings page is, the name first."""

    function: str
    interface: str
    device_address: str
    pc_addresses: tuple[str, ...]
    device_mac: str
    pc_mac: str
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GadgetStatus:
    """The gadget now; `holder` is who has the controller, "" nobody."""

    name: str
    there: bool
    bound: bool
    controller: str
    state: str
    speed: str
    holder: str
    functions: tuple[str, ...]
    network: NetworkStatus | None


def look(settings: Settings, root: Path = Path("/")) -> GadgetStatus:
    """See what is there; for any user."""
    gadget = Gadget(GADGET, root)
    known = udc.controllers(root)
    wanted = udc.bound_to(gadget) or settings.usb_controller or next(iter(known), "")
    controller = wanted if wanted in known else ""
    functions = sorted(path.name for path in gadget.path.glob("configs/c.1/*.*"))
    return GadgetStatus(
        name=GADGET,
        there=gadget.path.is_dir(),
        bound=bool(controller) and udc.bound_to(gadget) == controller,
        controller=controller,
        state=udc.state(controller, root) if controller else "",
        speed=udc.speed(controller, root) if controller else "",
        holder=(udc.holder(controller, root) or "") if controller else "",
        functions=tuple(functions),
        network=network_status(settings, root),
    )


def network_status(settings: Settings, root: Path = Path("/")) -> NetworkStatus | None:
    """Say what the settings make of the network; None where there is to be none."""
    if settings.network_function == "none":
        return None
    serial = serial_number(root)
    network = cable_network(serial, settings.network_address)
    macs = network_addresses(serial)
    return NetworkStatus(
        function=settings.network_function,
        interface=INTERFACE,
        device_address=str(network.device),
        pc_addresses=tuple(map(str, network.pool)),
        device_mac=macs.device,
        pc_mac=macs.host,
        urls=(f"http://{settings.network_host_name}.local", f"http://{network.device.ip}"),
    )
