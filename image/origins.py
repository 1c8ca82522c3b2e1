# SPDX-License-Identifier: GPL-3.0-or-later
"""Where kernel and firmware come from, in a root file system: Debian, or Raspberry Pi OS."""

import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from appliance.errors import ApplianceError
from image import programs
from image.boards import Board
from image.boot_files import DEBIAN_LINES, RASPBERRY_LINES

_FIRMWARE = ("bootcode.bin", "start.elf", "fixup.dat", "start_cd.elf", "fixup_cd.dat")
#: Of all overlays, those that a maker of this appliance may want: dwc2 is ours.
_OVERLAYS = ("dwc2.dtbo", "disable-bt.dtbo", "gpio-led.dtbo", "overlay_map.dtb", "README")
_LICENCE = "usr/share/doc/raspi-firmware/copyright"


class Origin(Protocol):
    """Who the kernel is from."""

    @property
    def config(self) -> tuple[str, ...]:
        """Lines of config.txt that this kernel asks for."""
        ...

    def fill(self, boot: Path) -> None:
        """Copy kernel, device trees and firmware to the boot partition."""
        ...


@dataclass(frozen=True, slots=True)
class Debian:
    """Debian's kernel. Its device trees take no overlays, so they say themselves what is needed."""

    root: Path
    board: Board
    version: str
    config: tuple[str, ...] = DEBIAN_LINES

    def fill(self, boot: Path) -> None:
        """Copy; a kernel of 64 bits is not packed by itself, and the firmware unpacks gzip."""
        _copy(self.root / "usr/lib/raspi-firmware", boot, _FIRMWARE)
        shutil.copyfile(self.root / _LICENCE, boot / "LICENCE.broadcom")
        kernel = (self.root / "boot" / f"vmlinuz-{self.version}").read_bytes()
        packed = gzip.compress(kernel, 9, mtime=0) if self.board.architecture == "arm64" else kernel
        (boot / self.board.kernel_file).write_bytes(packed)
        for name in self.board.device_trees:
            source = next((self.root / f"usr/lib/linux-image-{self.version}").rglob(name))
            _copy_device_tree(source, boot / name)


@dataclass(frozen=True, slots=True)
class RaspberryPi:
    """Raspberry Pi OS's kernel, which its package has put on a boot partition already."""

    root: Path
    board: Board
    config: tuple[str, ...] = RASPBERRY_LINES

    def fill(self, boot: Path) -> None:
        """Copy what this board needs of it."""
        source = self.root / "boot/firmware"
        names = (*_FIRMWARE, "LICENCE.broadcom", self.board.kernel_file)
        _copy(source, boot, (*names, *self.board.raspberry_trees))
        (boot / "overlays").mkdir()
        there = tuple(name for name in _OVERLAYS if (source / "overlays" / name).exists())
        _copy(source / "overlays", boot / "overlays", there)


def find(root: Path, board: Board, version: str) -> Origin:
    """Say where a kernel is from."""
    return RaspberryPi(root, board) if "+rpt" in version else Debian(root, board, version)


def _copy(source: Path, target: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if not (source / name).exists():
            raise ApplianceError(f"the base has no {name}", hint=f"looked for in {source}")
        shutil.copyfile(source / name, target / name)


def _copy_device_tree(source: Path, target: Path) -> None:
    """Copy one, with the USB port as a device's, and the ACT LED free for us."""
    shutil.copyfile(source, target)
    programs.run("fdtput", "-t", "s", target, "/soc/usb@7e980000", "dr_mode", "peripheral")
    programs.run("fdtput", "-t", "s", target, "/leds/led-act", "linux,default-trigger", "none")
