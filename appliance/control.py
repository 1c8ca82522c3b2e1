# SPDX-License-Identifier: GPL-3.0-or-later
"""How anything of ours asks a service that runs: one line each way over a Unix socket.

    {"verb": "storage eject", "arguments": {"storage": "Card"}}
    {"result": null}   or   {"error": "there is no storage Card", "hint": "...", "status": 1}

`status` is what a command ends with. The command line and the settings page ask;
`appliance/services/control_socket.py` answers.
"""

import json
import math
import os
import socket
import time
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError, ExitStatus

SOCKET_NAME = "control.sock"
_MAX_LINE = 1 << 24
_PART = 1 << 16
#: Seconds that the service may take for what it is asked.
LONG = 600.0
_NOT_RUNNING = "start it: mtp-appliance serve FOLDER"
_NO_HELPER = "see what keeps it: systemctl status mtp-appliance-helper.socket"


def socket_path(state_directory: Path | None = None) -> Path:
    """Find where the socket is: with the state, if that has a place of its own; else systemd's
    runtime directory for the service, or the user's.
    """
    if state_directory is not None:
        return state_directory / SOCKET_NAME
    for_service = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if for_service:
        return Path(for_service) / SOCKET_NAME
    for_user = os.environ.get("XDG_RUNTIME_DIR", "")
    if for_user.startswith("/"):
        return Path(for_user) / "mtp-appliance" / SOCKET_NAME
    if os.geteuid() == 0:
        return Path("/run/mtp-appliance") / SOCKET_NAME
    return Path("~/.local/state/mtp-appliance").expanduser() / SOCKET_NAME


def ask(path: Path, verb: str, patience: float = LONG, /, **arguments: Any) -> Any:
    """Ask the service that listens at `path`; what it says within `patience` (seconds).

    Raises ApplianceError.
    """
    try:
        with connect(path) as connection:
            connection.settimeout(patience)
            connection.sendall(encode({"verb": verb, "arguments": arguments}))
            answer = json.loads(receive_line(connection))
    except (FileNotFoundError, ConnectionRefusedError):
        hint = _NOT_RUNNING if path.name == SOCKET_NAME else _NO_HELPER
        raise ApplianceError(
            f"no appliance listens at {path}", hint=hint, status=ExitStatus.NOT_RUNNING
        ) from None
    except PermissionError:
        what = f"{path} is not for this user"
        raise ApplianceError(what, hint="use sudo", status=ExitStatus.NEEDS_ROOT) from None
    except (OSError, ValueError) as error:
        raise ApplianceError(f"{path}: {error}") from None
    if "error" in answer:
        status = _status(answer.get("status"))
        raise ApplianceError(answer["error"], hint=answer.get("hint", ""), status=status)
    return answer["result"]


def _status(number: object) -> ExitStatus:
    return next((each for each in ExitStatus if each == number), ExitStatus.FAILURE)


def connect(path: Path) -> socket.socket:
    """Open a connection to the socket at `path`. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.fsencode(path))
    except OSError:
        connection.close()
        raise
    return connection


def receive_line(connection: socket.socket, most: int = _MAX_LINE) -> bytes:
    """Receive up to the end of a line, for as long as the connection's timeout.

    Raises OSError, and ValueError where none comes.
    """
    data, patience = b"", connection.gettimeout()
    deadline = math.inf if patience is None else time.monotonic() + patience
    while not data.endswith(b"\n"):
        if time.monotonic() > deadline:
            raise TimeoutError("too slow")
        part = connection.recv(_PART)
        if not part:
            raise ValueError("the other side went away")
        data += part
        if len(data) > most:
            raise ValueError("too long")
    return data


def encode(message: dict[str, Any]) -> bytes:
    """Make one line of a message."""
    return json.dumps(message).encode() + b"\n"
