# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.power --cuts N --seed S: cut the virtual Pi's power N times.

It boots a few times (`--recordings`), and works until the power goes at a write; all that the card
was asked to write is kept, so that what is left can be made for any other moment, too. With
`--booted` the machine starts anew after each cut, which takes 20 s each.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.power.cuts import Cut, PowerCuts, Run
from tests.power.judge import Judge
from tests.power.replays import Tally, replay


def main() -> int:
    """Do what the command line says; its exit status."""
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        try:
            return (_boot if arguments.booted else _replay)(arguments, Path(folder))
        except AssertionError as error:
            print(f"LOST: {error}", file=sys.stderr)
            return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--booted", action="store_true", help="boot anew after each cut")
    parser.add_argument("--recordings", type=int, default=10, help="runs that cuts are made of")
    parser.add_argument("--writes", type=int, default=1500, help="to the card, in each of these")
    parser.add_argument("--keep", type=Path, help="a folder for cards with something wrong")
    return parser


def _boot(arguments: argparse.Namespace, folder: Path) -> int:
    answered = 0

    def tell(cut: Cut) -> None:
        nonlocal answered
        answered += cut.answered
        _tell(cut)

    PowerCuts(folder, arguments.seed).run(arguments.cuts, tell)
    print(f"{arguments.cuts} cuts, {answered} operations answered, all of them whole.")
    return 0


def _replay(arguments: argparse.Namespace, folder: Path) -> int:
    rng = random.Random(arguments.seed)
    tally = Tally()
    shares = [
        arguments.cuts * (number + 1) // arguments.recordings
        - arguments.cuts * number // arguments.recordings
        for number in range(arguments.recordings)
    ]
    judge = Judge(folder)
    for share, run in zip(shares, _runs(arguments, folder), strict=True):
        _tell(run.cut)
        for number, verdict in enumerate(replay(run, judge, share, rng)):
            tally.add(verdict)
            if verdict.wrong:
                print(f"  step {verdict.point}, {verdict.under_way} under way:", flush=True)
                print("".join(f"    {each}\n" for each in verdict.wrong), flush=True)
                _keep(arguments.keep, judge.card, f"{run.cut.number}-{number}")
    print(f"{tally.cuts} cuts. Under way: {dict(tally.under_way)}. Wrong: {dict(tally.wrong)}.")
    return 1 if tally.wrong else 0


def _runs(arguments: argparse.Namespace, folder: Path) -> Iterator[Run]:
    """Record; each run goes on where the last one was cut, and after them all a start looks."""
    cuts = PowerCuts(folder, arguments.seed)
    for number in range(1, arguments.recordings + 1):
        yield cuts.cut(number, arguments.writes)
    _tell(cuts.look())


def _tell(cut: Cut) -> None:
    what = f"cut at write {cut.writes}, {cut.answered} answered" if cut.writes else "looked at"
    print(f"start {cut.number}: ready after {cut.ready:.1f} s; {what}", flush=True)


def _keep(place: Path | None, card: Path, name: str) -> None:
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(card, place / name)


if __name__ == "__main__":
    sys.exit(main())
