# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings files as text, made from the declaration: the one that is shipped, the one to edit on
the boot partition, and the table in the documentation.
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.settings.differences import show
from appliance.settings.migrations import VERSION
from appliance.settings.schema import (
    TABLES,
    Setting,
    Settings,
    StorageSetting,
    declared,
    declared_of_storages,
)
from appliance.settings.secret_files import how_to_set
from appliance.values import MISSING, Field

#: How a secret gets in, by its key, from the boot partition.
_TAKEN_OVER = {
    "web.password": "Written here it is hashed, and taken away, at the next start.",
    "wifi.passphrase": "Written here it is taken over, and taken away, at the next start.",
}
#: What a new appliance serves.
SHIPPED_STORAGE = StorageSetting(Path("/srv/share"), "Files")
_WIDTH = 88

_SHIPPED = """\
# The settings of this appliance. What is not said here is as by default.
# After a change it takes effect by itself; `mtp-appliance settings check` says what is wrong.
"""
_BOOT = """\
# Settings for your MTP Appliance. You can edit this file on any PC.
#
# Take away the # in front of a line to set what it says, save, eject the card and start the
# appliance with it. What is wrong is written beside this file, into mtp-appliance-errors.txt.
# A forgotten password of the settings page: make an empty file here, named reset-password
# (reset-password.txt does too).
"""


def shipped() -> str:
    """Write the file that an appliance begins with, and returns to."""
    lines = [_SHIPPED, f"version = {VERSION}"]
    for table in ("", *TABLES):
        lines += ["", f"[{table}]"] if table else []
        for key, item, setting in declared():
            if _table_of(key) == table:
                lines += _explained(key, item, setting)
    return "\n".join([*lines, *_storage_lines("")]) + "\n"


def for_boot_partition() -> str:
    """Write the file to edit on the boot partition: everything in it is a comment.

    Each setting is one line with its whole key, so that to uncomment that line is enough.
    """
    lines = [_BOOT]
    for key, item, setting in declared():
        lines += ["", *_comment(setting, _TAKEN_OVER.get(key, ""))]
        lines.append(f"#{key} = {_value(setting, item.default)}")
    return "\n".join([*lines, *_storage_lines("#")]) + "\n"


def of(settings: Settings, *, secrets: bool = False) -> str:
    """Write settings down in full, without explanations."""
    lines = [f"version = {VERSION}"]
    for table in ("", *TABLES):
        inside = [
            f"{key.rpartition('.')[2]} = {_value(setting, getattr(settings, item.name))}"
            for key, item, setting in declared()
            if _table_of(key) == table
            and (not setting.secret or (secrets and getattr(settings, item.name)))
        ]
        lines += ["", f"[{table}]"] if table and inside else []
        lines += inside
    for storage in settings.storages:
        lines += ["", "[[storages]]"]
        for key, item, _ in declared_of_storages():
            lines.append(f"{key} = {_plain(getattr(storage, item.name))}")
    return "\n".join(lines) + "\n"


def table_of_settings() -> str:
    """Write the table of the documentation (Markdown)."""
    rows = ["| setting | by default | what it is |", "|---|---|---|"]
    for key, item, setting in declared():
        rows.append(f"| `{key}` | `{_value(setting, item.default)}` | {_sentence(setting)} |")
    for key, item, setting in declared_of_storages():
        default = "" if item.default is MISSING else f"`{_plain(item.default)}`"
        rows.append(f"| `storages`: `{key}` | {default} | {_sentence(setting)} |")
    return "\n".join(rows) + "\n"


def _storage_lines(mark: str) -> Iterator[str]:
    yield from ("", "# Folders that are served, each under a heading of its own.")
    yield f"{mark}[[storages]]"
    for key, item, setting in declared_of_storages():
        yield from _comment(setting)
        yield f"{mark}{key} = {_plain(getattr(SHIPPED_STORAGE, item.name))}"


def _table_of(key: str) -> str:
    table, dot, _ = key.partition(".")
    return table if dot else ""


def _explained(key: str, item: Field[Any], setting: Setting) -> Iterator[str]:
    yield ""
    if setting.secret:
        yield from _comment(setting, f"It is not kept in this file; {how_to_set(key)}")
        return
    yield from _comment(setting)
    yield f"{key.rpartition('.')[2]} = {_value(setting, item.default)}"


def _comment(setting: Setting, more: str = "") -> Iterator[str]:
    text = f"{_sentence(setting)} {more}".strip()
    yield from textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _sentence(setting: Setting) -> str:
    unit = f" (in {setting.unit})" if setting.unit else ""
    choices = f" One of: {', '.join(setting.choices)}." if setting.choices else ""
    return f"{setting.label}{unit}. {setting.help}{choices}"


def _value(setting: Setting, value: Any) -> str:
    return f"0x{value:04x}" if setting.in_hex else _plain(value)


def _plain(value: Any) -> str:
    return show(str(value) if isinstance(value, Path) else value)
