# SPDX-License-Identifier: GPL-3.0-or-later
"""A share without a journal, on FAT or exFAT, whose power goes: in the virtual Pi, which mounts it.

`python3 -m tests.power.fat --kind vfat --cuts 300 --seed 1`. One run is recorded, of a PC in memory
that works on a card by NBD (`tests/power/card.py`); what may be left before each of its writes and
flushes is repaired, as a PC would, mounted and looked at. What was answered has to be whole. Of
what was under way the old and the new may be lost, for nothing is changed in one step there.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.wire import WireError
from tests.fakes.client import Answer, Client
from tests.fakes.memory_client import connect_memory
from tests.power import looking, replays
from tests.power.card import Card
from tests.power.cuts import Cut, Run
from tests.power.judge import look_below
from tests.power.model import FOLDER, State
from tests.power.recording import Recording
from tests.power.worker import Worker

_CARD_SIZE = 64 << 20
_DEVICE = "/dev/nbd0"
#: fsck.fat(8), fsck.exfat(8): errors were corrected.
_REPAIRED = 1
#: How often it is run: what one run of fsck.fat makes of a damaged folder only the next one mends.
_REPAIRS = 2
#: What they call clusters whose file they have not found.
_FOUND = (
    *(f"file: {each}FILE0" for each in ("", f"{FOLDER}/", "LOST+FOUND/", "LOST.FOUND/")),
    "file: FSCK0",
)


def main() -> int:
    """Do what the command line says; 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("exfat", "vfat"), default="exfat")
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--operations", type=int, default=60)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        run = record(Path(folder), rng, arguments.operations, arguments.kind)
        judge, tally = Judge(Path(folder), arguments.kind), replays.Tally()
        for verdict in replays.replay(run, judge, arguments.cuts, rng):
            tally.add(lenient(verdict))
            for each in verdict.wrong:
                print(f"step {verdict.point}, {verdict.operation} under way: {each}")
    print(f"{tally.cuts} cuts. Under way: {dict(tally.under_way)}. Lost: {dict(tally.wrong)}.")
    return 1 if tally.wrong else 0


def lenient(verdict: replays.Verdict) -> replays.Verdict:
    """Leave out what is wrong with a file that was under way, and the names that a repair gives."""
    _, *words = verdict.operation or [""]
    excused = (*(f"file: {each}:" for each in words if isinstance(each, str)), *_FOUND)
    wrong = [each for each in verdict.wrong if not each.startswith(excused)]
    return replace(verdict, wrong=wrong)


def record(folder: Path, rng: random.Random, operations: int, kind: str) -> Run:
    """Let a PC do so many things on a new card."""
    card, socket, share = folder / "card", folder / "socket", folder / "share"
    share.mkdir()
    with card.open("wb") as file:
        file.truncate(_CARD_SIZE)
    _run(f"mkfs.{kind}", str(card))
    before = folder / "before"
    before.write_bytes(card.read_bytes())
    recording = Recording(folder / "done.jsonl")
    _run("modprobe", "nbd")
    _run("udevadm", "settle")  # who looks at a new device has it in use meanwhile
    served = Card(card, socket, rng, recording.note)
    _run("nbd-client", "-unix", str(socket), _DEVICE)
    with _mounted(_DEVICE, share, kind), connect_memory(share) as client:
        worker = Worker(_Pc(client), State(), rng, without=("days",))
        worker.work(range(operations), folder / "done.jsonl")
    served.cut(lambda: _run("nbd-client", "-d", _DEVICE))
    recording.end()
    return Run(Cut(1, served.writes, operations, 0.0), before, State(), recording)


class _Pc:
    """A client in memory, with an open session."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.ask(Op.OPEN_SESSION, 1)

    def ask(self, code: int, *parameters: int) -> Answer:
        return self._client.call(code, *parameters)

    def send(self, code: int, *parameters: int, data: bytes) -> Answer:
        return self._client.call(code, *parameters, data=data)


class Judge:
    """Looks at the card that lies at `card`, and changes it."""

    def __init__(self, folder: Path, kind: str) -> None:
        _run("modprobe", "loop")
        self._kind = kind
        self.card = folder / "judged"
        self.card.touch()
        self._below = folder / "below"
        self._share = self._below / looking.SHARE.relative_to("/")
        self._share.mkdir(parents=True)
        settings = self._below / looking.SETTINGS.relative_to("/")
        settings.parent.mkdir(parents=True)
        settings.touch()

    def look(self, edited: str | None) -> dict[str, Any]:
        """Say what is on it after a start; of the file named `edited` all that is in it."""
        for _ in range(_REPAIRS):
            command = (f"fsck.{self._kind}", "-y", str(self.card))
            repaired = subprocess.run(command, capture_output=True, check=False)
            if repaired.returncode > _REPAIRED:
                return {"unusable": repaired.stdout.decode()}
        try:
            with _mounted(str(self.card), self._share, self._kind, "-o", "loop"):
                return look_below(self._below, edited) | {"trash": None}
        except subprocess.CalledProcessError as error:
            return {"unusable": error.stderr.decode()}
        except WireError as error:
            return {"unusable": f"an object without ObjectInfo: {error}"}
        except OSError as error:
            return {"unusable": f"{error}; {repaired.stdout.decode()}"}


@contextmanager
def _mounted(what: str, where: Path, kind: str, *options: str) -> Iterator[None]:
    _run("mount", "-t", kind, *options, what, str(where))
    try:
        yield
    finally:
        _run("umount", str(where))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
