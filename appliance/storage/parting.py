# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a tree apart, on one file system: what may go moves elsewhere, what has to stay stays."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.storage import syscalls
from appliance.storage.directories import Names, entries, opened
from appliance.storage.removal import Removal
from appliance.storage.survey import Survey


def move_parts(source_fd: int, seen: Survey, target_fd: int, target: bytes) -> Removal:
    """Move all of a tree but what stays into an empty folder, each part to where it lay.

    What came of it: how many names went, and the first error.
    """
    moved = Removal()
    for path in sorted(seen.around):  # a folder before what lies in it
        try:
            with (
                opened(source_fd, path) as origin,
                _likeness(target_fd, (target, *path[1:])) as made,
            ):
                for name in _leaving(origin, path, seen):
                    syscalls.rename_new(origin, name, made, name)
                    moved.removed += 1
        except OSError as error:
            moved.fail(error)
    return moved


def _leaving(origin: int, path: Names, seen: Survey) -> list[bytes]:
    staying = seen.stays | seen.around
    return [name for name, _ in entries(origin) if (*path, name) not in staying]


@contextmanager
def _likeness(target_fd: int, path: Names) -> Iterator[int]:
    """Open the folder that stands for one of the tree; made, but for the top."""
    with opened(target_fd, path[:-1]) as above:
        if len(path) > 1:
            os.mkdir(path[-1], 0o700, dir_fd=above)
        with opened(above, path[-1:]) as fd:
            yield fd
