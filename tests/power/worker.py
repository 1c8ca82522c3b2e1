# SPDX-License-Identifier: GPL-3.0-or-later
"""In the virtual Pi: tells what the start has found, then works as a PC does until the power goes.

The host reads it all in the folder that both share: `found.json`, and `done.jsonl`, where each line
is there before what follows it begins. `go.json` says that the host is content.
"""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from appliance.mtp.codes import FormatCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from appliance.settings.store import SettingsFile
from tests.appliance import cable, units
from tests.power.model import FOLDER, Operation, State, content, digest, next_operation
from tests.usb.host import OK, Host
from tests.usb.mtp import ROOT, STORAGE

SHARED = Path(os.environ.get("MTP_APPLIANCE_GUEST", "/run/host"))
SHARE = Path("/srv/share")
WORKPLACE = SHARE / ".mtp-appliance"
SETTINGS = Path("/etc/mtp-appliance/settings.toml")
#: What may lie in the workplace when nothing is under way.
LASTING = {"trash", "state"}
_NAME = 0xDC07


def main() -> None:
    """Tell, wait, work."""
    units.wait_until_active(units.RESPONDER)
    cable.wait_until_on_the_bus()
    found = look()
    _write("found.json", found | troubles())
    while not (SHARED / "go.json").exists():
        time.sleep(0.1)
    go = json.loads((SHARED / "go.json").read_text())
    state = State(found["files"], set(found["folders"]), found["days"])
    Worker(Host().open(), state, random.Random(go["seed"])).work(go["next"])


def look() -> dict[str, Any]:
    """Say what is on the card."""
    paths = [path for path in SHARE.rglob("*") if WORKPLACE not in (path, *path.parents)]
    reading = SettingsFile(SETTINGS, Path("/nowhere"), keeps=False).read()
    return {
        "files": {
            str(path.relative_to(SHARE)): digest(path.read_bytes())
            for path in paths
            if path.is_file()
        },
        "folders": [str(path.relative_to(SHARE)) for path in paths if path.is_dir()],
        "days": reading.settings.trash_days,
        "errors": reading.findings.errors,
    }


def troubles() -> dict[str, Any]:
    """Say what is not as it should be after a start."""
    kernel = units.run("dmesg").splitlines()
    return {
        "remains": _remains(),
        "failed": units.failed(),
        "kernel": [line for line in kernel if "EXT4-fs error" in line or "corrupt" in line],
    }


def _remains() -> list[str]:
    """Name what uploads have left; the responder's own directory is empty."""
    if not WORKPLACE.is_dir():
        return []
    places = [path for path in WORKPLACE.iterdir() if path.name not in LASTING]
    return [str(each) for place in places if place.is_dir() for each in place.iterdir()]


def _write(name: str, value: object) -> None:
    new = SHARED / f"{name}.new"
    new.write_text(json.dumps(value))
    new.rename(SHARED / name)


class Worker:
    """A PC that does one thing after another, and writes down what was answered."""

    def __init__(self, host: Host, state: State, rng: random.Random) -> None:
        self._host = host
        self._state = state
        self._rng = rng
        self._handles = dict(self._list(ROOT, ""))

    def _list(self, parent: int, prefix: str) -> list[tuple[str, int]]:
        data = self._host.ask(Op.GET_OBJECT_HANDLES, STORAGE, 0, parent).data or b""
        found = []
        for start in range(4, len(data), 4):
            handle = int.from_bytes(data[start : start + 4], "little")
            info = ObjectInfo.decode(self._host.ask(Op.GET_OBJECT_INFO, handle).data or b"")
            found.append((prefix + info.name, handle))
            if info.format == FormatCode.ASSOCIATION:
                found += self._list(handle, f"{prefix}{info.name}/")
        return found

    def work(self, number: int) -> None:
        """Work for ever."""
        with (SHARED / "done.jsonl").open("ab", buffering=0) as log:
            while True:
                operation = next_operation(self._state, number, self._rng)
                log.write(json.dumps(operation).encode() + b"\n")
                self._do(operation)
                log.write(b'"done"\n')
                self._state = self._state.after(operation)
                number += 1

    def _do(self, operation: Operation) -> None:
        match operation:
            case ["put", path, number, size]:
                self._put(path, content(number, size))
            case ["folder", path]:
                info = ObjectInfo(STORAGE, FormatCode.ASSOCIATION, 0, 0, path)
                self._handles[path] = self._announce(info, ROOT)
            case ["delete", path]:
                self._must(Op.DELETE_OBJECT, self._handles.pop(path))
            case ["rename", path, to]:
                self._rename(path, to)
            case ["days", number]:
                SettingsFile(SETTINGS, Path("/nowhere"), keeps=False).set({"trash.days": number})

    def _put(self, path: str, data: bytes) -> None:
        folder, _, name = path.rpartition("/")
        info = ObjectInfo(STORAGE, FormatCode.UNDEFINED, len(data), 0, name)
        self._handles[path] = self._announce(info, self._handles[folder] if folder else ROOT)
        answer = self._host.send(Op.SEND_OBJECT, data=data)
        assert answer.code == OK, hex(answer.code)

    def _announce(self, info: ObjectInfo, parent: int) -> int:
        answer = self._host.send(Op.SEND_OBJECT_INFO, STORAGE, parent, data=info.encode())
        assert answer.code == OK, hex(answer.code)
        return answer.parameters[2]

    def _rename(self, path: str, to: str) -> None:
        handle = self._handles[to] = self._handles.pop(path)
        if path.count("/") != to.count("/"):
            parent = self._handles[FOLDER] if "/" in to else 0
            self._must(Op.MOVE_OBJECT, handle, STORAGE, parent)
            return
        name = to.rpartition("/")[2]
        text = bytes([len(name) + 1]) + f"{name}\0".encode("utf-16-le")
        answer = self._host.send(Op.SET_OBJECT_PROP_VALUE, handle, _NAME, data=text)
        assert answer.code == OK, hex(answer.code)

    def _must(self, code: int, *parameters: int) -> None:
        answer = self._host.ask(code, *parameters)
        assert answer.code == OK, hex(answer.code)


if __name__ == "__main__":
    main()
