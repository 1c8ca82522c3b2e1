# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's part of an image: packages, kernel and firmware, unpacked by mmdebstrap and kept."""

import os
import sys
from pathlib import Path

from image import cache, programs
from image.boards import Board

HERE = Path(__file__).parent
SUITE = "trixie"
#: Unpacked, but not installed, as the kernel is: their scripts are for other machines.
FIRMWARE_PACKAGES = ("raspi-firmware", "firmware-brcm80211")
#: What no appliance shows to anybody. Licences stay.
_LEFT_OUT = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "force-unsafe-io",
)
ARCHIVE = "base.tar"


def read_list(path: Path) -> tuple[str, ...]:
    """Read a list of packages: one a line, # for comments."""
    lines = path.read_text().splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def packages() -> tuple[str, ...]:
    """Name the packages of the recipe."""
    return read_list(HERE / "packages.txt")


def base(board: Board, *, force: bool = False, mirror: str | None = None) -> Path:
    """Give the archive of a base root file system; made first if it is not in the cache."""
    hook = HERE / "unpack-kernel.sh"
    kernel = os.environ.get("MTP_APPLIANCE_KERNEL") or board.kernel_package
    parts = (*packages(), kernel, *FIRMWARE_PACKAGES, *_LEFT_OUT, hook.read_text())
    name = f"base-{board.architecture}-{cache.key(parts)}"
    mirror = mirror or os.environ.get("MTP_APPLIANCE_MIRROR")

    def make(folder: Path) -> None:
        print(
            f"Unpacking Debian for {board.architecture} (some minutes, once) ...", file=sys.stderr
        )
        debootstrap(
            folder / ARCHIVE,
            board.architecture,
            packages(),
            mirror,
            "--variant=essential",
            f"--customize-hook=sh {hook} $1 {kernel} {' '.join(FIRMWARE_PACKAGES)}",
        )

    return cache.get(cache.cache_folder("image"), name, make, force=force) / ARCHIVE


def debootstrap(
    archive: Path, architecture: str, wanted: tuple[str, ...], mirror: str | None, *options: str
) -> None:
    """Unpack Debian packages, with what they need, into an archive."""
    programs.run(
        "mmdebstrap",
        "--quiet",
        f"--architectures={architecture}",
        "--components=main,non-free-firmware",
        f"--include={','.join(wanted)}",
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt={each}" for each in _LEFT_OUT),
        *options,
        *(SUITE, archive),
        *([mirror] if mirror else []),
    )
