# SPDX-License-Identifier: GPL-3.0-or-later
"""In the virtual Pi, which stays up: looks at one card after another as the appliance starts on it.

For each number in `asked.json` the disk is another card. It is mounted as by a start, a responder
serves it with the settings that lie on it, a PC lists and reads all of it; `found.json` has what
was there. The responder is a fork of this process, since importing it takes longer than all else.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from appliance.services import mtpd
from appliance.transports import ptpip  # noqa: F401 - imported once, before the forks
from appliance.transports.ptpip_listen import Address
from tests.fakes.ptpip_client import PtpIpClient
from tests.power import looking
from tests.power.looking import SETTINGS, SHARE, asked, kernel_complaints, look, tell
from tests.power.mounting import mounted

_DISK = Path("/dev/vdb")
_RUN = Path("/run/judged")
_STATE = Path("/var/lib/mtp-appliance")
_PATIENCE = 60.0
#: A port of its own for each responder.
_FIRST_PORT, _PORTS = 20_000, 10_000


def main() -> None:
    """Look at cards until the power goes."""
    _be_like_the_appliance()
    number = 0
    with Path("/dev/kmsg").open("rb", buffering=0) as log:
        os.set_blocking(log.fileno(), False)
        while True:
            wanted = asked("asked.json")
            if wanted.get("number", 0) == number:
                time.sleep(0.05)
                continue
            number = wanted["number"]
            _kernel_said(log)
            found = judge(number, wanted["edited"])
            kernel = kernel_complaints(_kernel_said(log))
            tell("found.json", found | {"number": number, "kernel": kernel})


def judge(number: int, edited: str | None) -> dict[str, Any]:
    """Look at the card that is there now."""
    try:
        with mounted(_DISK):
            seen = _served(_FIRST_PORT + number % _PORTS)
            return look(edited) | {"seen": seen}
    except OSError as error:
        return {"unusable": str(error)}


def _be_like_the_appliance() -> None:
    """Give what the overlay has, where the card does not bring it."""
    SETTINGS.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy("overlay/etc/mtp-appliance/settings.toml", SETTINGS)
    _STATE.mkdir(exist_ok=True)
    for module in ("ext4", "exfat"):
        subprocess.run(["modprobe", module], check=True)


def _kernel_said(log: BinaryIO) -> str:
    """Read what the kernel has said since."""
    words = []
    with suppress(BlockingIOError):
        while True:
            words.append(os.read(log.fileno(), 8192).decode(errors="replace"))
    return "".join(words)


def _served(port: int) -> dict[str, str]:
    """Serve the card, and say what a PC reads."""
    responder = _start(port)
    try:
        with _connect(port) as client:
            return looking.seen(client.call)
    finally:
        os.kill(responder, signal.SIGKILL)
        os.waitpid(responder, 0)


def _connect(port: int) -> PtpIpClient:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with suppress(ConnectionRefusedError):
            return PtpIpClient(Address("127.0.0.1", port), events=False)
        time.sleep(0.02)
    raise TimeoutError("the responder does not listen")


def _start(port: int) -> int:
    """Start the responder as its own user, with systemd's places; its process."""
    owner = SHARE.stat()
    _RUN.mkdir(exist_ok=True)
    os.chown(_RUN, owner.st_uid, owner.st_gid)
    process = os.fork()
    if process == 0:
        try:
            os.setgroups([])
            os.setgid(owner.st_gid)
            os.setuid(owner.st_uid)
            os.environ |= {"RUNTIME_DIRECTORY": str(_RUN), "STATE_DIRECTORY": str(_STATE)}
            options = mtpd.Options(listen=(("127.0.0.1", port),), settings=SETTINGS)
            mtpd.serve(options, lambda line: None)
            os._exit(0)
        finally:
            os._exit(1)
    return process


if __name__ == "__main__":
    main()
