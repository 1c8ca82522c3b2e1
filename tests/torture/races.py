# SPDX-License-Identifier: GPL-3.0-or-later
"""A responder with a client at work, while files, folders and roots are changed under its hands.

`python -m tests.torture.races BASE ROAD SEED`, in the place that `tests/torture/stage.py` makes. It
takes `work N` and `compare` from stdin, and tells what it has done as JSON.
"""

import json
import logging
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import cast

from appliance.mtp.codes import ALL, FormatCode, ResponseCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.wire import encode_string
from appliance.storage import Catalogue, TrashPolicy
from appliance.storage.write_safety import WriteSafety
from tests.fakes.client import Answer, Client, ConnectClient
from tests.fakes.memory_client import connect_memory
from tests.fakes.ptpip_client import connect_ptpip
from tests.protocol.initiator import Initiator
from tests.torture.canaries import Place, is_told, look_at_gone
from tests.torture.disturbing import Disturber

_ROADS: dict[str, ConnectClient] = {"memory": connect_memory, "ptpip": connect_ptpip}
_STORAGES = (0x00010001, 0x00020001)
_NAME, _DATE = 0xDC07, 0xDC09
_LENGTHS = (0, 20, 20, 500, 5_000, 70_000, 300_000)
_WORKPLACE = ".mtp-appliance"
_MOST_HANDLES = 60
#: An answer that says nothing: for what nobody has foreseen.
_DEFECTS = (ResponseCode.GENERAL_ERROR, ResponseCode.UNDEFINED)
_WHOLE = re.compile(rb"\[(\d+)\](\.*)\Z")


def content(size: int) -> bytes:
    """Make a file that says how long it is."""
    return b"" if not size else (b"[%d]" % size).ljust(size, b".")


def is_whole(data: bytes) -> bool:
    found = _WHOLE.match(data)
    return not data or (found is not None and int(found[1]) == len(data))


def is_edited(name: str) -> bool:
    """Whether a file is of those that are changed in place; no act takes one out of its kind."""
    return name.startswith("edit")


class Worker:
    """The client: does anything to anything, and wants an answer that tells of nothing outside."""

    def __init__(
        self, client: Client, place: Place, disturber: Disturber, chance: random.Random
    ) -> None:
        self.codes: Counter[str] = Counter()
        self._client = client
        self._pc = Initiator(client)
        self._place = place
        self._disturber = disturber
        self._chance = chance
        self._names: dict[int, str] = {}
        #: Of folders.
        self._storages: dict[int, int] = {}
        self._gone: dict[Path, dict[Path, object]] = {}
        self._store = cast(Catalogue, client.responder.store)
        self._store.set_trash(TrashPolicy(share=1.0))
        self._call(Op.OPEN_SESSION, 1)

    def work(self, count: int) -> None:
        """Do so many things while everything changes."""
        for _ in range(count):
            if not self._names or self._chance.random() < 0.15:
                self._list()
            self._disturber.is_armed = True
            self._chance.choice(self._ACTS)(self)
            self._disturber.is_armed = False
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
        for storage, root in zip(_STORAGES, (self._place.card, self._place.stick), strict=True):
            self._compare(storage, ALL, root)

    # Asking

    def _call(self, code: Op, *parameters: int, data: bytes | None = None) -> Answer:
        answer = self._client.call(code, *parameters, data=data)
        name = ResponseCode(answer.code).name
        self.codes[name] += 1
        said = f"{code.name}{parameters}: {name}"
        assert answer.code in set(ResponseCode), said
        assert answer.code not in _DEFECTS or code is Op.END_EDIT_OBJECT, said
        assert answer.data is None or not is_told(answer.data), (
            f"{said} tells of a canary: {answer.data[:300]!r}"
        )
        return answer

    def _some(self) -> int:
        if not self._names or self._chance.random() < 0.02:
            return self._chance.choice((0, ALL, 0xDEAD))
        return self._chance.choice(list(self._names))

    def _where(self) -> tuple[int, int]:
        """A storage and a parent, often a root."""
        parent = self._some()
        if parent not in self._storages or self._chance.random() < 0.3:
            return self._chance.choice(_STORAGES), ALL
        return self._storages[parent], parent

    def _name(self) -> str:
        return self._chance.choice(("a", "b", "c", "ä", "edit a", "edit b", "with space"))

    # Acts

    def _list(self) -> None:
        storage, parent = self._where()
        data = self._call(Op.GET_OBJECT_HANDLES, storage, 0, parent).data or b""
        for at in range(4, len(data), 4):
            self._info(int.from_bytes(data[at : at + 4], "little"))
        while len(self._names) > _MOST_HANDLES:
            del self._names[self._chance.choice(list(self._names))]

    def _info(self, handle: int) -> None:
        answer = self._call(Op.GET_OBJECT_INFO, handle)
        if answer.ok:
            info = ObjectInfo.decode(answer.data or b"")
            self._names[handle] = info.name
            if info.format == FormatCode.ASSOCIATION:
                self._storages[handle] = info.storage_id

    def _look(self) -> None:
        handle = self._some()
        self._info(handle)
        depth = self._chance.choice((0, 1))
        self._call(Op.GET_OBJECT_PROP_LIST, handle, 0, ALL, 0, depth)
        self._call(Op.GET_OBJECT_PROP_VALUE, handle, _NAME)
        self._call(Op.GET_OBJECT_REFERENCES, handle)
        self._call(Op.GET_STORAGE_INFO, self._chance.choice(_STORAGES))

    def _read(self) -> None:
        handle = self._some()
        self._call(Op.GET_OBJECT, handle)
        self._call(Op.GET_PARTIAL_OBJECT, handle, 1, 1000)

    def _upload(self) -> None:
        name, size = self._name(), self._chance.choice(_LENGTHS)
        info = ObjectInfo(0, FormatCode.UNDEFINED, size, 0, name)
        answer = self._call(Op.SEND_OBJECT_INFO, *self._where(), data=info.encode())
        if answer.ok:
            sent = self._call(Op.SEND_OBJECT, data=content(size))
            if sent.ok:
                self._names[answer.parameters[2]] = name

    def _make_folder(self) -> None:
        info = ObjectInfo(0, FormatCode.ASSOCIATION, 0, 0, f"{self._name()} folder", association=1)
        answer = self._call(Op.SEND_OBJECT_INFO, *self._where(), data=info.encode())
        if answer.ok:
            self._names[answer.parameters[2]] = info.name

    def _rename(self) -> None:
        handle, name = self._some(), self._name()
        if is_edited(name) is is_edited(self._names.get(handle, "")):
            self._call(Op.SET_OBJECT_PROP_VALUE, handle, _NAME, data=encode_string(name))

    def _move(self) -> None:
        self._call(Op.MOVE_OBJECT, self._some(), *self._where())

    def _copy(self) -> None:
        answer = self._call(Op.COPY_OBJECT, handle := self._some(), *self._where())
        if answer.ok:
            self._names[answer.parameters[0]] = self._names.get(handle, "edit")

    def _delete(self) -> None:
        self._call(Op.DELETE_OBJECT, handle := self._some())
        self._names.pop(handle, None)

    def _change(self) -> None:
        handle = self._some()
        self._call(Op.SET_OBJECT_PROTECTION, handle, self._chance.choice((0, 0, 1)))
        date = encode_string("20010203T040506")
        self._call(Op.SET_OBJECT_PROP_VALUE, handle, _DATE, data=date)

    def _refer(self) -> None:
        listed = b"\1\0\0\0" + self._some().to_bytes(4, "little")
        self._call(Op.SET_OBJECT_REFERENCES, self._some(), data=listed)

    def _edit(self) -> None:
        handles = [each for each, name in self._names.items() if is_edited(name)]
        if not handles:
            return
        handle = self._chance.choice(handles)
        self._call(Op.BEGIN_EDIT_OBJECT, handle)
        for _ in range(self._chance.randrange(4)):
            offset, data = self._chance.choice((0, 0, 10, 5_000)), b"edited" * 50
            self._call(Op.SEND_PARTIAL_OBJECT, handle, offset, 0, len(data), data=data)
            self._call(Op.TRUNCATE_OBJECT, handle, self._chance.choice((0, 10, 9_000)), 0)
        if self._chance.random() < 0.7:
            self._call(Op.END_EDIT_OBJECT, handle)

    def _new_session(self) -> None:
        self._call(Op.CLOSE_SESSION)
        self._call(Op.OPEN_SESSION, 1)
        self._store.set_write_safety(self._chance.choice(list(WriteSafety)))

    _ACTS = (
        *(_list, _look, _look, _read, _read, _upload, _upload, _upload, _make_folder, _rename),
        *(
            _rename,
            _move,
            _move,
            _copy,
            _copy,
            _delete,
            _change,
            _refer,
            _edit,
            _edit,
            _new_session,
        ),
    )

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
            assert is_edited(name) or is_whole(data), f"{path} is torn"


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
    defects = _Defects()
    logging.basicConfig(level=logging.INFO)
    logging.getLogger().addHandler(defects)
    with _ROADS[road](place.card, place.stick) as client:
        disturber = Disturber(place, chance, rarity=2)
        worker = Worker(client, place, disturber, chance)
        for line in sys.stdin:
            order, *more = line.split()
            if order == "work":
                worker.work(int(more[0]))
            elif order == "restore":
                disturber.restore()
            else:
                worker.check()
            assert not defects.found, "\n".join(defects.found)
            print(json.dumps({"done": disturber.done, "codes": worker.codes}), flush=True)


if __name__ == "__main__":
    main()
