# SPDX-License-Identifier: GPL-3.0-or-later
"""The boards that there are images for."""

from dataclasses import dataclass

from appliance.errors import ApplianceError


@dataclass(frozen=True, slots=True)
class Board:
    """A board: what it is called, and what its firmware, its kernel and QEMU want.

    `kernel_file` is what the firmware of this board takes for its processor's; on the other board
    config.txt names none that is there (image/boot_files.py). `raspberry_…`: in Raspberry Pi OS.
    """

    name: str
    title: str
    models: tuple[str, ...]
    architecture: str
    kernel_package: str
    kernel_file: str
    device_trees: tuple[str, ...]
    raspberry_kernel: str
    raspberry_trees: tuple[str, ...]
    config: tuple[str, ...] = ()


BOARDS = {
    board.name: board
    for board in (
        Board(
            name="zero",
            title="Raspberry Pi Zero and Zero W",
            models=("Raspberry Pi Zero Rev", "Raspberry Pi Zero W"),
            architecture="armel",
            kernel_package="linux-image-rpi",
            kernel_file="kernel.img",
            device_trees=("bcm2835-rpi-zero.dtb", "bcm2835-rpi-zero-w.dtb"),
            raspberry_kernel="rpi-v6",
            raspberry_trees=("bcm2708-rpi-zero.dtb", "bcm2708-rpi-zero-w.dtb"),
        ),
        Board(
            name="zero2w",
            title="Raspberry Pi Zero 2 W",
            models=("Raspberry Pi Zero 2",),
            architecture="arm64",
            kernel_package="linux-image-arm64",
            kernel_file="kernel8.img",
            device_trees=("bcm2837-rpi-zero-2-w.dtb",),
            raspberry_kernel="rpi-v8",
            raspberry_trees=("bcm2710-rpi-zero-2.dtb", "bcm2710-rpi-zero-2-w.dtb"),
            config=("arm_64bit=1",),
        ),
    )
}


def find_board(name: str) -> Board:
    """Find a board by its name."""
    if name not in BOARDS:
        raise ApplianceError(f"no board {name!r}", hint=f"there are {', '.join(BOARDS)}")
    return BOARDS[name]
