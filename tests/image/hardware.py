# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of QEMU's that the images are booted on, one for each board; a table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine, and the ways into it.

    Words for QEMU: `machine`; `card`, the drive that holds the image; `pc`, the device that the
    PC's disk is. `card_device` and `pc_device` are their names inside; `modules` reach the PC's
    disk. `tree` is the device tree on the boot partition, and `model` what the board's firmware
    would write into it; empty where QEMU makes its own. `line`: more for the kernel.
    """

    program: str
    machine: tuple[str, ...]
    card: tuple[str, ...]
    card_device: str
    pc: str
    pc_device: str
    modules: tuple[str, ...] = ()
    tree: str = ""
    model: str = ""
    line: str = ""


HARDWARE = {
    # QEMU has no board that is a USB device, so it is its own machine, and dummy_hcd.
    "zero2w": Hardware(
        program="qemu-system-aarch64",
        machine=("-M", "virt", "-cpu", "cortex-a53", "-smp", "1", "-m", "512"),
        card=(
            "-drive",
            "file=FILE,format=raw,if=none,id=card",
            "-device",
            "virtio-blk-pci,drive=card",
        ),
        card_device="/dev/vda",
        pc="virtio-blk-pci",
        pc_device="/dev/vdb",
    ),
    # The board itself, with the image as its SD card. Its USB port is a host only, the PC's disk
    # is plugged into it; the device is at dummy_hcd here too. QEMU has no registers for the power
    # of the chip's parts, and the kernel would end at them; its watchdog bites when it is started.
    "zero": Hardware(
        program="qemu-system-arm",
        machine=("-M", "raspi0"),
        card=("-drive", "file=FILE,format=raw,if=sd"),
        card_device="/dev/mmcblk0",
        pc="usb-storage",
        pc_device="/dev/sda",
        modules=("usb-storage", "sd_mod"),
        tree="bcm2835-rpi-zero.dtb",
        model="Raspberry Pi Zero Rev 1.3",
        line="initcall_blacklist=bcm2835_power_driver_init systemd.watchdog_device=/dev/none",
    ),
}
