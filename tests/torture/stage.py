# SPDX-License-Identifier: GPL-3.0-or-later
"""The other half of the races: makes the place, mounts and unmounts in it, and judges.

`python -m tests.torture.stage BASE ROAD SEED SECONDS`, in a mount namespace of its own. The
responder (`tests/torture/races.py`) runs without any capability, so that permissions count.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.torture.canaries import Place, run

_NO_PRIVILEGES = ("setpriv", "--pdeathsig", "KILL", "--bounding-set=-all", "--inh-caps=-all")
_STRETCH = 250
#: Seconds between two things that need privileges.
_PAUSE = 0.03
#: Seconds for a stretch on a busy machine.
_PATIENCE = 300.0


class Stage:
    """One responder at work. AssertionError where a canary has been touched, or it has ended."""

    def __init__(self, place: Place, road: str, seed: int) -> None:
        self.tries = 0
        self._place = place
        self._chance = random.Random(seed)
        self._is_mounted = True
        self._is_covered = False
        self._own = {str(each) for each in place.mount_points}
        place.make()
        self._card = f"/proc/{os.getpid()}/fd/{os.open(place.card, os.O_RDONLY)}"
        place.unmount_stick()
        self._canaries = place.look()
        place.mount_stick()
        command = (sys.executable, "-m", "tests.torture.races", str(place.base), road, str(seed))
        self._worker = subprocess.Popen(
            (*_NO_PRIVILEGES, *command), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._order("restore")  # that it serves

    def stretch(self) -> dict[str, Any]:
        """Let the client work, with mounts that come and go, then compare everything."""
        done = threading.Event()
        mounts = threading.Thread(target=self._mount_and_unmount, args=(done,))
        mounts.start()
        try:
            self._order(f"work {_STRETCH}")
        finally:
            done.set()
            mounts.join()
        self._uncover()
        self._order("restore")
        self._compare_canaries()
        told = self._order("compare")
        self._compare_canaries()
        return told

    def close(self) -> None:
        """End the worker, which must not have ended before."""
        assert self._worker.stdin is not None
        self._worker.stdin.close()
        assert self._worker.wait(_PATIENCE) == 0, "the responder did not end well"

    def _order(self, order: str) -> dict[str, Any]:
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        self._worker.stdin.write(f"{order}\n")
        self._worker.stdin.flush()
        hung = threading.Timer(_PATIENCE, self._worker.kill)
        hung.start()
        line = self._worker.stdout.readline()
        hung.cancel()
        assert line, f"the responder has ended or hung: {order}"
        told: dict[str, Any] = json.loads(line)
        return told

    def _compare_canaries(self) -> None:
        self._mount(wanted=False)
        now = self._place.look()
        changed = [
            key for key in now.keys() | self._canaries if now.get(key) != self._canaries.get(key)
        ]
        assert not changed, (
            f"touched: {[(key, self._canaries.get(key), now.get(key)) for key in changed]}"
        )
        self._mount(wanted=True)

    # What needs privileges

    def _mount_and_unmount(self, done: threading.Event) -> None:
        while not done.wait(self._chance.random() * 2 * _PAUSE):
            self.tries += 1
            if not self._is_mounted or self._chance.random() < 0.3:
                self._mount(wanted=not self._is_mounted)
            elif self._is_covered:
                with suppress(subprocess.CalledProcessError):  # moved meanwhile
                    self._uncover()
            else:
                self._cover()

    def _mount(self, *, wanted: bool) -> None:
        if wanted is not self._is_mounted:
            self._place.mount_stick() if wanted else self._place.unmount_stick()
            self._is_mounted = wanted

    def _cover(self) -> None:
        """Mount somebody else's disk over a folder in the first root."""
        folders = [
            each for each in Path(self._card).iterdir() if each.is_dir() and not each.is_symlink()
        ]
        if not folders:
            return
        folder = self._chance.choice(sorted(folders))
        try:
            run("mount", "--bind", str(self._place.other_disk), str(folder))
        except subprocess.CalledProcessError:
            return  # gone meanwhile
        self._is_covered = True

    def _uncover(self) -> None:
        """Take it away again, wherever the folder has been moved to."""
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            where = line.split()[4].encode().decode("unicode_escape").encode("latin-1").decode()
            if Path(where).is_relative_to(self._place.base) and where not in self._own:
                run("umount", "--lazy", where)
        self._is_covered = False


def main() -> None:
    """Play as long as there is time; say what was tried."""
    base, road, seed, seconds = sys.argv[1:]
    end = time.monotonic() + float(seconds)
    stage = Stage(Place(Path(base)), road, int(seed))
    stretches = 0
    told: dict[str, Any] = {}
    while not stretches or time.monotonic() < end:
        told = stage.stretch()
        stretches += 1
    stage.close()
    print(json.dumps({"stretches": stretches, "mounts": stage.tries, **told}))


if __name__ == "__main__":
    main()
