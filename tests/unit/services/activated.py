# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a command as systemd starts one for whose socket somebody has come."""

import socket
import subprocess
import sys
from pathlib import Path

_PROGRAM = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "appliance", *sys.argv[2:]])
"""


def start(listener: socket.socket, *words: str | Path) -> "subprocess.Popen[str]":
    """Start `mtp-appliance WORDS` with the socket as descriptor 3; what it logs is piped."""
    number = listener.fileno()
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(number), *map(str, words)],
        pass_fds=(number,),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
