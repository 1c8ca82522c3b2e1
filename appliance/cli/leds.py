# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `leds`: what the lights say, and the service that lights them."""

import argparse
from pathlib import Path

from appliance import log, places
from appliance.cli.output import print_table
from appliance.leds.patterns import Pattern

_SECONDS = 4.0


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `leds`."""
    verbs = parser.add_subparsers(metavar="WHAT", dest="verb", required=True)
    show = verbs.add_parser("show", help="say what each pattern means")
    show.set_defaults(act=_show)
    test = verbs.add_parser(
        "test", help="show each pattern in turn", description="show each pattern in turn."
    )
    test.set_defaults(act=_test)
    test.add_argument("--seconds", type=float, default=_SECONDS, help="for each (default 4)")
    run = verbs.add_parser("run", help="serve: light them as the appliance does what it does")
    run.set_defaults(act=_run)
    run.add_argument("--status", type=Path, default=places.STATUS, metavar="FILE")
    run.add_argument("--failures", type=Path, default=places.FAILURES, metavar="DIR")
    run.add_argument("-v", "--verbose", action="count", default=0, help="tell more")
    for each in (test, run):
        each.add_argument("--settings", type=Path, default=places.SETTINGS, metavar="FILE")
        each.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)


def _show(arguments: argparse.Namespace) -> None:
    rows = [(each.value.looks, each.value.means, each.value.advice) for each in Pattern]
    dark = ("dark", "it has no power, or does not run", "see that it has power")
    print_table(("THE LIGHT", "MEANS", "WHAT TO DO"), [*rows, dark])


def _test(arguments: argparse.Namespace) -> None:
    from appliance.services.ledd import demonstrate  # noqa: PLC0415 - not for `show`
    from appliance.settings.store import SettingsFile  # noqa: PLC0415

    log.configure(0)
    settings = SettingsFile(arguments.settings, places.STATE, keeps=False).read().settings
    for pattern in demonstrate(settings, arguments.seconds, arguments.root):
        print(f"{pattern.label}: {pattern.value.looks}", flush=True)


def _run(arguments: argparse.Namespace) -> None:
    from appliance.services.ledd import Where, run  # noqa: PLC0415 - not for `show`

    log.configure(arguments.verbose)
    run(Where(arguments.settings, arguments.status, arguments.failures, arguments.root))
