# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk like FAT, as far as names go: the calls that meet a name act as Linux's vfat does.

It takes `dcim` and `DCIM` for one name, drops dots at the end, refuses some characters and a space
at the end where a name is made, and gives what has a long name a short one too, which is not
listed: `MTP-AP~1`.
"""

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from appliance.storage import syscalls

_REFUSED = re.compile(rb'[*?:"<>|\\]| \Z')
_SHORT = re.compile(rb"[A-Z0-9_~!()@#$%&'{}^-]{1,8}(\.[A-Z0-9_~-]{1,3})?")


def pretend(patch: pytest.MonkeyPatch, *roots: Path) -> None:
    """Let folders, with all in them, behave so."""
    disk = _Disk(roots)
    for name in ("stat", "mkdir", "rename", "open", "unlink", "rmdir"):
        patch.setattr(os, name, disk.acting(name, getattr(os, name)))
    patch.setattr(syscalls, "_renameat2", disk.renaming(syscalls._renameat2))
    patch.setattr(syscalls, "is_fat", disk.is_mine)


class _Disk:
    def __init__(self, roots: tuple[Path, ...]) -> None:
        self._roots = roots
        self._listdir = os.listdir

    def acting(self, what: str, call: Any) -> Any:
        def act(name: Any, *more: Any, **named: Any) -> Any:
            fd = named.get("dir_fd", named.get("src_dir_fd"))
            makes = what == "mkdir" or (what == "open" and bool(more[0] & os.O_CREAT))
            first = self._spelled(name, fd, makes=makes)
            if what == "rename":
                target = self._spelled(more[0], named.get("dst_dir_fd"), makes=True)
                return call(first, target, **named)
            return call(first, *more, **named)

        return act

    def renaming(self, call: Any) -> Any:
        def act(source_fd: int, source: bytes, target_fd: int, target: bytes, *flag: int) -> Any:
            if not self.is_mine(source_fd):  # then the kernel does not even ask the file system
                return call(source_fd, source, target_fd, target, *flag)
            try:
                old = self._spelled(source, source_fd)
                new = self._spelled(target, target_fd, makes=True)
            except OSError as error:
                return error.errno
            return call(source_fd, old, target_fd, new, *flag)

        return act

    def is_mine(self, fd: int) -> bool:
        try:
            folder = Path(f"/proc/self/fd/{fd}").readlink()
        except OSError:
            return False
        return any(folder.is_relative_to(each) for each in self._roots)

    def _spelled(self, name: Any, fd: int | None, *, makes: bool = False) -> Any:
        """Find the name on the real disk of what the pretended one has by a name."""
        if fd is None or not isinstance(name, bytes) or b"/" in name or name == b".":
            return name
        if not self.is_mine(fd):
            return name
        folder = Path(f"/proc/self/fd/{fd}")
        plain = name.rstrip(b".") or name
        if makes and _REFUSED.search(plain):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        for each in map(os.fsencode, sorted(self._listdir(folder))):
            if plain.lower() in (each.lower(), _short(each).lower()):
                return each
        return plain


def _short(name: bytes) -> bytes:
    """Make the second name of a file, as vfat_create_shortname of the kernel does."""
    if _SHORT.fullmatch(name):
        return name
    stem, _, extension = name.lstrip(b".").rpartition(b".")
    if not stem:
        stem, extension = name.lstrip(b"."), b""
    short = re.sub(rb"[ .]", b"", stem)[:6] + b"~1"
    return (short + (b"." + extension[:3] if extension else b"")).upper()
