# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe, carried out: a base root file system becomes the appliance."""

import os
import shutil
from pathlib import Path

from appliance.errors import ApplianceError
from image import programs
from image.boards import Board

HERE = Path(__file__).parent

#: Kernel modules that an image has, with those that they need. A kernel may have some built in.
MODULES = (
    # the card and its file systems
    *("mmc_block", "sdhci-iproc", "bcm2835", "ext4", "squashfs", "vfat", "exfat"),
    *("nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8"),
    # the gadget
    *("dwc2", "configfs", "libcomposite", "usb_f_fs", "usb_f_ncm", "usb_f_ecm", "usb_f_rndis"),
    # the board: LEDs, watchdog, random numbers, temperature, clock rate
    *("leds-gpio", "ledtrig-timer", "bcm2835_wdt", "bcm2835-rng", "bcm2835_thermal"),
    *("raspberrypi-hwmon", "raspberrypi-cpufreq"),
    # the network: systemd-networkd's DHCP server, Wi-Fi
    *("af_packet", "ipv6", "brcmfmac", "brcmfmac-wcc"),
    # what systemd asks for
    *("autofs4", "fuse"),
    # the same image in a virtual machine
    *("virtio_mmio", "virtio_pci", "virtio_blk", "virtio-rng", "qemu_fw_cfg"),
)
#: Of those, what is needed to reach the card, and the light.
START_MODULES = (
    *("mmc_block", "sdhci-iproc", "bcm2835", "bcm2835_wdt", "squashfs", "ext4", "vfat"),
    "leds-gpio",
    *(
        "nls_cp437",
        "nls_ascii",
        "nls_iso8859-1",
        "exfat",
        "virtio_mmio",
        "virtio_pci",
        "virtio_blk",
    ),
)
#: Firmware of the Wi-Fi chips of these boards.
_WIFI_FIRMWARE = ("brcmfmac43430", "brcmfmac43436", "cyfmac43430")


def unpack(archive: Path, root: Path) -> None:
    """Unpack a base."""
    root.mkdir(parents=True)
    programs.call(["tar", "-C", str(root), "--numeric-owner", "-xpf", str(archive)])


def cook(root: Path, board: Board, key: Path, packages: Path | None = None) -> None:
    """Carry out the recipe: the shell's part, then kernel modules and firmware.

    `key` is the public one whose updates the image takes.
    """
    settings = {"MTP_APPLIANCE_BOARD": board.name, "MTP_APPLIANCE_KEY": str(key)}
    if packages is not None:
        settings["MTP_APPLIANCE_PACKAGES"] = str(packages)
    programs.call(["sh", str(HERE / "recipe.sh"), str(root)], settings)
    prune_modules(root, kernel_version(root, board))
    prune_firmware(root)


def kernel_version(root: Path, board: Board) -> str:
    """Name the board's kernel; Raspberry Pi OS has one for each processor."""
    names = sorted(each.name for each in (root / "usr/lib/modules").iterdir())
    own = [name for name in names if name.endswith(board.raspberry_kernel)]
    return (own or names)[-1]


def module_files(root: Path, version: str, names: tuple[str, ...]) -> list[Path]:
    """Find the files of modules and of those that they need, in the order of loading."""
    found: dict[Path, None] = {}
    for name in names:
        for line in _dependencies(root, version, name).splitlines():
            word, _, rest = line.partition(" ")
            if word == "insmod":
                found[Path(rest.split()[0])] = None
    return list(found)


def _dependencies(root: Path, version: str, name: str) -> str:
    options = ("-d", root, "-S", version, "--show-depends", "--quiet")
    try:
        return programs.ask("modprobe", *options, name)
    except ApplianceError:
        return ""  # this kernel does not know it, or does without


def prune_modules(root: Path, version: str) -> None:
    """Remove all modules but those of the list, and other kernels'."""
    modules = root / "usr/lib/modules" / version
    for other in modules.parent.iterdir():
        if other != modules:
            shutil.rmtree(other)
    programs.run("depmod", "-b", root, version)
    kept = {os.path.realpath(each) for each in module_files(root, version, MODULES)}
    for each in modules.rglob("*.ko*"):
        if os.path.realpath(each) not in kept:
            each.unlink()
    _remove_empty(modules)
    programs.run("depmod", "-b", root, version)


def _remove_empty(folder: Path) -> None:
    for each in sorted(folder.rglob("*"), reverse=True):
        if each.is_dir() and not each.is_symlink() and not any(each.iterdir()):
            each.rmdir()


def prune_firmware(root: Path) -> None:
    """Remove all firmware of wireless chips but that of these boards."""
    for vendor in ("brcm", "cypress"):
        for each in (root / "usr/lib/firmware" / vendor).glob("*"):
            if not each.name.startswith(_WIFI_FIRMWARE):
                shutil.rmtree(each) if each.is_dir() else each.unlink()
