# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings file, edited as a person edits it."""

import os
from pathlib import Path

SETTINGS = Path("/etc/mtp-appliance/settings.toml")
STORAGE = '\n[[storages]]\npath = "/srv/share"\n'


def edit(text: str) -> None:
    """Write the file as an editor does: a new file takes the old one's place."""
    new = SETTINGS.with_name("edited")
    new.write_text(text)
    new.chmod(0o640)
    os.chown(new, *owner())
    new.rename(SETTINGS)


def owner() -> tuple[int, int]:
    """Say whose the settings are: user and group."""
    folder = SETTINGS.parent.stat()
    return folder.st_uid, folder.st_gid
