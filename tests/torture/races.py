# SPDX-License-Identifier: GPL-3.0-or-later
"""A responder with a client at work, while files, folders and roots are changed under its hands.

`python -m tests.torture.races BASE ROAD SEED`, in the place that `tests/torture/stage.py` makes. It
takes `work N` and `compare` from stdin, and tells what it has done as JSON.
"""

import faulthandler
import json
import logging
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import cast

from appliance.errors import ApplianceError
from appliance.mtp.codes import ALL
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.errors import MtpError
from appliance.storage import Catalogue, TrashPolicy
from appliance.storage.write_safety import WriteSafety
from tests.fakes import ptpip_client
from tests.fakes.client import Client, ConnectClient
from tests.fakes.memory_client import connect_memory
from tests.fakes.ptpip_client import connect_ptpip
from tests.protocol.initiator import Initiator
from tests.torture.busy import NAMES, STORAGES, is_edited, is_whole
from tests.torture.canaries import Place, is_told, look_at_gone
from tests.torture.disturbing import Disturber
from tests.torture.frank import be_frank
from tests.torture.unruly import Unruly

_ROADS: dict[str, ConnectClient] = {"memory": connect_memory, "ptpip": connect_ptpip}
#: Seconds for a stretch, or an answer, on a busy machine.
_PATIENCE = 200.0
_WORKPLACE = ".mtp-appliance"
#: In how many calls one is disturbed, and how often all is put back after an act.
_RARITIES = (3, 8, 20, 60)
_PUT_BACK = 0.5


class Worker:
    """A busy client, and who looks after it; no answer may tell of anything outside."""

    def __init__(
        self, client: Client, place: Place, disturber: Disturber, chance: random.Random
    ) -> None:
        self._pc = Initiator(client)
        self._place = place
        self._disturber = disturber
        self._chance = chance
        self._gone: dict[Path, dict[Path, object]] = {}
        self.busy = Unruly(client, chance, self._answered)
        self._store = cast(Catalogue, client.responder.store)
        self._store.set_trash(TrashPolicy(share=1.0))
        be_frank(self._store)

    def work(self, count: int) -> None:
        """Do so many things while everything changes."""
        for _ in range(count):
            self.busy.look_around()
            if self._chance.random() < 0.05:
                self._store.set_write_safety(self._chance.choice(list(WriteSafety)))
            self._person()
            self._disturber.rarity = self._chance.choice(_RARITIES)
            self._disturber.is_armed = True
            self.busy.act()
            self._disturber.is_armed = False
            if self._chance.random() < _PUT_BACK:
                self._disturber.put_back()

    def _person(self) -> None:
        """Now and then somebody brings things back from the trash, or empties it."""
        if self._chance.random() > 0.1:
            return
        items = self._store.trash_list()
        if items and self._chance.random() < 0.7:
            item = self._chance.choice(items)
            with suppress(MtpError, ApplianceError):  # it goes at any time
                self._store.trash_restore(item.storage_id, item.name)
        else:
            self._store.trash_empty()

    def _answered(self, data: bytes | None) -> None:
        """Look at an answer, and at what was moved out before it: that is as it will stay."""
        assert data is None or not is_told(data), f"an answer tells of a canary: {data[:300]!r}"
        with self._disturber.quiet():
            for path in self._disturber.moved_out:
                self._disturber.allow(path)
                self._gone[path] = look_at_gone(path)
            self._disturber.moved_out.clear()

    def check(self) -> None:
        """Compare what the client is told with what is there, when nobody changes anything."""
        self._disturber.restore()
        for path, seen in self._gone.items():
            assert look_at_gone(path) == seen, f"written after it was moved out: {path}"
        self._gone.clear()
        self._store.settle()
        for storage, root in zip(STORAGES, (self._place.card, self._place.stick), strict=True):
            self._compare(storage, ALL, root)

    # Comparing

    def _compare(self, storage: int, parent: int, folder: Path) -> None:
        """Compare a folder with what a client is told of it, and all below."""
        there = {each.name: each for each in folder.iterdir() if _is_shown(each)}
        told = self._pc.names(parent, storage=storage)
        assert sorted(told) == sorted(there), f"{folder}: {sorted(told)} for {sorted(there)}"
        for name, path in there.items():
            if path.is_dir():
                self._compare(storage, told[name], path)
                continue
            data = path.read_bytes()
            assert self._pc.info(told[name]).size == len(data), path
            assert self._pc.data(Op.GET_OBJECT, told[name]) == data, path
            torn = _is_uploaded(path) and not is_edited(name) and not is_whole(data)
            assert not torn, f"{path} is torn"


def _is_uploaded(path: Path) -> bool:
    """Whether a file is of those that uploads make; no note of the trash.

    In a workplace that was renamed a client sees, and renames, what is half uploaded.
    """
    is_in_workplace = any(each.startswith(_WORKPLACE) for each in path.parts)
    return path.name.partition("~")[0] in NAMES and "." not in path.name and not is_in_workplace


def _is_shown(path: Path) -> bool:
    is_real = path.is_dir() or path.is_file()
    return is_real and not path.is_symlink() and path.name != _WORKPLACE


class _Defects(logging.Handler):
    """Keeps what the responder calls a defect of its own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        is_told = record.getMessage().startswith("LOST")  # of what was answered, but not yet safe
        if record.exc_info or (record.levelno >= logging.ERROR and not is_told):
            self.found.append(self.format(record))


def main() -> None:
    """Serve, and do what stdin says."""
    place, road, chance = Place(Path(sys.argv[1])), sys.argv[2], random.Random(int(sys.argv[3]))
    ptpip_client.PATIENCE = _PATIENCE
    defects = _Defects()
    logging.basicConfig(level=logging.INFO)
    logging.getLogger().addHandler(defects)
    with _ROADS[road](place.card, place.stick, allow_format=True) as client:
        disturber = Disturber(place, chance)
        worker = Worker(client, place, disturber, chance)
        for line in sys.stdin:
            order, *more = line.split()
            faulthandler.dump_traceback_later(_PATIENCE, exit=True)  # where it hangs
            if order == "work":
                worker.work(int(more[0]))
            elif order == "restore":
                disturber.restore()
            else:
                worker.check()
            assert not defects.found, "\n".join(defects.found)
            print(json.dumps({"done": disturber.done, "codes": worker.busy.codes}), flush=True)


if __name__ == "__main__":
    main()
