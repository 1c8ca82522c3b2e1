# SPDX-License-Identifier: GPL-3.0-or-later
"""MTP over the network: what serves at addresses, and how a person looks at it."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack

from appliance.mtp.ptpip_packets import PORT
from appliance.mtp.responder import Responder
from appliance.services.watchdog import Watchdog
from appliance.transports.ptpip import PtpIpServer
from appliance.transports.ptpip_listen import Address

log = logging.getLogger(__name__)


def serve_ptpip(
    responder: Responder,
    listen: Sequence[tuple[str, int]],
    watchdog: Watchdog,
    stack: ExitStack,
) -> list[str]:
    """Serve over PTP/IP until `stack` is left; what to tell a person about it."""
    server = PtpIpServer(responder, [Address(*each) for each in listen])
    stack.enter_context(server)
    where = ", ".join(map(str, server.addresses))
    watchdog.watch(f"the PTP/IP server at {where}", lambda: server.is_alive)
    for address in server.addresses:
        if not address.is_loopback:
            log.warning("who reaches %s may read and change it all: PTP/IP has no login", address)
    return _address_lines(server.addresses)


def _address_lines(addresses: list[Address]) -> list[str]:
    lines = [f"Ready over PTP/IP at {', '.join(map(str, addresses))}."]
    known_to_gphoto2 = [address for address in addresses if ":" not in address.host]
    if known_to_gphoto2:
        lines += ["To look at it:", f"  {_gphoto2(known_to_gphoto2[0])}"]
    return lines


def _gphoto2(address: Address) -> str:
    host = "127.0.0.1" if address.host == "0.0.0.0" else address.host
    # It takes the port once for each of its two connections.
    ports = "" if address.port == PORT else f":{address.port}:{address.port}"
    return f'gphoto2 --port ptpip:{host}{ports} --camera "PTP/IP Camera" --list-files'
