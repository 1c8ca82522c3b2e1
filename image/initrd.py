# SPDX-License-Identifier: GPL-3.0-or-later
"""The initial RAM disk: busybox, a few kernel modules and the script that mounts the card."""

import os
import shutil
import subprocess
from pathlib import Path

from image import programs
from image.boards import Board
from image.layout import DISK_ID
from image.root import START_MODULES, kernel_version, module_files

HERE = Path(__file__).parent
_UNPACK = {".xz": ("xz", "-dc"), ".zst": ("zstd", "-dcq")}


def start_settings(board: Board) -> str:
    """What /start tells the script: the card's number, the board's names; spaces as underscores."""
    models = " ".join(each.replace(" ", "_") for each in board.models)
    return f"DISK_ID={DISK_ID:08x}\nTITLE='{board.title}'\nMODELS='{models}'\n"


def lay_out(root: Path, board: Board, tree: Path) -> None:
    """Fill `tree` with what is in the RAM disk."""
    version = kernel_version(root, board)
    for name in ("bin", "dev", "proc", "sys", "run", "sysroot", "etc"):
        (tree / name).mkdir(parents=True)
    shutil.copyfile(root / "usr/bin/busybox", tree / "bin/busybox")
    (tree / "bin/busybox").chmod(0o755)
    shutil.copyfile(HERE / "initrd/init", tree / "init")
    (tree / "init").chmod(0o755)
    (tree / "start").write_text(start_settings(board))
    files = module_files(root, version, START_MODULES)
    _copy_modules(files, root / "usr/lib/modules" / version, tree / "lib/modules" / version)
    names = [each.name.partition(".")[0] for each in files]
    (tree / "modules").write_text("".join(f"{name}\n" for name in names))
    programs.run("depmod", "-b", tree, version)


def _copy_modules(files: list[Path], source: Path, target: Path) -> None:
    """Copy modules, unpacked: the whole RAM disk is packed better than each of them."""
    target.mkdir(parents=True)
    for name in ("modules.order", "modules.builtin"):
        shutil.copyfile(source / name, target / name)
    for file in files:
        inside = Path(os.path.realpath(file)).relative_to(source.resolve())
        unpack = _UNPACK.get(file.suffix)
        place = target / (inside.with_suffix("") if unpack else inside)
        place.parent.mkdir(parents=True, exist_ok=True)
        if unpack is None:
            shutil.copyfile(file, place)
            continue
        with place.open("wb") as out:
            subprocess.run(
                [programs.find_program(unpack[0]), *unpack[1:], file], stdout=out, check=True
            )


def pack(tree: Path, target: Path, epoch: int) -> None:
    """Pack a tree, the same each time: names in order, one date, root's."""
    paths = sorted(tree.rglob("*"))
    for each in paths:
        os.utime(each, (epoch, epoch), follow_symlinks=False)
    names = "".join(f"{each.relative_to(tree)}\n" for each in paths)
    options = ("--quiet", "--reproducible", "-o", "-H", "newc", "-R", "0:0")
    archive = subprocess.run(
        [programs.find_program("cpio"), *options],
        input=names.encode(),
        cwd=tree,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    with target.open("wb") as out:
        zstd = [programs.find_program("zstd"), "-19", "-q", "-c"]
        subprocess.run(zstd, input=archive, stdout=out, check=True)


def make(root: Path, board: Board, work: Path, target: Path, epoch: int) -> None:
    """Make the RAM disk for a root file system."""
    lay_out(root, board, work)
    pack(work, target, epoch)
