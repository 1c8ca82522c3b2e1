# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes file systems as files, from trees, without mounting; the same tree gives the same bytes."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from image import programs
from image.layout import MIB

#: Made up, and fixed: "mtp", and the partition's number.
_UUID = "6d747061-0000-4000-8000-{:012d}"
_FAT_ID = "4D545041"
_INODE_RATIO = 32768
#: What an inode has of dates.
_DATES = ("atime", "ctime", "crtime", "mtime")
#: Bytes up to which an ext4 can grow with its table of groups in one place: 1 TiB.
_GROWS_TO = 1 << 40
_BLOCK = 4096


def make_fat(target: Path, tree: Path, size: int, label: str) -> None:
    """Make a FAT file system of all files in `tree`."""
    with target.open("wb") as file:
        file.truncate(size)
    programs.run(
        "mkfs.vfat", "--invariant", "-F", "32", "-s", "1", "-i", _FAT_ID, "-n", label, target
    )
    names = sorted(str(each) for each in tree.iterdir())
    programs.run("mcopy", "-s", "-p", "-m", "-i", target, *names, "::", TZ="UTC")


def make_squashfs(target: Path, tree: Path, epoch: int) -> None:
    """Make a squashfs.

    LZO because the kernels of both bases unpack it, and fast on an ARMv6; blocks of 32 KiB because
    what a start reads are many small files.
    """
    times = ("-mkfs-time", str(epoch), "-all-time", str(epoch))
    packing = ("-comp", "lzo", "-b", "32K", "-no-xattrs")
    programs.run(
        "mksquashfs", tree, target, "-noappend", "-quiet", "-no-progress", *packing, *times
    )


@dataclass(frozen=True, slots=True)
class Ext4:
    """An ext4 to be made; `number` makes its UUID, `grows`: online, far beyond its size.

    `owner` (user, group) and `mode` are of its top directory, which is not taken from the tree.
    `errors` is what the kernel does when it finds damage: "continue", or "remount-ro".
    """

    label: str
    number: int
    size: int
    grows: bool = False
    owner: tuple[int, int] = (0, 0)
    mode: int = 0o755
    errors: str = "continue"


def make_ext4(target: Path, wanted: Ext4, tree: Path, epoch: int) -> None:
    """Make an ext4 of a tree."""
    with target.open("wb") as file:
        file.truncate(wanted.size)
    uuid = _UUID.format(wanted.number)
    user, group = wanted.owner
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    extended = f"root_owner={user}:{group},hash_seed={uuid},{lazy}"
    if wanted.grows:
        extended += f",resize={_GROWS_TO // _BLOCK}"
    programs.run(
        *("mke2fs", "-q", "-F", "-t", "ext4", "-L", wanted.label, "-U", uuid, "-E", extended),
        *("-b", str(_BLOCK), "-I", "256", "-i", str(_INODE_RATIO), "-m", "0", "-J", "size=4"),
        *("-O", "64bit,metadata_csum", "-e", wanted.errors, "-d", tree, target),
        E2FSPROGS_FAKE_TIME=str(epoch),
        SOURCE_DATE_EPOCH=str(epoch),
    )
    _fix_inodes(target, wanted.mode, epoch)


def _fix_inodes(target: Path, mode: int, epoch: int) -> None:
    """Give all inodes one date: mke2fs takes over the tree's own."""
    counts = programs.ask("dumpe2fs", "-h", target)
    numbers = dict(line.split(":", 1) for line in counts.splitlines() if ":" in line)
    used = int(numbers["Inode count"]) - int(numbers["Free inodes"])
    # Found on no PC: e2fsck makes it where it needs it.
    lines = ["rmdir lost+found", f"sif <11> dtime @{epoch}"]
    lines.append(f"sif <2> mode 0{0o040000 | mode:o}")
    for inode in (2, *range(11, used + 16)):
        lines += [f"sif <{inode}> {name} @{epoch}" for name in _DATES]
    settings = os.environ | {"E2FSPROGS_FAKE_TIME": str(epoch)}
    subprocess.run(
        [programs.find_program("debugfs"), "-w", "-f", "-", str(target)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        env=settings,
    )


def write_at(image: Path, part: Path, start: int) -> None:
    """Write a part into an image where it belongs; what is zero stays a hole."""
    with image.open("r+b") as out, part.open("rb") as source:
        position = start
        while block := source.read(MIB):
            if block.strip(b"\0"):
                out.seek(position)
                out.write(block)
            position += len(block)
