# SPDX-License-Identifier: GPL-3.0-or-later
"""One target under atheris, which looks for bytes that reach new code.

`python -m tests.torture.fuzz TARGET [libFuzzer's options]`. What breaks it lies in the working
directory then.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["appliance"]):
    from tests.torture.targets import TARGETS, corpus

_OPTIONS = ("-max_len=4096", "-rss_limit_mb=1024", "-timeout=20", "-print_final_stats=1")


def main() -> None:
    """Seed the corpus with what clients sent, and fuzz."""
    name, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        for number, data in enumerate(corpus(name)):
            (Path(place) / str(number)).write_bytes(data[:4096])
        atheris.Setup([sys.argv[0], *_OPTIONS, *options, place], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
