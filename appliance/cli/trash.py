# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `trash`: putting back what a PC has deleted."""

import argparse
from datetime import datetime

from appliance.cli.asking import ask, verb, verbs
from appliance.cli.output import print_json, print_table, say, size

_HELP = """\
What a PC deletes or replaces is kept in its storage for a while, hidden from
the PC. NAME is what `list` shows in its first column; where two storages
have it, say which one is meant.
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `trash`."""
    known = verbs(parser, _HELP)
    verb(known, "list", _trash_list, "show what can be put back")
    restore = verb(known, "restore", _trash_restore, "put something back to where it lay")
    restore.add_argument("name", metavar="NAME", nargs="+")
    empty = verb(known, "empty", _trash_empty, "delete for good")
    empty.add_argument("name", metavar="NAME", nargs="*", help="only this; all if none is named")
    for each in (restore, empty):
        each.add_argument("--storage", default="", help="only in this storage")


def _trash_list(arguments: argparse.Namespace) -> None:
    items = ask(arguments, "trash list")
    if arguments.json:
        print_json(items)
        return
    rows = [
        (
            each["name"],
            datetime.fromtimestamp(each["deleted"]).strftime("%Y-%m-%d %H:%M"),
            size(each["size"]),
            each["storage"],
            each["path"] + ("/" if each["is_folder"] else ""),
        )
        for each in items
    ]
    print_table(("NAME", "DELETED", "SIZE", "STORAGE", "FROM"), rows)


def _trash_restore(arguments: argparse.Namespace) -> None:
    for name in arguments.name:
        storage = ask(arguments, "trash restore", name=name, storage=arguments.storage)
        say(f"{name} is back in {storage}")


def _trash_empty(arguments: argparse.Namespace) -> None:
    count = 0
    for name in arguments.name or [""]:
        count += ask(arguments, "trash empty", name=name, storage=arguments.storage)
    say(f"{count} deleted for good")
