# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the partitions lie, pure: sizes in, places out.

| # | partition | file system | what it is |
|---|---|---|---|
| 1 | boot | FAT | firmware, kernel, settings to edit on any PC |
| 2 | root | squashfs | the system; never written |
| 3 | state | ext4 | /var: settings, state, bounded logs |
| 4 | share | ext4 | the files; last, so that it can grow to the end of the card |

The table is the old kind (MBR): the boot ROM of these boards reads no other, and four are as many
as it holds. Everything begins at whole erase blocks of a card.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1 << 20
SECTOR = 512
#: A card's erase block, as far as is known; also room for the table.
ALIGNMENT = 4 * MIB
#: What the image is known by; the start looks for it (image/initrd/init).
DISK_ID = 0x4D545041

BOOT_SIZE = 64 * MIB
STATE_SIZE = 128 * MIB
#: Of the share as it comes; it grows to the card at the first start.
SHARE_SIZE = 128 * MIB

_FAT32, _LINUX = "c", "83"


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition; `start` and `size` in bytes."""

    name: str
    number: int
    kind: str
    start: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Layout:
    """All of a card."""

    partitions: tuple[Partition, ...]

    @property
    def size(self) -> int:
        """Bytes of the image."""
        return self.partitions[-1].end

    def __getitem__(self, name: str) -> Partition:
        return next(each for each in self.partitions if each.name == name)


def aligned(size: int) -> int:
    """Round a size up to whole erase blocks."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def plan(root_size: int) -> Layout:
    """Lay out a card for a root file system of `root_size` bytes."""
    wanted = (
        ("boot", _FAT32, BOOT_SIZE),
        ("root", _LINUX, aligned(root_size)),
        ("state", _LINUX, STATE_SIZE),
        ("share", _LINUX, SHARE_SIZE),
    )
    return Layout(_in_a_row(wanted))


def _in_a_row(wanted: Sequence[tuple[str, str, int]]) -> tuple[Partition, ...]:
    found: list[Partition] = []
    for number, (name, kind, size) in enumerate(wanted, 1):
        start = found[-1].end if found else ALIGNMENT
        found.append(Partition(name, number, kind, start, size))
    return tuple(found)


def sfdisk_script(layout: Layout) -> str:
    """What sfdisk reads."""
    lines = ["label: dos", f"label-id: 0x{DISK_ID:08x}", "unit: sectors"]
    for each in layout.partitions:
        place = f"start={each.start // SECTOR}, size={each.size // SECTOR}, type={each.kind}"
        lines.append(f"{place}, bootable" if each.number == 1 else place)
    return "\n".join(lines) + "\n"
