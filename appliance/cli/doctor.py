# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `doctor`: what is well with the appliance, what is not, and what to do."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from appliance import places
from appliance.cli.output import print_json, printable
from appliance.doctor.findings import Finding, Grade
from appliance.errors import ApplianceError

_HELP = """\
It only looks, and changes nothing. Without root it cannot see everything, and
says so.

exit status: 0 no problem; 1 a problem
"""
_MARKS = {
    Grade.GOOD: "  ok     ",
    Grade.NOTE: "  note   ",
    Grade.UNKNOWN: "  ?      ",
    Grade.WARNING: "! warning",
    Grade.PROBLEM: "X problem",
}


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `doctor`."""
    parser.epilog = _HELP
    parser.set_defaults(act=_doctor)
    parser.add_argument("--json", action="store_true", help="say it as JSON")
    parser.add_argument("--settings", type=Path, default=places.SETTINGS, metavar="FILE")
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)


def _doctor(arguments: argparse.Namespace) -> None:
    from appliance.doctor.checks import examine  # noqa: PLC0415 - not for --help
    from appliance.services.machine import look_at  # noqa: PLC0415

    findings = list(examine(look_at(arguments.settings, arguments.root)))
    if arguments.json:
        print_json([asdict(each) for each in findings])
    else:
        _print(findings)
    problems = sum(each.grade is Grade.PROBLEM for each in findings)
    if problems:
        hint = "what to do stands beside it"
        raise ApplianceError(f"{problems} problem{'s' if problems > 1 else ''}", hint=hint)


def _print(findings: Sequence[Finding]) -> None:
    width = max(len(each.about) for each in findings)
    for each in findings:
        print(f"{_MARKS[each.grade]}  {printable(each.about):<{width}}  {printable(each.text)}")
        if each.advice:
            print(f"{'':{len(_MARKS[each.grade])}}  {'':<{width}}  -> {printable(each.advice)}")
