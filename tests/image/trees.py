# SPDX-License-Identifier: GPL-3.0-or-later
"""A root file system as small as what makes an image of it allows."""

import os
from pathlib import Path

from image.boards import Board
from image.programs import ask

VERSION = "6.12.1-test"
_DEVICE_TREE = """/dts-v1/;
/ { model = "A board"; soc { usb@7e980000 { dr_mode = "host"; }; };
leds { led-act { linux,default-trigger = "heartbeat"; }; }; };
"""
_STATUS = """Package: {name}
Status: install ok installed
Architecture: arm64
Source: sources (2)
Version: 1:2.0+dfsg-3

"""


def make_root(root: Path, board: Board) -> Path:
    """Make it; nothing in it runs."""
    files = {
        f"boot/vmlinuz-{VERSION}": "kernel",
        f"boot/config-{VERSION}": "CONFIG=y",
        "etc/passwd": f"mtp-appliance:x:{os.getuid()}:{os.getgid()}::/:/no\n",
        "etc/machine-id": "uninitialized\n",
        f"usr/lib/modules/{VERSION}/modules.order": "",
        f"usr/lib/modules/{VERSION}/modules.builtin": "",
        "usr/bin/busybox": "not really",
        "usr/share/doc/raspi-firmware/copyright": "may be used",
        "usr/share/mtp-appliance/dpkg-status": _STATUS.format(name="python3"),
        "usr/share/mtp-appliance/unpacked": _STATUS.format(name="linux-image"),
        "var/lib/mtp-appliance-settings/settings.toml": "version = 1\n",
        "var/log/empty": "",
    }
    for name in ("bootcode.bin", "start.elf", "fixup.dat", "start_cd.elf", "fixup_cd.dat"):
        files[f"usr/lib/raspi-firmware/{name}"] = name * 100
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    trees = root / f"usr/lib/linux-image-{VERSION}/broadcom"
    trees.mkdir(parents=True)
    for name in board.device_trees:
        ask("dtc", "-q", "-O", "dtb", "-o", trees / name, "-", text=_DEVICE_TREE)
    return root
