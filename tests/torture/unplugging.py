# SPDX-License-Identifier: GPL-3.0-or-later
"""The cable pulled, the bus reset or asleep, a client killed, a cancel: at any point of anything.

In the virtual Pi: `python3 -m tests.torture.unplugging --times 1000 --seed 1`. A raw client does a
few things, and one more up to some byte of it; then it happens; then the next client must work at
once, and what was answered is whole on the disk, what was under way is the old or the new. At some
times the client is one of those that people use.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from appliance.mtp.codes import FormatCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.wire import encode_string
from tests.clients import victims
from tests.clients.once import USB_CLIENTS, make
from tests.power.model import FOLDER, Expected, Found, Operation, content, digest, next_operation
from tests.usb.appliance import Appliance, load_controller, plugged_in
from tests.usb.host import OK, Host, data_header, next_client, sysfs_folder, wait_for_device
from tests.usb.mtp import ROOT, STORAGE, pattern

_NAME = 0xDC07
#: Of the raw client's transfers, and what a client that people use moves (bytes).
_DOWNLOAD = 2_000_000
_REAL_SIZE = 4_000_000
_REAL = "real"
#: One in so many times.
_SELDOM = 10
_PATIENCE = 60.0
_WORKPLACE = ".mtp-appliance"


class Unplugs:
    """A device, and what must be on its disk. `done` counts what happened to what."""

    def __init__(self, appliance: Appliance, chance: random.Random) -> None:
        self.done: Counter[str] = Counter()
        self._appliance = appliance
        self._chance = chance
        self._expected = Expected()
        self._number = 0
        (appliance.share / "big").write_bytes(pattern(_DOWNLOAD))
        self._expected.state.files["big"] = pattern(_DOWNLOAD)

    def run(self, times: int, *, clients: bool = True) -> None:
        """Do it so many times."""
        for _ in range(times):
            if clients and self._chance.randrange(_SELDOM) == 0:
                self.with_a_real_client(self._chance.choice(sorted(USB_CLIENTS)))
            else:
                self._with_a_raw_client()

    # Raw

    def _with_a_raw_client(self) -> None:
        host = next_client()
        for _ in range(self._chance.randrange(3)):
            operation = self._next()
            self._do(host, operation, whole=True)
            self._expected.follow([operation, "done"])
        what = "download" if self._chance.random() < 0.3 else "operation"
        if what == "download":
            self._begin_download(host)
        else:
            operation = self._next()
            self._expected.follow([operation])
            what = str(operation[0])
            self._do(host, operation, whole=False)
        how = self._chance.choice(self._HAPPENS)
        how(self, host)
        self.done[f"{what}, {how.__name__.strip('_')}"] += 1
        self._judge()

    def _next(self) -> Operation:
        """Choose what is done next; no settings, and the file for downloads stays."""
        while True:
            self._number += 1
            state = self._expected.state
            operation = next_operation(state, self._number, self._chance, ("days", "edit"))
            if "big" not in operation:
                return operation

    def _do(self, host: Host, operation: Operation, *, whole: bool) -> None:
        """Do it, to the response or to some byte before."""
        code, parameters, data = self._wire(host, operation)
        tid = host.send_command(code, *parameters)
        if data is not None:
            sent = data_header(code, tid, 12 + len(data)) + data
            self._send(host, sent if whole else sent[: self._chance.randint(0, len(sent))])
        if whole:
            answer = host.response()
            assert (answer.code, answer.transaction_id) == (OK, tid), f"{operation}: {answer}"

    @staticmethod
    def _send(host: Host, data: bytes) -> None:
        for start in range(0, len(data), 1 << 20):
            host.write(data[start : start + (1 << 20)])
        if data and len(data) % host.packet_size == 0:
            host.write(b"")

    def _wire(self, host: Host, operation: Operation) -> tuple[int, tuple[int, ...], bytes | None]:
        """Say an operation in the protocol's words; an upload is announced."""
        match operation:
            case ["folder", path]:
                info = ObjectInfo(STORAGE, FormatCode.ASSOCIATION, 0, 0, path, association=1)
                return Op.SEND_OBJECT_INFO, (STORAGE, ROOT), info.encode()
            case ["put", path, number, size]:
                folder, _, name = path.rpartition("/")
                parent = _handle(host, folder) if folder else ROOT
                info = ObjectInfo(STORAGE, FormatCode.UNDEFINED, size, 0, name)
                data = info.encode()
                assert host.send(Op.SEND_OBJECT_INFO, STORAGE, parent, data=data).code == OK
                return Op.SEND_OBJECT, (), content(number, size)
            case ["delete", path]:
                return Op.DELETE_OBJECT, (_handle(host, path),), None
            case ["rename", path, to] if path.count("/") != to.count("/"):
                parent = _handle(host, FOLDER) if "/" in to else 0
                return Op.MOVE_OBJECT, (_handle(host, path), STORAGE, parent), None
            case ["rename", path, to]:
                name = encode_string(to.rpartition("/")[2])
                return Op.SET_OBJECT_PROP_VALUE, (_handle(host, path), _NAME), name
        raise ValueError(operation)

    def _begin_download(self, host: Host) -> None:
        host.send_command(Op.GET_OBJECT, _handle(host, "big"))
        for _ in range(self._chance.randrange(8)):
            host.read(host.packet_size * self._chance.choice((1, 8, 256)))

    # What happens

    def _unplugged(self, host: Host) -> None:
        self._appliance.unbind()
        host.die()
        self._appliance.bind()

    def _reset(self, host: Host) -> None:
        host.device.reset()
        host.die()

    def _asleep(self, host: Host) -> None:
        power, since = sysfs_folder(host) / "power", len(self._appliance.log())
        host.die()
        (power / "autosuspend_delay_ms").write_text("0")
        (power / "control").write_text("auto")
        try:
            self._appliance.wait_for_log("SUSPEND", since)
        finally:
            (power / "control").write_text("on")
        self._appliance.wait_for_log("RESUME", since)

    def _killed(self, host: Host) -> None:
        host.die()

    def _cancelled(self, host: Host) -> None:
        host.cancel(host.transaction_id)
        host.wait_until_ready()
        host.die()

    _HAPPENS = (_unplugged, _reset, _asleep, _killed, _killed, _cancelled)

    # Clients that people use

    def with_a_real_client(self, name: str) -> None:
        """Let one upload or download, and break into it after a while."""
        data = pattern(_REAL_SIZE)
        with tempfile.TemporaryDirectory() as place:
            source = Path(place) / _REAL
            source.write_bytes(data)
            is_upload = self._chance.random() < 0.7
            what = ("put", source, "") if is_upload else ("get", "big", Path(place) / "got")
            process = victims.start(name, *what)
            time.sleep(self._chance.random() * 4)
            how = self._chance.choice(("killed", "unplugged", "reset"))
            if how == "unplugged":
                self._appliance.unbind()
            elif how == "reset":
                wait_for_device().reset()  # unclaimed: it is the client's
            victims.kill(process)
            if how == "unplugged":
                self._appliance.bind()
        self._judge()
        self._judge_real(name, data)
        self.done[f"{name} {what[0]}, {how}"] += 1

    def _judge_real(self, name: str, data: bytes) -> None:
        """Old or new, whole; a client that edits in place may have got as far as it got."""
        file = self._appliance.share / _REAL
        if file.exists():
            there = file.read_bytes()
            edits = "edit" in make(name).abilities
            assert there in (b"", data) or (edits and data.startswith(there)), f"{len(there)} bytes"
            file.unlink()

    # Judging

    def _judge(self) -> None:
        """See that the next client works at once, and what is on the disk."""
        host = next_client()
        for _ in range(2):
            answer = host.ask(Op.GET_STORAGE_IDS)
            assert (answer.code, answer.transaction_id) == (OK, host.transaction_id), answer
        self._wait(lambda: self._appliance.leftovers() == [], "remains")
        self._expected.settle(self._look())
        host.die()

    def _look(self) -> Found:
        share = self._appliance.share
        paths = [
            each for each in share.rglob("*") if each.relative_to(share).parts[0] != _WORKPLACE
        ]
        files = {str(each.relative_to(share)): each for each in paths if each.is_file()}
        files.pop(_REAL, None)
        folders = frozenset(str(each.relative_to(share)) for each in paths if each.is_dir())
        return Found({name: digest(each.read_bytes()) for name, each in files.items()}, folders)

    @staticmethod
    def _wait(is_so: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.05)


def _handle(host: Host, path: str) -> int:
    """Find an object by its path, as a client that has just come."""
    handle = ROOT
    for name in path.split("/"):
        data = host.ask(Op.GET_OBJECT_HANDLES, STORAGE, 0, handle).data or b""
        handles = [int.from_bytes(data[at : at + 4], "little") for at in range(4, len(data), 4)]
        handle = next(each for each in handles if _name(host, each) == name)
    return handle


def _name(host: Host, handle: int) -> str:
    return ObjectInfo.decode(host.ask(Op.GET_OBJECT_INFO, handle).data or b"").name


def main() -> None:
    """Do what the command line says, and tell what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    load_controller("high")
    with tempfile.TemporaryDirectory() as place:
        share, state = Path(place) / "share", Path(place) / "state"
        share.mkdir()
        state.mkdir()
        with plugged_in(share, state, "--no-trash") as appliance:
            unplugs = Unplugs(appliance, random.Random(arguments.seed))
            try:
                for number in range(1, arguments.times + 1):
                    unplugs.run(1)
                    print(f"{number} of {arguments.times}", flush=True)
            except BaseException:
                print(appliance.log()[-6000:], flush=True)
                raise
            print(f"seed {arguments.seed}: {dict(unplugs.done)}")


if __name__ == "__main__":
    main()
