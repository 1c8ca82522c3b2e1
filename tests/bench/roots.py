# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Python for other processors, unpacked and never installed: what emulation runs.

A fixed Python makes counts comparable, whatever Python and processor this machine has.
"""

import gzip
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.vm.image import PROJECT, GuestError, cache_folder

_PACKAGES = ("python3", "python3-pyinotify", "python3-tomlkit")
#: The adapter of FunctionFS, as pyproject.toml pins it.
_FROM_PIP = ("functionfs==0.9.2", "libaio>=0.9.4", "ioctl-opt>=1.3")


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor to emulate: QEMU's words, Debian's words, and its Python's name there."""

    name: str
    emulator: tuple[str, ...]
    architecture: str
    suite: str
    python: str
    libaio: str

    @property
    def folder(self) -> Path:
        """Where its root is kept."""
        return cache_folder().with_name("roots") / f"{self.suite}-{self.architecture}"


#: armel is what Debian has for ARMv6; its last whole release is Debian 12.
PROCESSORS = {
    each.name: each
    for each in (
        Processor(
            "x86-64", ("qemu-x86_64", "-cpu", "qemu64"), "amd64", "trixie", "3.13", "libaio1t64"
        ),
        Processor(
            "arm64", ("qemu-aarch64", "-cpu", "cortex-a53"), "arm64", "trixie", "3.13", "libaio1t64"
        ),
        Processor("ARMv6", ("qemu-arm", "-cpu", "arm1176"), "armel", "bookworm", "3.11", "libaio1"),
    )
}


def get(processor: Processor) -> Path:
    """Give the root with its Python; made first if it is not there. GuestError: what is missing."""
    root = processor.folder
    if not (root / "complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        _unpack(processor, root)
        (root / "complete").touch()
    return root


def version(root: Path) -> str:
    """Version of the root's Python, as Debian numbers it."""
    (changes,) = (root / "usr/share/doc").glob("libpython3.*-minimal/changelog.Debian.gz")
    with gzip.open(changes, "rt") as lines:
        return next(lines).partition("(")[2].partition(")")[0]


def _unpack(processor: Processor, root: Path) -> None:
    mirror = os.environ.get("MTP_APPLIANCE_MIRROR")
    print(f"Unpacking Debian's Python for {processor.name} ...", file=sys.stderr, flush=True)
    _run(
        *("mmdebstrap", "--quiet", "--variant=extract"),
        f"--architectures={processor.architecture}",
        f"--include={','.join((*_PACKAGES, processor.libaio))}",
        *(processor.suite, str(root), *([mirror] if mirror else [])),
    )
    for name in ("lib", "lib64"):
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    site = root / f"usr/local/lib/python{processor.python}/dist-packages"
    _run(sys.executable, "-m", "pip", "install", "-q", "--target", str(site), *_FROM_PIP)


def _run(*argv: str) -> None:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False, cwd=PROJECT)
    except FileNotFoundError:
        raise GuestError(f"{argv[0]} is missing: apt install {argv[0]}") from None
    if done.returncode:
        raise GuestError(f"{argv[0]} failed with exit status {done.returncode}")
