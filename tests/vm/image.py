# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the guest's disk, kernel and initial RAM disk once, and keeps them in a cache."""

import importlib.metadata
import os
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError
from image import cache, programs

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
SUITE = "trixie"

#: Bytes of the disk; the file is sparse, and what a run writes lives as long as the run.
_DISK_SIZE = 12 << 30
#: Fixed, so that the image depends on what is in it only.
_FILESYSTEM_UUID = "6d747000-0000-4000-8000-000000000001"
_INITRD_MODULES = ("virtio_pci", "virtio_blk", "ext4", "9p", "9pnet_virtio")
_SITE_PACKAGES = "usr/local/lib/python3.13/dist-packages"

#: The programs that making the guest's disk needs.
_PROGRAMS = ("qemu-system-x86_64", "mmdebstrap", "mke2fs")


class GuestError(ApplianceError):
    """The virtual Pi cannot be made or started; says what to do."""


@dataclass(frozen=True, slots=True)
class Image:
    """What QEMU is given."""

    kernel: Path
    initrd: Path
    disk: Path


def find_program(name: str) -> str:
    """Find a program; the error says how to get it."""
    try:
        return programs.find_program(name)
    except ApplianceError as error:
        raise GuestError(error.message, hint=error.hint) from None


def cache_folder() -> Path:
    """Where images are kept."""
    return cache.cache_folder("vm")


def get(*, force: bool = False, mirror: str | None = None) -> Image:
    """Give the image for this state of the project; made first if it is not in the cache."""
    mirror = mirror or os.environ.get("MTP_APPLIANCE_MIRROR")
    folder = cache.get(
        cache_folder(),
        f"pi-{_key()}",
        lambda work: _make(work, mirror),
        force=force,
        forget=_forget,
    )
    return Image(folder / "vmlinuz", folder / "initrd", folder / "disk.img")


def clean() -> None:
    """Forget all images."""
    shutil.rmtree(cache_folder(), ignore_errors=True)


def _packages() -> list[str]:
    lines = (HERE / "packages.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _python_packages() -> list[str]:
    """What the guest's Python gets by pip: the project's USB extra, and this pytest."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    usb: list[str] = project["optional-dependencies"]["usb"]
    return [*usb, f"pytest=={importlib.metadata.version('pytest')}"]


def _key() -> str:
    parts = [*_packages(), *_python_packages(), Path(__file__).read_text()]
    parts.append((HERE / "init.sh").read_text())
    return cache.key(parts)


def _make(work: Path, mirror: str | None) -> None:
    for program in _PROGRAMS:
        find_program(program)
    print("Making the virtual Pi (a few minutes, once) ...", file=sys.stderr, flush=True)
    _install(work / "root", mirror)
    _pack(work)
    _as_root("rm", "-rf", str(work / "root"))


def _forget(work: Path) -> None:
    _as_root("rm", "-rf", str(work))


def _install(root: Path, mirror: str | None) -> None:
    modules = "\\n".join(_INITRD_MODULES)
    small_initrd = (
        'mkdir -p "$1/etc/initramfs-tools/conf.d"'
        ' && echo MODULES=list > "$1/etc/initramfs-tools/conf.d/small"'
        f' && printf "{modules}\\n" > "$1/etc/initramfs-tools/modules"'
        # Services of packages are not to start by themselves.
        ' && mkdir -p "$1/etc/systemd/system-preset"'
        ' && echo "disable *" > "$1/etc/systemd/system-preset/00-none.preset"'
    )
    pip = f"{sys.executable} -m pip install -q --no-compile --root-user-action=ignore --target"
    wanted = " ".join(f"'{each}'" for each in _python_packages())
    _run(
        find_program("mmdebstrap"),
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(_packages())}",
        '--aptopt=APT::Install-Recommends "false"',
        f"--essential-hook={small_initrd}",
        f'--customize-hook={pip} "$1/{_SITE_PACKAGES}" {wanted}',
        '--customize-hook=chroot "$1" python3 -m compileall -q -j 2 /usr/lib/python3 '
        f"/usr/lib/python3.13 /{_SITE_PACKAGES} || true",
        f'--customize-hook=install -m 755 "{HERE}/init.sh" "$1/usr/local/sbin/guest-init"',
        SUITE,
        str(root),
        *([mirror] if mirror else []),
    )


def _pack(work: Path) -> None:
    """Make the disk from the tree, without mounting anything."""
    root = work / "root"
    for name, target in (("vmlinuz", "vmlinuz"), ("initrd.img", "initrd")):
        newest = max((root / "boot").glob(f"{name}-*"))
        shutil.copyfile(newest, work / target)
    disk = work / "disk.img"
    with disk.open("wb") as file:
        file.truncate(_DISK_SIZE)
    _as_root(
        *(find_program("mke2fs"), "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum"),
        *("-U", _FILESYSTEM_UUID, "-d", str(root), str(disk)),
    )


def _as_root(*argv: str) -> None:
    """Run a command as the owner of the tree, which mmdebstrap maps for users other than root."""
    prefix = () if os.geteuid() == 0 else (find_program("mmdebstrap"), "--unshare-helper")
    _run(*prefix, *argv)


def _run(*argv: str) -> None:
    try:
        programs.call(argv)
    except ApplianceError as error:
        raise GuestError(error.message) from None
