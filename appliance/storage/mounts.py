# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted on this machine, and where."""

import os
import select
from contextlib import suppress
from pathlib import Path

#: What is mounted, as proc(5) says: the fifth word of a line is the place.
_MOUNTS = "/proc/self/mountinfo"


class Mounts:
    """What is mounted on this machine, and whether that has changed; for the lock's holder.

    Where the kernel does not tell, nothing ever changes.
    """

    def __init__(self) -> None:
        self._open: list[int] = []
        self._poll = select.poll()
        self.watch(self._poll)

    def watch(self, poll: select.poll) -> int:
        """Have `poll` wake who waits in it, for a change; what it gives then, -1 for never.

        The kernel tells each opening once: who waits takes the news away from nobody else.
        """
        with suppress(OSError):
            fd = os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
            self._open.append(fd)
            poll.register(fd, select.POLLPRI)
            return fd
        return -1

    def have_changed(self) -> bool:
        """Whether a disk was mounted or unmounted since this was asked last."""
        return bool(self._poll.poll(0))

    def places(self) -> set[bytes]:
        """Say where something is mounted, as the kernel writes it."""
        with suppress(OSError), Path(_MOUNTS).open("rb") as file:
            return {line.split(b" ", 5)[4] for line in file}
        return set()

    def close(self) -> None:
        """Ask no more; harmless when repeated."""
        self._poll = select.poll()
        while self._open:
            os.close(self._open.pop())


def as_kernel_writes(path: bytes) -> bytes:
    """Say a path as in the list of what is mounted, where letters that part words have numbers."""
    return b"".join(b"\\%03o" % each if each in b" \t\n\\" else bytes((each,)) for each in path)


def mount_point(path: bytes) -> bytes:
    """Where the file system is mounted on which a directory lies."""
    device = os.stat(path).st_dev  # noqa: PTH116 - bytes
    while path != b"/":
        above = os.path.dirname(path)  # noqa: PTH120 - bytes
        if os.stat(above).st_dev != device:  # noqa: PTH116 - bytes
            break
        path = above
    return path
