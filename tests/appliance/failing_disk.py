# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of the virtual Pi that fails on demand: a file in memory, below the device mapper."""

from pathlib import Path

from tests.appliance.units import run

_NAME = "failing"
_DEVICE = f"/dev/mapper/{_NAME}"
_SIZE = 48 << 20
_SECTORS = _SIZE // 512
#: Seconds: for as long as any test takes.
_HOURS = 36_000


class FailingDisk:
    """An ext4 mounted at `place`, for everybody."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._image = Path("/run/failing-disk")

    def make(self) -> None:
        """Make and mount it."""
        with self._image.open("wb") as file:
            file.truncate(_SIZE)
        run("modprobe", "-a", "loop", "dm_mod", "dm_flakey")
        self._loop = run("losetup", "--find", "--show", str(self._image)).strip()
        run("dmsetup", "create", _NAME, "--table", self._whole())
        # What the kernel would write some time later, it would write to a disk that fails.
        run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", _DEVICE)
        self.place.mkdir()
        run("mount", _DEVICE, str(self.place))
        self.place.chmod(0o777)

    def remove(self) -> None:
        """Unmount and forget it."""
        run("umount", "--lazy", str(self.place))
        run("dmsetup", "remove", "--retry", "--deferred", _NAME)
        run("losetup", "--detach", self._loop)
        self._image.unlink()
        self.place.rmdir()

    def fail(self) -> None:
        """Let all fail, what is remembered too; nothing waits to be written."""
        run("sync", "--file-system", str(self.place))
        self._load(f"0 {_SECTORS} error")
        Path("/proc/sys/vm/drop_caches").write_text("3\n")

    def fail_writes(self) -> None:
        """Let each write from now on end in an error."""
        self._load(f"0 {_SECTORS} flakey {self._loop} 0 0 {_HOURS} 1 error_writes")

    def heal(self) -> None:
        """Let it work again, all but an ext4 that could not write its journal: see `start_anew`."""
        self._load(self._whole())

    def start_anew(self) -> None:
        """Let it work again, and mount it as the next start does; nobody may hold it."""
        run("umount", str(self.place))
        self.heal()
        run("mount", _DEVICE, str(self.place))

    def _whole(self) -> str:
        return f"0 {_SECTORS} linear {self._loop} 0"

    @staticmethod
    def _load(table: str) -> None:
        run("dmsetup", "suspend", "--nolockfs", "--noflush", _NAME)
        run("dmsetup", "reload", _NAME, "--table", table)
        run("dmsetup", "resume", _NAME)
