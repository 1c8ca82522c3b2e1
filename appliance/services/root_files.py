# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files that root writes for other services, only where they are to say something else."""

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


def read(path: Path) -> str:
    """Read a file; "" where there is none."""
    try:
        return path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return ""


def write_if_changed(path: Path, text: str, mode: int = 0o644) -> bool:
    """Replace a file, if it says something else; whether it did."""
    if path.is_file() and read(path) == text:
        return False
    log.info("WRITE   %s", path)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.mtp-appliance")
    with new.open("w", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return True


def remove_if_there(path: Path) -> bool:
    """Remove a file; whether it was there."""
    if not path.exists():
        return False
    log.info("REMOVE  %s", path)
    path.unlink()
    return True


def put(path: Path, text: str | None, mode: int = 0o644) -> bool:
    """Let a file say `text`, or not be there for None; whether that changed anything."""
    return remove_if_there(path) if text is None else write_if_changed(path, text, mode)
