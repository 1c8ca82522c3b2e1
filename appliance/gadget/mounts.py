# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounting the kernel's own file systems, by mount(2) without a helper program."""

import ctypes
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

_MOUNTS = Path("/proc/self/mounts")
_DETACH = 2


def mounted_type(path: Path) -> str | None:
    """Name the file system type that is mounted on `path`, None where nothing is."""
    found = None
    wanted = str(path.resolve())
    for line in _MOUNTS.read_text().splitlines():
        _, where, kind, *_ = line.split(" ")
        if where.encode().decode("unicode_escape") == wanted:
            found = kind
    return found


def mount(source: str, path: Path, kind: str, options: str = "") -> None:
    """Mount; raises OSError with the kernel's reason."""
    log.info("MOUNT %s on %s %s", kind, path, options)
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (source.encode(), os.fsencode(path), kind.encode())
    if libc.mount(*arguments, ctypes.c_ulong(0), options.encode()):
        raise _failure(path)


def unmount(path: Path) -> None:
    """Take a mount away, at once for new users and for the others when they close their files."""
    log.info("UNMOUNT %s", path)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(path), _DETACH):
        raise _failure(path)


def _failure(path: Path) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(path))
