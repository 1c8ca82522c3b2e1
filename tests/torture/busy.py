# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that does anything to anything, and wants an answer that says something."""

import random
import re
from collections import Counter
from collections.abc import Callable

from appliance.mtp.codes import ALL, FormatCode, ResponseCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.wire import encode_string
from tests.fakes.client import Answer, Client

STORAGES = (0x00010001, 0x00020001)
NAMES = ("a", "b", "c", "ä", "edit a", "edit b", "with space")
_NAME, _DATE = 0xDC07, 0xDC09
_LENGTHS = (0, 20, 20, 500, 5_000, 70_000, 300_000)
_MOST_HANDLES, _FEW_HANDLES = 60, 12
#: An answer that says nothing: for what nobody has foreseen.
_DEFECTS = (ResponseCode.GENERAL_ERROR, ResponseCode.UNDEFINED)
_KNOWN = frozenset(ResponseCode)
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


class Busy:
    """The client, with an open session. `check` looks at each answer's data, None without.

    `codes` counts answers, each with its operation.
    """

    def __init__(
        self, client: Client, chance: random.Random, check: Callable[[bytes | None], None]
    ) -> None:
        self.codes: Counter[str] = Counter()
        self._client = client
        self._chance = chance
        self._check = check
        self._names: dict[int, str] = {}
        #: Of folders.
        self._storages: dict[int, int] = {}
        self.call(Op.OPEN_SESSION, 1)

    def act(self) -> None:
        """Do something: one to a few operations."""
        self._chance.choice(self._ACTS)(self)

    def look_around(self) -> None:
        """Now and then, and where little is known, list a folder."""
        if len(self._names) < _FEW_HANDLES or self._chance.random() < 0.15:
            self._list()

    def ask(self) -> None:
        """Ask one of the things that clients ask all day long."""
        handle, storage = self._some(), self._chance.choice(STORAGES)
        code, *parameters = self._chance.choice(
            (
                (Op.GET_OBJECT_INFO, handle),
                (Op.GET_OBJECT_PROP_VALUE, handle, _NAME),
                (Op.GET_OBJECT_PROP_LIST, handle, 0, ALL, 0, 0),
                (Op.GET_OBJECT_REFERENCES, handle),
                (Op.GET_OBJECT_HANDLES, storage, 0, handle),
                (Op.GET_NUM_OBJECTS, storage, 0, ALL),
                (Op.GET_PARTIAL_OBJECT, handle, 1, 1000),
                (Op.GET_STORAGE_INFO, storage),
                (Op.GET_DEVICE_INFO,),
            )
        )
        self.call(code, *parameters)

    # Asking

    def call(self, code: Op, *parameters: int, data: bytes | None = None) -> Answer:
        """Run an operation, whose answer must be one that the specification knows."""
        return self._judged(self._client.call(code, *parameters, data=data), code, *parameters)

    def _judged(self, answer: Answer, code: Op, *parameters: int) -> Answer:
        said = f"{code.name}{parameters}: {answer.code:#x}"
        assert answer.code in _KNOWN, said
        self.codes[f"{code.name} {ResponseCode(answer.code).name}"] += 1
        assert answer.code not in _DEFECTS or code is Op.END_EDIT_OBJECT, said
        self._check(answer.data)
        if answer.code == ResponseCode.INVALID_OBJECT_HANDLE and parameters:
            self._names.pop(parameters[0], None)
        return answer

    def _some(self) -> int:
        if not self._names or self._chance.random() < 0.02:
            return self._chance.choice((0, ALL, 0xDEAD))
        return self._chance.choice(list(self._names))

    def _where(self) -> tuple[int, int]:
        """A storage and a parent, often a root."""
        parent = self._some()
        if parent not in self._storages or self._chance.random() < 0.3:
            return self._chance.choice(STORAGES), ALL
        return self._storages[parent], parent

    def _name(self) -> str:
        return self._chance.choice(NAMES)

    # Acts

    def _list(self) -> None:
        storage, parent = self._where()
        data = self.call(Op.GET_OBJECT_HANDLES, storage, 0, parent).data or b""
        for at in range(4, len(data), 4):
            self._info(int.from_bytes(data[at : at + 4], "little"))
        while len(self._names) > _MOST_HANDLES:
            del self._names[self._chance.choice(list(self._names))]

    def _info(self, handle: int) -> None:
        answer = self.call(Op.GET_OBJECT_INFO, handle)
        if answer.ok:
            info = ObjectInfo.decode(answer.data or b"")
            self._names[handle] = info.name
            if info.format == FormatCode.ASSOCIATION:
                self._storages[handle] = info.storage_id

    def _look(self) -> None:
        handle = self._some()
        self._info(handle)
        depth = self._chance.choice((0, 1))
        self.call(Op.GET_OBJECT_PROP_LIST, handle, 0, ALL, 0, depth)
        self.call(Op.GET_OBJECT_PROP_VALUE, handle, _NAME)
        self.call(Op.GET_OBJECT_REFERENCES, handle)
        self.call(Op.GET_STORAGE_INFO, self._chance.choice(STORAGES))

    def _read(self) -> None:
        handle = self._some()
        self.call(Op.GET_OBJECT, handle)
        self.call(Op.GET_PARTIAL_OBJECT, handle, 1, 1000)

    def _upload(self) -> None:
        name, size = self._name(), self._chance.choice(_LENGTHS)
        info = ObjectInfo(0, FormatCode.UNDEFINED, size, 0, name)
        answer = self.call(Op.SEND_OBJECT_INFO, *self._where(), data=info.encode())
        if answer.ok:
            sent = self.call(Op.SEND_OBJECT, data=content(size))
            if sent.ok:
                self._names[answer.parameters[2]] = name

    def _make_folder(self) -> None:
        info = ObjectInfo(0, FormatCode.ASSOCIATION, 0, 0, f"{self._name()} folder", association=1)
        answer = self.call(Op.SEND_OBJECT_INFO, *self._where(), data=info.encode())
        if answer.ok:
            self._names[answer.parameters[2]] = info.name

    def _rename(self) -> None:
        handle, name = self._some(), self._name()
        if is_edited(name) is is_edited(self._names.get(handle, "")):
            self.call(Op.SET_OBJECT_PROP_VALUE, handle, _NAME, data=encode_string(name))

    def _move(self) -> None:
        self.call(Op.MOVE_OBJECT, self._some(), *self._where())

    def _copy(self) -> None:
        answer = self.call(Op.COPY_OBJECT, handle := self._some(), *self._where())
        if answer.ok:
            self._names[answer.parameters[0]] = self._names.get(handle, "edit")

    def _delete(self) -> None:
        self.call(Op.DELETE_OBJECT, handle := self._some())
        self._names.pop(handle, None)

    def _change(self) -> None:
        handle = self._some()
        self.call(Op.SET_OBJECT_PROTECTION, handle, self._chance.choice((0, 0, 1)))
        date = encode_string("20010203T040506")
        self.call(Op.SET_OBJECT_PROP_VALUE, handle, _DATE, data=date)

    def _refer(self) -> None:
        listed = b"\1\0\0\0" + self._some().to_bytes(4, "little")
        self.call(Op.SET_OBJECT_REFERENCES, self._some(), data=listed)

    def _edit(self) -> None:
        handles = [each for each, name in self._names.items() if is_edited(name)]
        if not handles:
            return
        handle = self._chance.choice(handles)
        if not self.call(Op.BEGIN_EDIT_OBJECT, handle).ok:
            return
        for _ in range(self._chance.randrange(4)):
            offset, data = self._chance.choice((0, 0, 10, 5_000)), b"edited" * 50
            self.call(Op.SEND_PARTIAL_OBJECT, handle, offset, 0, len(data), data=data)
            self.call(Op.TRUNCATE_OBJECT, handle, self._chance.choice((0, 10, 9_000)), 0)
        if self._chance.random() < 0.7:
            self.call(Op.END_EDIT_OBJECT, handle)

    def _new_session(self) -> None:
        self.call(Op.CLOSE_SESSION)
        self.call(Op.OPEN_SESSION, 1)

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
