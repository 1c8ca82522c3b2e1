# SPDX-License-Identifier: GPL-3.0-or-later
"""The PC of the boot test, on a disk of its own: clients that others wrote, the cable's modules.

The image that is tested is the one that is shipped, so nothing of this is in it.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from image import base, cache, programs
from image.boards import Board
from image.root import kernel_version, module_files, unpack
from tests.image.hardware import HARDWARE

PACKAGES = ("mtp-tools",)
MODULES = ("dummy_hcd", "cdc_ncm")
_SIZE = 512 << 20


@dataclass(frozen=True, slots=True)
class Pc:
    """The PC's disk, and the modules, in order, that the board needs to reach it."""

    disk: Path
    modules: tuple[Path, ...]


def make(board: Board) -> Pc:
    """Give the PC for a board; made first if it is not in the cache."""
    system = base.base(board)
    reach = HARDWARE[board.name].modules
    parts = (*PACKAGES, *MODULES, *reach, system.parent.name, Path(__file__).read_text())
    name = f"pc-{board.architecture}-{cache.key(parts)}"
    folder = cache.get(cache.cache_folder("image"), name, lambda work: _make(work, system, board))
    return Pc(folder / "disk.img", tuple(sorted((folder / "modules").iterdir())))


def _make(work: Path, system: Path, board: Board) -> None:
    tree = work / "root"
    archive = work / "pc.tar"
    mirror = os.environ.get("MTP_APPLIANCE_MIRROR")
    # Nothing of it is configured, so no processor has to be emulated for it.
    base.debootstrap(archive, board.architecture, PACKAGES, mirror, "--variant=extract")
    unpack(archive, tree)
    archive.unlink()
    for name in ("dev", "proc", "sys", "tmp"):
        (tree / name).mkdir(exist_ok=True)
    for name in ("bin", "lib", "sbin"):
        if not (tree / name).exists():
            (tree / name).symlink_to(f"usr/{name}")
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        unpacked = Path(scratch) / "system"
        unpack(system, unpacked)
        _copy_modules(unpacked, board, tree)
        _copy_reach(unpacked, board, work / "modules")
    disk = work / "disk.img"
    with disk.open("wb") as file:
        file.truncate(_SIZE)
    programs.run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "pc", "-d", tree, disk)
    shutil.rmtree(tree)


def _copy_modules(unpacked: Path, board: Board, tree: Path) -> None:
    """Copy the cable's modules, and those that they need, of the image's own kernel."""
    version = kernel_version(unpacked, board)
    programs.run("depmod", "-b", unpacked, version)
    for each in module_files(unpacked, version, MODULES):
        place = tree / each.resolve().relative_to(unpacked.resolve())
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(each, place)
    for name in ("modules.order", "modules.builtin"):
        inside = Path("usr/lib/modules") / version / name
        shutil.copyfile(unpacked / inside, tree / inside)
    programs.run("depmod", "-b", tree, version)


def _copy_reach(unpacked: Path, board: Board, folder: Path) -> None:
    """Copy the modules that reach the PC's disk, numbered."""
    folder.mkdir()
    version = kernel_version(unpacked, board)
    wanted = module_files(unpacked, version, HARDWARE[board.name].modules)
    for number, each in enumerate(wanted):
        shutil.copyfile(each, folder / f"{number:02}-{each.name}")
