# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what is wrong onto the boot partition, for any PC to read; only what is new is written."""

import json
import os
import stat
import subprocess
from pathlib import Path

BOOT = Path(os.environ.get("MTP_APPLIANCE_BOOT", "/boot/firmware"))
STATUS = Path(os.environ.get("MTP_APPLIANCE_STATUS", "/run/mtp-appliance/status.json"))
FAILURES = Path(os.environ.get("MTP_APPLIANCE_FAILURES", "/run/mtp-appliance-failures"))
#: Bytes of a status, and lines and letters of them that are written: it is the responder's, whom
#: somebody may have taken over.
LARGEST, LINES, LETTERS = 1 << 18, 20, 300
LOG = BOOT / "mtp-appliance-log.txt"


def warnings() -> list[str]:
    """What the responder says is wrong; where it says nothing, what has failed."""
    try:
        found = json.loads(read(STATUS))["warnings"]
        return [
            f"{each['text']}: {each['hint']}" for each in found if each["code"] != "clock-not-set"
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return [f"{each.name}: {each.read_text().strip()}" for each in sorted(FAILURES.glob("*"))]


def read(path: Path) -> bytes:
    """Read a regular file; a pipe keeps nobody waiting, and a link leads nobody elsewhere."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError("is no regular file")
        return file.read(LARGEST)


def as_text(lines: list[str]) -> bytes:
    """As any PC shows it; nothing wrong, no text. What is no letter is a question mark."""
    lines = [" ".join(line[:LETTERS].split()) for line in lines[:LINES]]
    lines = ["MTP Appliance, at the last look:", *lines] if lines else []
    return "".join(f"{line}\r\n" for line in lines).encode(errors="replace")


def written() -> bytes:
    """What is there now."""
    try:
        return LOG.read_bytes()
    except FileNotFoundError:
        return b""


def write(text: bytes) -> None:
    """Put it there, whole; the partition is writable for that moment only."""
    subprocess.run(["mount", "-o", "remount,rw", BOOT], check=True)
    if not text:
        LOG.unlink()
    else:
        new = LOG.with_name("mtp-appliance-log.new")
        with new.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(LOG)
    subprocess.run(["mount", "-o", "remount,ro", BOOT], check=True)


if __name__ == "__main__":
    text = as_text(warnings())
    if text != written():
        write(text)
