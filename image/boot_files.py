# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person finds on the boot partition, and what the firmware reads there; pure text."""

from image.boards import Board

CONFIG = """\
# {title}: what the firmware does before Linux starts.
# A line wrong here, and nothing starts: https://www.raspberrypi.com/documentation/computers/config_txt.html
{lines}
"""

#: For a kernel of Debian's: its device trees take no overlays of Raspberry Pi OS, so what an
#: overlay would say is in the device tree itself (image/assemble.py).
DEBIAN_LINES = ("upstream_kernel=1", "os_prefix=")
#: For a kernel of Raspberry Pi OS.
RASPBERRY_LINES = (
    "dtoverlay=dwc2,dr_mode=peripheral",
    "dtparam=act_led_trigger=none",
    "dtparam=watchdog=on",
)

#: On no card: where the firmware is told to load it, ACT flashes seven times.
NO_KERNEL = "other-board.img"

#: No screen, no waiting. The UART stays off, so that GPIO 14 and 15 are free for LEDs.
_COMMON = (
    "initramfs initrd.img followkernel",
    "gpu_mem=16",
    "disable_splash=1",
    "boot_delay=0",
    "enable_uart=0",
)

#: No console on pins; `panic` and the watchdog start anew what hangs.
_COMMAND_LINE = (
    "console=tty1",
    "quiet",
    "loglevel=3",
    "panic=10",
    "net.ifnames=0",
    "systemd.show_status=no",
)

README = """\
MTP Appliance {version} for {title}

Eject this card, put it into the board, and connect the board's USB port (on a
Raspberry Pi Zero the one marked USB, not PWR IN) to a PC. It appears there as
a device with files. The first start takes no longer than others; meanwhile
and afterwards the space for files grows to the whole card.

mtp-appliance.toml         Settings. Edit them here on any PC, before the first
                           start or later; what is wrong with them is written
                           beside, into mtp-appliance-errors.txt.
mtp-appliance-log.txt      Appears where something else is wrong: with the
                           card, the board, the space.
reset-password             Make an empty file of this name, if the password of
                           the settings page is forgotten (also with an ending,
                           such as reset-password.txt).
config.txt, cmdline.txt    For the firmware and for Linux. Better left alone.

The light (ACT) flashes seven times, again and again: this card was made for
another board. The card for a Zero or Zero W does not start a Zero 2 W, nor
the other way round.

A shell, for who builds upon this: in config.txt say enable_uart=1, and add to
the line in cmdline.txt
    console=ttyS1,115200 systemd.debug_shell=ttyS1
(on a Zero without W ttyAMA0, with Raspberry Pi OS's kernel ttyS0). Then there
is a root shell at GPIO 14 and 15 (115200 baud). Nobody can log in in any other
way: root is locked, and there is no SSH.
"""


def config_text(board: Board, lines: tuple[str, ...] = DEBIAN_LINES) -> str:
    """Give config.txt; `lines` are what the kernel's origin asks for."""
    wanted = (*board.config, *_kernel_lines(board), *lines, *_COMMON)
    return CONFIG.format(title=board.title, lines="\n".join(wanted))


def _kernel_lines(board: Board) -> tuple[str, ...]:
    """Name the kernel for this board, and for the other one a file that is not there.

    A kernel that is named for all is loaded by any board. Spec: config.txt, "Model filters": `pi02`
    is the Zero 2 W, `all` every board; what is said last counts.
    """
    own, other = f"kernel={board.kernel_file}", f"kernel={NO_KERNEL}"
    on_zero, on_zero2w = (other, own) if board.name == "zero2w" else (own, other)
    return (on_zero, "[pi02]", on_zero2w, "[all]")


def command_line(extra: str = "") -> str:
    """Give the one line of cmdline.txt."""
    return " ".join((*_COMMAND_LINE, *extra.split())) + "\n"


def readme_text(board: Board, version: str) -> str:
    """Give README.txt, as any PC shows it."""
    return README.format(title=board.title, version=version).replace("\n", "\r\n")
