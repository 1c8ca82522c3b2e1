# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `storage`: what is served, while it is served."""

import argparse
from pathlib import Path

from appliance.cli.asking import ask, verb, verbs
from appliance.cli.output import print_json, print_table, say

_HELP = """\
STORAGE is a name, a folder or an id, as `list` shows them. What is added,
removed, renamed, ordered or made read-only is written into the settings file too, if the
appliance was started with one; ejecting and locking are for now only.
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `storage`."""
    known = verbs(parser, _HELP)
    verb(known, "list", _storage_list, "show the storages")
    add = verb(known, "add", _storage_add, "serve one more folder")
    add.add_argument("path", type=Path, metavar="FOLDER")
    add.add_argument("--name", default="", help="how it is seen; the folder's own name if not said")
    add.add_argument("--read-only", action="store_true", help="let nothing in it be changed")
    _until_restart(add)
    for name, act, what in (
        ("remove", _storage_remove, "serve a folder no more; its files stay"),
        ("read-only", _storage_read_only, "refuse changes"),
        ("read-write", _storage_read_write, "allow changes"),
    ):
        parser = verb(known, name, act, what)
        parser.add_argument("storage", metavar="STORAGE")
        _until_restart(parser)
    rename = verb(known, "rename", _storage_rename, "call a storage something else")
    rename.add_argument("storage", metavar="STORAGE")
    rename.add_argument("name", metavar="NAME")
    order = verb(known, "order", _storage_order, "list the storages in this order")
    order.add_argument("names", metavar="STORAGE", nargs="+", help="each of them, once")
    for name, what in (
        ("eject", "take a storage away, so that its disk can be taken out"),
        ("load", "bring an ejected storage back"),
    ):
        verb(known, name, _storage_simple, what).add_argument("storage", metavar="STORAGE")
    verb(known, "lock", _storage_simple, "take all storages away")
    verb(known, "unlock", _storage_simple, "bring them back")


def _until_restart(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--until-restart", action="store_true", help="leave the settings file as it is"
    )


def _storage_list(arguments: argparse.Namespace) -> None:
    storages = ask(arguments, "storage list")
    if arguments.json:
        print_json(storages)
        return
    rows = [
        (each["name"], f"{each['id']:X}", each["state"], _access(each["read_only"]), each["path"])
        for each in storages
    ]
    print_table(("NAME", "ID", "STATE", "ACCESS", "FOLDER"), rows)


def _access(read_only: bool) -> str:
    return "read-only" if read_only else "read-write"


def _storage_add(arguments: argparse.Namespace) -> None:
    path = arguments.path.resolve()
    note = ask(
        arguments,
        "storage add",
        path=str(path),
        name=arguments.name or path.name or "Files",
        read_only=arguments.read_only,
        lasting=not arguments.until_restart,
    )
    say(f"{path} is served", note)


def _storage_remove(arguments: argparse.Namespace) -> None:
    lasting = not arguments.until_restart
    note = ask(arguments, "storage remove", storage=arguments.storage, lasting=lasting)
    say(f"{arguments.storage} is not served any more", note)


def _storage_read_only(arguments: argparse.Namespace) -> None:
    _set_read_only(arguments, read_only=True)


def _storage_read_write(arguments: argparse.Namespace) -> None:
    _set_read_only(arguments, read_only=False)


def _set_read_only(arguments: argparse.Namespace, *, read_only: bool) -> None:
    note = ask(
        arguments,
        "storage read-only",
        storage=arguments.storage,
        read_only=read_only,
        lasting=not arguments.until_restart,
    )
    say(f"{arguments.storage} is {_access(read_only)}", note)


def _storage_rename(arguments: argparse.Namespace) -> None:
    note = ask(arguments, "storage rename", storage=arguments.storage, name=arguments.name)
    say(f"{arguments.storage} is {arguments.name} now", note)


def _storage_order(arguments: argparse.Namespace) -> None:
    note = ask(arguments, "storage order", names=arguments.names)
    say(f"the order is {', '.join(arguments.names)}", note)


def _storage_simple(arguments: argparse.Namespace) -> None:
    values = {"storage": arguments.storage} if "storage" in arguments else {}
    ask(arguments, f"storage {arguments.verb}", **values)
