# SPDX-License-Identifier: GPL-3.0-or-later
"""In the virtual Pi: mounts a card as the appliance's start does (tests/vm/appliance.sh), at once.

By system calls, for starting mount(8) ten times takes longer than all else that is done to a card.
"""

import ctypes
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_BIND = 4096
_FLUSH_BUFFERS = 0x1261  # BLKFLSBUF of linux/fs.h
_CARD = Path("/card")
_PLACES = ("/srv/share", "/etc/mtp-appliance", "/var/lib/mtp-appliance")
_EXFAT = "fmask=0113,dmask=0002"


@contextmanager
def mounted(disk: Path) -> Iterator[None]:
    """Mount what is on the disk now, until the block ends. Raises OSError."""
    fd = os.open(disk, os.O_RDONLY)
    fcntl.ioctl(fd, _FLUSH_BUFFERS)
    is_exfat = os.pread(fd, 5, 3) == b"EXFAT"
    os.close(fd)
    with ExitStack() as held:
        if is_exfat:
            _mount(disk, Path("/srv/share"), "exfat", held, options=_EXFAT)
        else:
            _mount(disk, _CARD, "ext4", held)
            for place in _PLACES:
                _mount(_CARD / "kept" / place[1:], Path(place), "", held, flags=_BIND)
        yield


def _mount(
    source: Path, place: Path, kind: str, held: ExitStack, *, options: str = "", flags: int = 0
) -> None:
    place.mkdir(parents=True, exist_ok=True)
    words = (os.fsencode(source), os.fsencode(place), kind.encode())
    _must(_LIBC.mount(*words, ctypes.c_ulong(flags), options.encode()), place)
    held.callback(_unmount, place)


def _unmount(place: Path) -> None:
    _must(_LIBC.umount(os.fsencode(place)), place)


def _must(result: int, place: Path) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(place))
