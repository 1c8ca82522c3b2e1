# SPDX-License-Identifier: GPL-3.0-or-later
"""A place with two roots, and canaries around them that nobody may read, change or name.

It lies on file systems of its own, which note every read (`strictatime`) and are soon full. Who
makes it needs a mount namespace of its own.
"""

import hashlib
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

SECRET = b"canary 4f1c7a"
#: A size that nothing inside has.
_PECULIAR = 0x00D61B53
_TREE = ("secret.txt", "Card/secret.txt", "Card/Docs/secret.txt", "deep/deeper/secret.txt")
_OPTIONS = "size={},mode=755,strictatime"


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything lies below `base`."""

    base: Path

    @property
    def card(self) -> Path:
        """The first root, whose parent may be renamed."""
        return self.base / "above" / "Card"

    @property
    def stick(self) -> Path:
        """The second root, where a file system is mounted; what is below it is outside."""
        return self.base / "Stick"

    @property
    def stick_disk(self) -> Path:
        """Where that file system is to be found when it is not mounted there."""
        return self.base / "stick-disk"

    @property
    def stick_root(self) -> Path:
        """The folder on it that is mounted."""
        return self.stick_disk / "root"

    @property
    def outside(self) -> Path:
        return self.base / "outside"

    @property
    def other_disk(self) -> Path:
        """A disk of somebody else's, with canaries, to be mounted anywhere."""
        return self.base / "other-disk"

    @property
    def gone(self) -> Path:
        """Where folders are moved out of the roots."""
        return self.base / "gone"

    @property
    def mount_points(self) -> tuple[Path, ...]:
        return self.base, self.stick, self.stick_disk, self.other_disk

    def make(self) -> None:
        """Mount and fill all of it."""
        _mount_new(self.base, "12m")
        for each in (self.card, self.gone, self.stick):
            each.mkdir(parents=True)
        for disk in (self.stick_disk, self.other_disk):
            disk.mkdir()
            _mount_new(disk, "6m")
        self.stick_root.mkdir()
        for canaries in (self.outside, self.other_disk, self.stick):
            _plant(canaries)
        self.mount_stick()

    def mount_stick(self) -> None:
        run("mount", "--bind", str(self.stick_root), str(self.stick))

    def unmount_stick(self) -> None:
        """Take the disk away, used or not."""
        run("umount", "--lazy", str(self.stick))

    def look(self) -> dict[str, object]:
        """Describe all canaries, to be compared; the stick must not be mounted."""
        canaries = (self.outside, self.other_disk, self.stick)
        return {str(each): seen for top in canaries for each, seen in _look(top).items()}


def look_at_gone(folder: Path) -> dict[Path, object]:
    """Describe what was moved out: whoever reads in it does no harm."""
    return {each: seen[:-1] for each, seen in _look(folder).items()}


def run(*argv: str) -> None:
    subprocess.run(argv, stdin=subprocess.DEVNULL, check=True, capture_output=True)


def _mount_new(place: Path, size: str) -> None:
    run("mount", "-t", "tmpfs", "-o", _OPTIONS.format(size), "none", str(place))


def _plant(top: Path) -> None:
    for name in _TREE:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SECRET + b" in " + os.fsencode(path))
    with (top / "peculiar").open("wb") as file:
        file.truncate(_PECULIAR)
    (top / SECRET.decode()).mkdir()


def _look(top: Path) -> dict[Path, tuple[object, ...]]:
    """Describe a tree by what changes when it is read, written or listed; without reading it."""
    found: dict[Path, tuple[object, ...]] = {}
    pending = [top]
    while pending:
        path = pending.pop()
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            names = _names(path)
            pending += [path / name for name in names]
            content: object = sorted(names)
        else:
            content = _digest(path) if status.st_size < 1 << 20 else ""
        looks = (status.st_mode, status.st_size, status.st_ino, status.st_nlink)
        found[path] = (*looks, content, status.st_mtime_ns, status.st_atime_ns)
    return found


def _names(folder: Path) -> list[str]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME)
    try:
        return os.listdir(fd)  # noqa: PTH208 - a descriptor
    finally:
        os.close(fd)


def _digest(path: Path) -> str:
    if not path.is_file() or path.is_symlink():
        return ""
    fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor
        return hashlib.sha256(file.read()).hexdigest()


def is_told(data: bytes) -> bool:
    """Whether an answer tells of a canary: its content, name, or size."""
    told = (SECRET, SECRET.decode().encode("utf-16-le"), _PECULIAR.to_bytes(4, "little"))
    return any(each in data for each in told)
