# SPDX-License-Identifier: GPL-3.0-or-later
"""The cable pulled, the bus reset or asleep, a client killed, a cancel: at any point of anything.

In the virtual Pi: `python3 -m tests.torture.unplugging --times 1000 --seed 1`. A raw client does a
few things, and one more up to some byte of it; then it happens; then the next client must work at
once, and what was answered is whole on the disk, what was under way is the old or the new (a file
that is edited in place may be changed in part). A client whose bus sleeps may go on after it. At
some times the client is one of those that people use.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from appliance.mtp.codes import OperationCode as Op
from tests.clients.once import USB_CLIENTS
from tests.power.model import Expected, Found, Operation, digest, next_operation
from tests.torture import real_client
from tests.torture.raw_client import Doing, Downloading, UnderWay
from tests.torture.real_client import RealClient
from tests.usb.appliance import Appliance, load_controller, plugged_in
from tests.usb.host import OK, Host, may_sleep, next_client, sysfs_folder, wait_for_device
from tests.usb.mtp import pattern

#: Of the raw client's transfers, and what a client that people use moves (bytes).
_DOWNLOAD = 2_000_000
_REAL_SIZE = 4_000_000
#: One in so many times.
_SELDOM = 10
_PATIENCE = 60.0
#: Descriptors and threads that it may have more than after the first time.
_MORE = 4
_WORKPLACE = ".mtp-appliance"


class Unplugs:
    """A device, and what must be on its disk.

    `done` counts what was under way, how far it was, and what happened to it; `longest` is how long
    a client waited for its first answer (seconds).
    """

    def __init__(self, appliance: Appliance, chance: random.Random) -> None:
        self.done: Counter[str] = Counter()
        self.longest = 0.0
        self._held: tuple[int, int] | None = None
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
            Doing(host, operation).go_on()
            self._expected.follow([operation, "done"])
        how = self._chance.choice(self._HAPPENS)
        doing = self._begin(host, packets=how is Unplugs._slept)
        far = doing.far
        how(self, host)
        if how is Unplugs._slept:
            self._go_on(host, doing)
        self.done[f"{doing.what}: {far}, {how.__name__.strip('_')}"] += 1
        self._judge(is_announced=far.startswith(Op.SEND_OBJECT_INFO.name))

    def _begin(self, host: Host, *, packets: bool) -> UnderWay:
        """Begin an operation or a download, up to some byte or packet of it."""
        doing: UnderWay
        if self._chance.random() < 0.3:
            doing = Downloading(host, "big", pattern(_DOWNLOAD))
        else:
            operation = self._next()
            self._expected.follow([operation])
            doing = Doing(host, operation)
        doing.begin(self._chance, packets=packets)
        return doing

    def _go_on(self, host: Host, doing: UnderWay) -> None:
        """Do the rest of it, as nothing was lost while the bus slept."""
        doing.go_on()
        if self._expected.under_way:
            self._expected.follow(["done"])
        host.die()

    def _next(self) -> Operation:
        """Choose what is done next; no settings, and the file for downloads stays."""
        while True:
            self._number += 1
            operation = next_operation(self._expected.state, self._number, self._chance, ("days",))
            if "big" not in operation:
                return operation

    # What happens

    def _unplugged(self, host: Host) -> None:
        self._appliance.unbind()
        host.die()
        self._appliance.bind()

    def _reset(self, host: Host) -> None:
        host.device.reset()
        host.die()

    def _asleep(self, host: Host) -> None:
        power = sysfs_folder(host) / "power"
        host.die()
        self._appliance.sleep(power)

    def _slept(self, host: Host) -> None:
        with may_sleep(host):
            self._appliance.sleep(sysfs_folder(host) / "power")

    def _killed(self, host: Host) -> None:
        host.die()

    def _cancelled(self, host: Host) -> None:
        host.cancel(host.transaction_id)
        host.wait_until_ready()
        host.die()

    _HAPPENS = (_unplugged, _reset, _asleep, _slept, _killed, _killed, _cancelled)

    # Clients that people use

    def with_a_real_client(self, name: str) -> None:
        """Let one upload or download, and break into it once it has begun."""
        data = pattern(_REAL_SIZE)
        with tempfile.TemporaryDirectory() as place:
            source = Path(place) / real_client.NAME
            source.write_bytes(data)
            is_upload = self._chance.random() < 0.7
            what = ("put", source, "") if is_upload else ("get", "big", Path(place) / "got")
            client = RealClient(self._appliance, name, *what)
            client.wait(self._chance, _REAL_SIZE if is_upload else _DOWNLOAD)
            how = self._chance.choice(("killed", "unplugged", "reset"))
            far, is_done = client.far, client.has_done_it
            if how == "unplugged":
                self._appliance.unbind()
            elif how == "reset":
                wait_for_device().reset()  # unclaimed: it is the client's
            client.kill()
            if how == "unplugged":
                self._appliance.bind()
            if is_done and not is_upload:
                assert (Path(place) / "got").read_bytes() == pattern(_DOWNLOAD), f"{name}: got"
        self._judge()
        self._judge_real(name, data, is_done=is_done and is_upload)
        self.done[f"{name} {what[0]}: {far}, {how}"] += 1

    def _judge_real(self, name: str, data: bytes, *, is_done: bool) -> None:
        file = self._appliance.share / real_client.NAME
        there = file.read_bytes() if file.exists() else None
        is_good = real_client.may_be_left(there, data, name, is_done=is_done)
        assert is_good, f"{name}: {'no file' if there is None else len(there)}, told {is_done}"
        file.unlink(missing_ok=True)

    # Judging

    def _judge(self, *, is_announced: bool = False) -> None:
        """See that the next client works at once, what is on the disk, and that nothing grows.

        What was announced, and never sent, may wait until its session ends.
        """
        host = next_client()
        self.longest = max(self.longest, host.waited)
        for _ in range(2):
            answer = host.ask(Op.GET_STORAGE_IDS)
            assert (answer.code, answer.transaction_id) == (OK, host.transaction_id), answer
        if is_announced:
            host.ask(Op.CLOSE_SESSION)
        self._wait(lambda: self._appliance.leftovers() == [], "remains")
        self._expected.settle(self._look())
        host.die()
        self._held = self._held or self._appliance.holds()
        descriptors, threads = self._held
        self._appliance.wait_until_holds((descriptors + _MORE, threads + _MORE))

    def _look(self) -> Found:
        share = self._appliance.share
        paths = [
            each for each in share.rglob("*") if each.relative_to(share).parts[0] != _WORKPLACE
        ]
        files = {str(each.relative_to(share)): each for each in paths if each.is_file()}
        files.pop(real_client.NAME, None)
        folders = frozenset(str(each.relative_to(share)) for each in paths if each.is_dir())
        whole = files.get(self._expected.edited or "")
        digests = {name: digest(each.read_bytes()) for name, each in files.items()}
        return Found(digests, folders, edited=whole.read_bytes() if whole else None)

    @staticmethod
    def _wait(is_so: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.05)


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
            print(f"The first answer came after {unplugs.longest:.2f} s at most.")


if __name__ == "__main__":
    main()
