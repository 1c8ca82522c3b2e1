# SPDX-License-Identifier: GPL-3.0-or-later
"""Searching a storage for files by their inodes: by reading its directories, and nothing else."""

import os
from collections.abc import Iterator

from appliance.storage.directories import Names, opened
from appliance.storage.names import STAGING, is_hidden


def find_inodes(root_fd: int, wanted: set[int], hidden_files: bool) -> dict[int, list[bytes]]:
    """Find paths of what has one of the inodes and is shown. Raises OSError."""
    found: dict[int, list[bytes]] = {}
    device = os.fstat(root_fd).st_dev
    pending: list[Names] = [()]
    while pending:
        path = pending.pop()
        try:
            with opened(root_fd, path) as fd:
                if os.fstat(fd).st_dev != device:
                    continue
                for entry in _shown(fd, hidden_files):
                    below = (*path, os.fsencode(entry.name))
                    if entry.inode() in wanted:
                        found.setdefault(entry.inode(), []).append(b"/".join(below))
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(below)
        except OSError:
            continue  # one that cannot be read hides none of the others
    return found


def _shown(fd: int, hidden_files: bool) -> Iterator[os.DirEntry[str]]:
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if not is_hidden(name) or (hidden_files and name != STAGING):
                yield entry
