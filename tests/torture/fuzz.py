# SPDX-License-Identifier: GPL-3.0-or-later
"""One target under atheris, which looks for bytes that reach new code.

`python -m tests.torture.fuzz TARGET SECONDS [libFuzzer's options]`, in as much memory as a small
board can spare, and 20 s for each input. It says at the end what it has done. What breaks it lies
in the working directory then.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["appliance"]):
    from tests.torture.targets import TARGETS, Target, corpus

#: Long inputs from the beginning on, and not only when short ones reach nothing new.
_OPTIONS = ("-max_len=4096", "-len_control=0", "-timeout=20")
#: MiB in memory at most. Room for a guest's packet is made when its head has come, up to 32 MiB;
#: the C library may clear room that was used before, which brings all of it into memory.
_MOST_MEMORY, _LARGE_MEMORY = 128, {"redirection": 400}


class Counted:
    """A target that counts what it is given, and ends the process when its time is over."""

    def __init__(self, target: Target, seconds: float) -> None:
        self._target = target
        self._end = time.monotonic() + seconds
        self._inputs = 0
        self._bytes = 0

    def __call__(self, data: bytes) -> None:
        self._target(data)
        self._inputs += 1
        self._bytes += len(data)
        if time.monotonic() > self._end:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print(f"{self._inputs} inputs, {self._bytes} bytes, {memory} MiB at most", flush=True)
            os._exit(0)  # atheris has no other way to end without a failure


def main() -> None:
    """Seed the corpus with what clients sent, and fuzz."""
    name, seconds, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        for number, data in enumerate(corpus(name)):
            (Path(place) / str(number)).write_bytes(data[:4096])
        counted = Counted(TARGETS[name], float(seconds))
        limit = f"-rss_limit_mb={_LARGE_MEMORY.get(name, _MOST_MEMORY)}"
        atheris.Setup([sys.argv[0], *_OPTIONS, limit, *options, place], counted)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
