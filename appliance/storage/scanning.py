# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a folder, and whether that is still so.

A scan is one reading of the directory. Afterwards the directory's own modification time tells
whether anything came or went. Like git, which calls it "racily clean", that is believed only if the
directory was at rest for a while when it was scanned: file systems count time in ticks, and a
second change within the same tick would not show. Nor would any where there is no
time: FAT keeps none of its root.
"""

import logging
import os
import stat
import time
from typing import Self

from appliance.storage.errors import is_gone
from appliance.storage.names import LOST_AND_FOUND, STAGING, is_hidden
from appliance.values import dataclass

log = logging.getLogger(__name__)

#: How long a directory must have been at rest (ns): kernels tick every 10 ms or faster ...
_TICK = 50_000_000
#: ... but FAT and some others keep whole seconds, FAT only even ones.
_COARSE_TICK = 2_050_000_000
_SECOND = 1_000_000_000

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ScanMark:
    """What a directory looked like when it was scanned; settled: whether it had been at rest."""

    stamp: Stamp
    settled: bool

    @classmethod
    def take(cls, fd: int) -> Self:
        """Look at a directory that is about to be scanned."""
        stamp = _stamp(fd)
        modified = stamp[1]
        tick = _TICK if modified % _SECOND else _COARSE_TICK
        return cls(stamp, modified != 0 and abs(time.time_ns() - modified) >= tick)

    @classmethod
    def of_new(cls, fd: int) -> Self:
        """Give the mark of a directory that we have just made, and know to be empty."""
        return cls(_stamp(fd), settled=True)

    def is_current(self, fd: int) -> bool:
        """Whether the directory is surely still as it was when it was scanned."""
        try:
            return self.settled and _stamp(fd) == self.stamp
        except OSError:
            return False

    def after_own_change(self, fd: int) -> Self:
        """Give the mark for a directory in which only what we know of has changed."""
        return type(self)(_stamp(fd), self.settled)

    def doubted(self) -> Self:
        """Give the mark of a directory in which something has come or gone that nobody saw."""
        return type(self)(self.stamp, settled=False)


def is_recent(started: int) -> bool:
    """Whether a moment (`time.monotonic_ns`) is so short ago that nobody else's work fits in."""
    return time.monotonic_ns() - started < _TICK


def scan(fd: int, *, hidden_files: bool) -> tuple[dict[bytes, bool], list[bytes]]:
    """List what of a directory is shown: names, and whether they are folders. Raises OSError.

    Then the names of what is there and could not be looked at: that may come to be possible without
    a change of which the directory's times tell, as by a permission.
    """
    device = os.fstat(fd).st_dev
    found: dict[bytes, bool] = {}
    unseen: list[bytes] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if not is_shown(name, hidden_files=hidden_files):
                continue
            try:
                kind = _kind(entry, device)
            except OSError as error:
                log.debug("SKIP    %a: %s", entry.name, error.strerror)
                if not is_gone(error):
                    unseen.append(name)
                continue
            if kind is not None:
                found[name] = kind
    return found, unseen


def is_shown(name: bytes, *, hidden_files: bool) -> bool:
    """Whether a name on the disk is one that a PC gets to see."""
    return not is_hidden(name) or (hidden_files and name != STAGING)


def is_for_repairs(name: bytes, status: os.stat_result) -> bool:
    """Whether a folder is the one that an ext file system keeps for repairs, closed to all."""
    return name == LOST_AND_FOUND and not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _kind(entry: os.DirEntry[str], device: int) -> bool | None:
    """Whether an entry is a folder; None where it is neither file nor folder of this storage.

    Raises OSError where it cannot be looked at.
    """
    if entry.is_file(follow_symlinks=False):
        return False
    if not entry.is_dir(follow_symlinks=False):
        return None
    status = entry.stat(follow_symlinks=False)
    if status.st_dev != device or is_for_repairs(os.fsencode(entry.name), status):
        return None
    return True


def _stamp(fd: int) -> Stamp:
    """Inode, time (ns), and what some file systems count beside: bytes and links."""
    status = os.fstat(fd)
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_nlink
