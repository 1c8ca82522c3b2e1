# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.power --cuts N --seed S: cut the virtual Pi's power N times."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.power.cuts import Cut, PowerCuts


def main() -> int:
    """Do what the command line says; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    answered = 0

    def tell(cut: Cut) -> None:
        nonlocal answered
        answered += cut.answered
        print(f"cut {cut.number}: at write {cut.writes}, {cut.answered} answered", flush=True)

    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        try:
            PowerCuts(Path(folder), arguments.seed).run(arguments.cuts, tell)
        except AssertionError as error:
            print(f"LOST: {error}", file=sys.stderr)
            return 1
    print(f"{arguments.cuts} cuts, {answered} operations answered, all of them whole.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
