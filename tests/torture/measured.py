# SPDX-License-Identifier: GPL-3.0-or-later
"""`mtp-appliance serve` as a process of its own, whose memory, descriptors and threads are read."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from appliance import status
from appliance.errors import ApplianceError
from appliance.transports.ptpip_listen import Address
from tests.clients.served import free_port

_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process has at a moment; memory and log in bytes.

    Memory is what nobody shares: what is shared weighs more as soon as others who have it end.
    """

    memory: int
    descriptors: int
    threads: int
    log: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A responder over PTP/IP. `log` is what it has said, `status` its status file."""

    process: "subprocess.Popen[bytes]"
    address: Address
    log: Path
    status: Path

    def sample(self) -> Sample:
        """Read what it has now."""
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        proc = Path(f"/proc/{self.process.pid}")
        state = (proc / "status").read_text()
        return Sample(
            int(state.split("\nRssAnon:")[1].split()[0]) << 10,
            len(list((proc / "fd").iterdir())),
            int(state.split("\nThreads:")[1].split()[0]),
            self.log.stat().st_size,
        )


@contextmanager
def measured(place: Path, *folders: Path, prefix: Sequence[str] = ()) -> Iterator[Measured]:
    """Serve until the block ends, with memory as its unit has it; `prefix` precedes the command."""
    address = Address("127.0.0.1", free_port())
    state, log = place / "state", place / "log"
    serve = (sys.executable, "-m", "appliance", "serve", "--no-trash", "--state-dir", str(state))
    where = ("--listen", f"{address.host}:{address.port}")
    argv = [*prefix, *serve, *where, *map(str, folders)]
    env = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    with (
        log.open("wb") as said,
        subprocess.Popen(argv, stdout=said, stderr=said, env=env) as process,
    ):
        served = Measured(process, address, log, state / "status.json")
        try:
            _wait_until_ready(served)
            yield served
            assert process.poll() is None, f"it has ended: {log.read_text()[-2000:]}"
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _wait_until_ready(served: Measured) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and served.process.poll() is None:
        with suppress(ApplianceError):
            if status.read(served.status).ready:
                return
        time.sleep(0.02)
    raise AssertionError(f"it did not become ready: {served.log.read_text()[-2000:]}")
