# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the programs that making an image takes, and says where they come from."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from appliance.errors import ApplianceError

#: Programs and the Debian packages that have them.
PACKAGES = {
    "bmaptool": "bmap-tools",
    "cpio": "cpio",
    "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "dtc": "device-tree-compiler",
    "fdtput": "device-tree-compiler",
    "mcopy": "mtools",
    "mdir": "mtools",
    "mtype": "mtools",
    "mke2fs": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mksquashfs": "squashfs-tools",
    "mmdebstrap": "mmdebstrap",
    "modprobe": "kmod",
    "depmod": "kmod",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-x86_64": "qemu-system-x86",
    "sfdisk": "fdisk",
    "unsquashfs": "squashfs-tools",
    "virt-xml-validate": "libvirt-clients",
    "xz": "xz-utils",
    "zstd": "zstd",
}


def find_program(name: str) -> str:
    """Find a program; the error says how to get it."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        package = PACKAGES.get(name, name)
        raise ApplianceError(f"{name} is missing", hint=f"apt install {package}")
    return found


def run(name: str, *arguments: str | Path, **settings: str) -> None:
    """Run a program; ApplianceError where it fails. `settings` are for its environment."""
    call([find_program(name), *map(str, arguments)], settings)


def call(argv: Sequence[str], settings: Mapping[str, str] | None = None) -> None:
    """Run a command line, which says by itself what it does not like."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, env=os.environ | dict(settings or {}), check=False
    )
    if done.returncode != 0:
        raise ApplianceError(f"{argv[0]} failed with exit status {done.returncode}")


def ask(name: str, *arguments: str | Path, text: str = "") -> str:
    """Run a program with `text` at its input; what it prints."""
    argv = [find_program(name), *map(str, arguments)]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ApplianceError(f"{name} failed: {done.stderr.strip()[-400:]}")
    return done.stdout


def write_output(target: Path, name: str, *arguments: str | Path) -> None:
    """Run a program that prints a file."""
    argv = [find_program(name), *map(str, arguments)]
    with target.open("wb") as out:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, check=False)
    if done.returncode != 0:
        raise ApplianceError(f"{name} failed with exit status {done.returncode}")
