# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing done by one client in a process of its own, so that it can be killed in the middle.

python -m tests.clients.once CLIENT get PATH TARGET | put SOURCE FOLDER
"""

import sys
from pathlib import Path

from tests.clients.aft import Aft
from tests.clients.driver import Driver
from tests.clients.file_systems import AftMount, GoMtpfs, Jmtpfs
from tests.clients.gphoto2 import Gphoto2, Gphoto2PtpIp
from tests.clients.gvfs import Gvfs
from tests.clients.mtp_tools import MtpTools

USB_CLIENTS: dict[str, type[Driver]] = {
    "mtp-tools": MtpTools,
    "gphoto2-usb": Gphoto2,
    "gvfs": Gvfs,
    "jmtpfs": Jmtpfs,
    "go-mtpfs": GoMtpfs,
    "aft": Aft,
    "aft-mount": AftMount,
}


def make(client: str) -> Driver:
    """Make a client by name; `ptpip:ADDRESS:PORT` is gphoto2 over PTP/IP."""
    return Gphoto2PtpIp(client) if client.startswith("ptpip:") else USB_CLIENTS[client]()


if __name__ == "__main__":
    _, name, verb, first, second = sys.argv
    if verb == "get":
        make(name).get(first, Path(second))
    else:
        make(name).put(Path(first), second)
