# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets that systemd listens at for a service which it starts when somebody comes.

Spec: sd_listen_fds(3).
"""

import os
import socket
from collections.abc import Mapping

_FIRST = 3


def listening_sockets(environment: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """Take over the sockets that were handed to this process; none where nobody did."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    try:
        count = int(environment.get("LISTEN_FDS", "0"))
    except ValueError:
        return []
    found = []
    for fd in range(_FIRST, _FIRST + count):
        os.set_inheritable(fd, False)
        found.append(socket.socket(fileno=fd))
    return found
