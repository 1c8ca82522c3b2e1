# SPDX-License-Identifier: GPL-3.0-or-later
"""In the virtual Pi: tells what the start has found, then works as a PC does until the power goes.

The host reads it all in the folder that both share: `found.json`, and `done.jsonl`, where each line
is there before what follows it begins. `asked.json` names a file whose content it wants to see;
`go.json` says that the host is content, and what there is to do.
"""

import itertools
import json
import random
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Protocol

from appliance.mtp.codes import FormatCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.wire import encode_string
from appliance.settings.store import SettingsFile
from tests.appliance import cable, units
from tests.power.looking import (
    SETTINGS,
    SHARE,
    SHARED,
    HasData,
    asked,
    kernel_complaints,
    listed,
    look,
    tell,
)
from tests.power.model import FOLDER, Operation, State, content, next_operation
from tests.usb.host import OK, Host
from tests.usb.mtp import ROOT, STORAGE

_NAME = 0xDC07
#: Milliseconds for a transfer: what is tried here is the card, not how busy the host is.
_PATIENCE = 180_000


def main() -> None:
    """Tell, wait, work."""
    units.wait_until_active(units.RESPONDER)
    cable.wait_until_on_the_bus()
    ready = time.clock_gettime(time.CLOCK_BOOTTIME)
    found = look(asked("asked.json").get("edited"))
    tell("found.json", found | troubles() | {"ready": ready})
    while not (go := asked("go.json")):
        time.sleep(0.1)
    files = {name: (SHARE / name).read_bytes() for name in found["files"]}
    state = State(files, frozenset(found["folders"]), found["days"])
    worker = Worker(Host(_PATIENCE).open(), state, random.Random(go["seed"]))
    worker.work(itertools.count(go["next"]), SHARED / "done.jsonl")


def troubles() -> dict[str, Any]:
    """Say what is not as it should be after a start."""
    return {
        "failed": units.failed().splitlines(),
        "kernel": kernel_complaints(units.run("dmesg")),
    }


class Answered(HasData, Protocol):
    """An answer, whatever road it took."""

    @property
    def code(self) -> int: ...
    @property
    def parameters(self) -> tuple[int, ...]: ...


class Asks(Protocol):
    """A PC with an open session."""

    def ask(self, code: int, *parameters: int) -> Answered: ...
    def send(self, code: int, *parameters: int, data: bytes) -> Answered: ...


class Worker:
    """A PC that does one thing after another, of all kinds but some."""

    def __init__(
        self, pc: Asks, state: State, rng: random.Random, without: Collection[str] = ()
    ) -> None:
        self._pc = pc
        self._state = state
        self._rng = rng
        self._without = without
        self._handles = {each.path: each.handle for each in listed(pc.ask)}

    def work(self, numbers: Iterable[int], journal: Path) -> None:
        """Do something for each number, and write down what was answered."""
        with journal.open("ab", buffering=0) as log:
            for number in numbers:
                operation = next_operation(self._state, number, self._rng, self._without)
                log.write(json.dumps(operation).encode() + b"\n")
                self._do(operation)
                log.write(b'"done"\n')
                self._state = self._state.after(operation)

    def _do(self, operation: Operation) -> None:
        match operation:
            case ["put", path, number, size]:
                self._put(path, content(number, size))
            case ["edit", path, number, at, length, end]:
                self._edit(self._handles[path], at, content(number, length), end)
            case ["folder", path]:
                info = ObjectInfo(STORAGE, FormatCode.ASSOCIATION, 0, 0, path)
                self._handles[path] = self._announce(info, ROOT)
            case ["delete", path]:
                self._must(Op.DELETE_OBJECT, self._handles.pop(path))
            case ["rename", path, to]:
                self._rename(path, to)
            case ["copy", path, to]:
                self._handles[to] = self._copy(path, to)
            case ["days", number]:
                SettingsFile(SETTINGS, Path("/nowhere"), keeps=False).set({"trash.days": number})

    def _put(self, path: str, data: bytes) -> None:
        folder, _, name = path.rpartition("/")
        info = ObjectInfo(STORAGE, FormatCode.UNDEFINED, len(data), 0, name)
        self._handles[path] = self._announce(info, self._handles[folder] if folder else ROOT)
        self._send(Op.SEND_OBJECT, data=data)

    def _announce(self, info: ObjectInfo, parent: int) -> int:
        answer = self._send(Op.SEND_OBJECT_INFO, STORAGE, parent, data=info.encode())
        return answer[2]

    def _edit(self, handle: int, at: int, data: bytes, end: int) -> None:
        self._must(Op.BEGIN_EDIT_OBJECT, handle)
        self._send(Op.SEND_PARTIAL_OBJECT, handle, at, 0, len(data), data=data)
        self._must(Op.TRUNCATE_OBJECT, handle, end, 0)
        self._must(Op.END_EDIT_OBJECT, handle)

    def _rename(self, path: str, to: str) -> None:
        handle = self._handles[to] = self._handles.pop(path)
        if path.count("/") != to.count("/"):
            parent = self._handles[FOLDER] if "/" in to else 0
            self._must(Op.MOVE_OBJECT, handle, STORAGE, parent)
            return
        name = encode_string(to.rpartition("/")[2])
        self._send(Op.SET_OBJECT_PROP_VALUE, handle, _NAME, data=name)

    def _copy(self, path: str, to: str) -> int:
        parent = self._handles[FOLDER] if "/" in to else 0
        return self._must(Op.COPY_OBJECT, self._handles[path], STORAGE, parent)[0]

    def _must(self, code: int, *parameters: int) -> tuple[int, ...]:
        answer = self._pc.ask(code, *parameters)
        assert answer.code == OK, hex(answer.code)
        return answer.parameters

    def _send(self, code: int, *parameters: int, data: bytes) -> tuple[int, ...]:
        answer = self._pc.send(code, *parameters, data=data)
        assert answer.code == OK, hex(answer.code)
        return answer.parameters


if __name__ == "__main__":
    main()
