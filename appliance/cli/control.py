# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that speak to an appliance that runs: `storage` and `trash`."""

import argparse
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from appliance.services.control_socket import ask, socket_path

_STORAGE_HELP = """\
STORAGE is a name, a folder or an id, as `list` shows them. What is added,
removed or made read-only is written into the settings file too, if the
appliance was started with one; ejecting and locking are for now only.
"""
_TRASH_HELP = """\
What a PC deletes or replaces is kept in its storage for a while, hidden from
the PC. NAME is what `list` shows in its first column.
"""


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Describe `storage`."""
    verbs = _verbs(parser, _STORAGE_HELP)
    _verb(verbs, "list", _storage_list, "show the storages")
    add = _verb(verbs, "add", _storage_add, "serve one more folder")
    add.add_argument("path", type=Path, metavar="FOLDER")
    add.add_argument("--name", default="", help="how it is seen; the folder's own name if not said")
    add.add_argument("--read-only", action="store_true", help="let nothing in it be changed")
    _until_restart(add)
    for name, act, what in (
        ("remove", _storage_remove, "serve a folder no more; its files stay"),
        ("read-only", _storage_read_only, "refuse changes"),
        ("read-write", _storage_read_write, "allow changes"),
    ):
        parser = _verb(verbs, name, act, what)
        parser.add_argument("storage", metavar="STORAGE")
        _until_restart(parser)
    for name, what in (
        ("eject", "take a storage away, so that its disk can be taken out"),
        ("load", "bring an ejected storage back"),
    ):
        _verb(verbs, name, _storage_simple, what).add_argument("storage", metavar="STORAGE")
    _verb(verbs, "lock", _storage_simple, "take all storages away")
    _verb(verbs, "unlock", _storage_simple, "bring them back")


def add_trash(parser: argparse.ArgumentParser) -> None:
    """Describe `trash`."""
    verbs = _verbs(parser, _TRASH_HELP)
    _verb(verbs, "list", _trash_list, "show what can be put back")
    restore = _verb(verbs, "restore", _trash_restore, "put something back to where it lay")
    restore.add_argument("name", metavar="NAME", nargs="+")
    empty = _verb(verbs, "empty", _trash_empty, "delete for good")
    empty.add_argument("name", metavar="NAME", nargs="*", help="only this; all if none is named")
    for each in (restore, empty):
        each.add_argument("--storage", default="", help="only in this storage")


def _verbs(parser: argparse.ArgumentParser, epilog: str) -> Any:
    parser.epilog = epilog
    return parser.add_subparsers(metavar="WHAT", dest="verb", required=True)


def _verb(verbs: Any, name: str, act: Any, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=f"{what}.")
    parser.set_defaults(act=act)
    parser.add_argument("--socket", type=Path, help="where the appliance listens, if not as usual")
    if name == "list":
        parser.add_argument("--json", action="store_true", help="say it as JSON")
    return parser


def _until_restart(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--until-restart", action="store_true", help="leave the settings file as it is"
    )


def _ask(arguments: argparse.Namespace, verb: str, **values: Any) -> Any:
    return ask(arguments.socket or socket_path(), verb, **values)


# Storages


def _storage_list(arguments: argparse.Namespace) -> None:
    storages = _ask(arguments, "storage list")
    if arguments.json:
        print(json.dumps(storages, indent=2, ensure_ascii=False))
        return
    rows = [
        (each["name"], f"{each['id']:X}", each["state"], _access(each["read_only"]), each["path"])
        for each in storages
    ]
    _print_table(("NAME", "ID", "STATE", "ACCESS", "FOLDER"), rows)


def _access(read_only: bool) -> str:
    return "read-only" if read_only else "read-write"


def _storage_add(arguments: argparse.Namespace) -> None:
    path = arguments.path.resolve()
    note = _ask(
        arguments,
        "storage add",
        path=str(path),
        name=arguments.name or path.name or "Files",
        read_only=arguments.read_only,
        lasting=not arguments.until_restart,
    )
    _say(f"{path} is served", note)


def _storage_remove(arguments: argparse.Namespace) -> None:
    lasting = not arguments.until_restart
    note = _ask(arguments, "storage remove", storage=arguments.storage, lasting=lasting)
    _say(f"{arguments.storage} is not served any more", note)


def _storage_read_only(arguments: argparse.Namespace) -> None:
    _set_read_only(arguments, read_only=True)


def _storage_read_write(arguments: argparse.Namespace) -> None:
    _set_read_only(arguments, read_only=False)


def _set_read_only(arguments: argparse.Namespace, *, read_only: bool) -> None:
    note = _ask(
        arguments,
        "storage read-only",
        storage=arguments.storage,
        read_only=read_only,
        lasting=not arguments.until_restart,
    )
    _say(f"{arguments.storage} is {_access(read_only)}", note)


def _storage_simple(arguments: argparse.Namespace) -> None:
    values = {"storage": arguments.storage} if "storage" in arguments else {}
    _ask(arguments, f"storage {arguments.verb}", **values)


# The trash


def _trash_list(arguments: argparse.Namespace) -> None:
    items = _ask(arguments, "trash list")
    if arguments.json:
        print(json.dumps(items, indent=2, ensure_ascii=False))
        return
    rows = [
        (
            each["name"],
            datetime.fromtimestamp(each["deleted"]).strftime("%Y-%m-%d %H:%M"),
            _size(each["size"]),
            each["storage"],
            each["path"] + ("/" if each["is_folder"] else ""),
        )
        for each in items
    ]
    _print_table(("NAME", "DELETED", "SIZE", "STORAGE", "FROM"), rows)


def _trash_restore(arguments: argparse.Namespace) -> None:
    for name in arguments.name:
        storage = _ask(arguments, "trash restore", name=name, storage=arguments.storage)
        _say(f"{name} is back in {storage}")


def _trash_empty(arguments: argparse.Namespace) -> None:
    count = 0
    for name in arguments.name or [""]:
        count += _ask(arguments, "trash empty", name=name, storage=arguments.storage)
    _say(f"{count} deleted for good")


# How it is said


def _say(line: str, note: str = "") -> None:
    print(f"{line}, {note}" if note else line)


def _size(count: int) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count} {unit}"
        count //= 1000
    return f"{count} GB"


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = [head, *(tuple(map(_printable, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _printable(text: str) -> str:
    """Write what a terminal would obey as what it is: names come from anywhere."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
