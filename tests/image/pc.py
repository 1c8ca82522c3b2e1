# SPDX-License-Identifier: GPL-3.0-or-later
"""The PC of the boot test, on a disk of its own: clients that others wrote, the cable's modules.

The image that is tested is the one that is shipped, so nothing of this is in it.
"""

import os
import shutil
import tempfile
from pathlib import Path

from image import base, cache, programs
from image.boards import BOARDS
from image.root import kernel_version, module_files, unpack

BOARD = BOARDS["zero2w"]
PACKAGES = ("mtp-tools",)
MODULES = ("dummy_hcd", "cdc_ncm")
_SIZE = 512 << 20


def disk() -> Path:
    """Give the PC's disk; made first if it is not in the cache."""
    system = base.base(BOARD)
    parts = (*PACKAGES, *MODULES, system.parent.name, Path(__file__).read_text())
    name = f"pc-{BOARD.architecture}-{cache.key(parts)}"
    folder = cache.get(cache.cache_folder("image"), name, lambda work: _make(work, system))
    return folder / "disk.img"


def _make(work: Path, system: Path) -> None:
    tree = work / "root"
    archive = work / "pc.tar"
    mirror = os.environ.get("MTP_APPLIANCE_MIRROR")
    # Nothing of it is configured, so no processor has to be emulated for it.
    base.debootstrap(archive, BOARD.architecture, PACKAGES, mirror, "--variant=extract")
    unpack(archive, tree)
    archive.unlink()
    for name in ("dev", "proc", "sys", "tmp"):
        (tree / name).mkdir(exist_ok=True)
    for name in ("bin", "lib", "sbin"):
        if not (tree / name).exists():
            (tree / name).symlink_to(f"usr/{name}")
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        _copy_modules(Path(scratch) / "system", system, tree)
    disk = work / "disk.img"
    with disk.open("wb") as file:
        file.truncate(_SIZE)
    programs.run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "pc", "-d", tree, disk)
    shutil.rmtree(tree)


def _copy_modules(unpacked: Path, system: Path, tree: Path) -> None:
    """Copy the cable's modules, and those that they need, of the image's own kernel."""
    unpack(system, unpacked)
    version = kernel_version(unpacked, BOARD)
    programs.run("depmod", "-b", unpacked, version)
    for each in module_files(unpacked, version, MODULES):
        place = tree / each.resolve().relative_to(unpacked.resolve())
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(each, place)
    for name in ("modules.order", "modules.builtin"):
        inside = Path("usr/lib/modules") / version / name
        shutil.copyfile(unpacked / inside, tree / inside)
    programs.run("depmod", "-b", tree, version)
