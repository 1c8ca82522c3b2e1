# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what is wrong onto the boot partition, for any PC to read; only what is new is written."""

import json
import os
import subprocess
from pathlib import Path

BOOT = Path(os.environ.get("MTP_APPLIANCE_BOOT", "/boot/firmware"))
STATUS = Path(os.environ.get("MTP_APPLIANCE_STATUS", "/run/mtp-appliance/status.json"))
FAILURES = Path(os.environ.get("MTP_APPLIANCE_FAILURES", "/run/mtp-appliance-failures"))
LOG = BOOT / "mtp-appliance-log.txt"


def warnings() -> list[str]:
    """What the responder says is wrong; where it says nothing, what has failed."""
    try:
        found = json.loads(STATUS.read_text())["warnings"]
        return [
            f"{each['text']}: {each['hint']}" for each in found if each["code"] != "clock-not-set"
        ]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return [f"{each.name}: {each.read_text().strip()}" for each in sorted(FAILURES.glob("*"))]


def as_text(lines: list[str]) -> str:
    """As any PC shows it; nothing wrong, no text."""
    return "".join(f"{line}\r\n" for line in ["MTP Appliance, at the last look:", *lines] if lines)


def written() -> str:
    """What is there now."""
    try:
        return LOG.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ""


def write(text: str) -> None:
    """Put it there, whole; the partition is writable for that moment only."""
    subprocess.run(["mount", "-o", "remount,rw", BOOT], check=True)
    if not text:
        LOG.unlink()
    else:
        new = LOG.with_name("mtp-appliance-log.new")
        with new.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(LOG)
    subprocess.run(["mount", "-o", "remount,ro", BOOT], check=True)


if __name__ == "__main__":
    text = as_text(warnings())
    if text != written():
        write(text)
