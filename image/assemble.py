# SPDX-License-Identifier: GPL-3.0-or-later
"""From a root file system that the recipe has been carried out on to an image, mounting nothing."""

import os
import shutil
from pathlib import Path

import appliance
from appliance.errors import ApplianceError
from image import boot_files, filesystems, initrd, layout, origins, programs
from image.boards import Board
from image.root import kernel_version

_SETTINGS = Path(__file__).parent.parent / "overlay/boot/firmware/mtp-appliance.toml"


def assemble(root: Path, board: Board, target: Path, work: Path, epoch: int) -> layout.Layout:
    """Make the image `target` of the tree `root`, which it changes; `work` is for scraps."""
    os.umask(0o022)
    boot = work / "boot"
    fill_boot(root, board, boot, work / "initrd", epoch)
    state = work / "state"
    split(root, state)
    for tree in (root, state, boot):
        settle_times(tree, epoch)
    filesystems.make_squashfs(work / "root.img", root, epoch)
    plan = layout.plan((work / "root.img").stat().st_size)
    sizes = {each.name: each.size for each in plan.partitions}
    filesystems.make_fat(work / "boot.img", boot, sizes["boot"], "MTPBOOT")
    wanted = filesystems.Ext4("mtp-state", 3, sizes["state"])
    filesystems.make_ext4(work / "state.img", wanted, state, epoch)
    make_share(root, work, sizes["share"], epoch)
    write(plan, work, target)
    return plan


def make_share(root: Path, work: Path, size: int, epoch: int) -> None:
    """Make the share: empty, the responder's."""
    tree = work / "share"
    tree.mkdir()
    settle_times(tree, epoch)
    wanted = filesystems.Ext4(
        label="mtp-share",
        number=4,
        size=size,
        grows=True,
        owner=owner(root, "mtp-appliance"),
        mode=0o2775,
        errors="remount-ro",
    )
    filesystems.make_ext4(work / "share.img", wanted, tree, epoch)


def owner(root: Path, name: str) -> tuple[int, int]:
    """Look up a user of that system."""
    for line in (root / "etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2]), int(fields[3])
    raise ApplianceError(f"the root file system has no user {name}")


def write(plan: layout.Layout, work: Path, target: Path) -> None:
    """Write table and file systems into one file."""
    with target.open("wb") as file:
        file.truncate(plan.size)
    programs.ask("sfdisk", "--quiet", target, text=layout.sfdisk_script(plan))
    for each in plan.partitions:
        filesystems.write_at(target, work / f"{each.name}.img", each.start)


def split(root: Path, state: Path) -> None:
    """Copy what /var begins as; the root keeps its own, for a start without that partition."""
    programs.call(["cp", "-a", str(root / "var"), str(state)])


def fill_boot(root: Path, board: Board, boot: Path, scratch: Path, epoch: int) -> None:
    """Fill the boot partition: firmware, kernel, RAM disk, settings, words for people."""
    boot.mkdir()
    version = kernel_version(root, board)
    origin = origins.find(root, board, version)
    origin.fill(boot)
    initrd.make(root, board, scratch, boot / "initrd.img", epoch)
    (boot / "config.txt").write_text(boot_files.config_text(board, origin.config))
    (boot / "cmdline.txt").write_text(boot_files.command_line())
    readme = boot_files.readme_text(board, appliance.__version__)
    (boot / "README.txt").write_text(readme, newline="")
    shutil.copyfile(_SETTINGS, boot / "mtp-appliance.toml")
    for each in ("boot", "usr/lib/raspi-firmware", f"usr/lib/linux-image-{version}"):
        shutil.rmtree(root / each, ignore_errors=True)
    (root / "boot/firmware").mkdir(parents=True)


def settle_times(tree: Path, epoch: int) -> None:
    """Give all that is newer than the date of the build that date."""
    for each in (tree, *tree.rglob("*")):
        if each.lstat().st_mtime > epoch:
            os.utime(each, (epoch, epoch), follow_symlinks=False)
