# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that show the device as a file system (FUSE); what is done with it is done by Python."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.clients.driver import ClientError, run, split

#: How the folders are named where the tests mount a device.
MOUNT_PREFIX = "mtp-client-"
_PATIENCE = 180.0


class FileSystem:
    """Mounted anew for each call, so that nothing is answered from an earlier one's cache."""

    name: str
    abilities: frozenset[str]

    def _start(self, point: Path) -> None:
        """Start the program; it may go into the background."""
        run(self.name, point)

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        """Mount the device; the folder of its first storage."""
        point = Path(tempfile.mkdtemp(prefix=MOUNT_PREFIX))
        self._start(point)
        try:
            storages = sorted(point.iterdir())
            if not storages:
                raise ClientError(f"{self.name} shows no storage")
            yield storages[0]
        finally:
            run("fusermount", "-u", point)
            _wait_for_end(point)
            point.rmdir()

    def detect(self) -> str:
        with self.mounted() as root:
            return root.name

    def names(self, folder: str) -> set[str]:
        with self.mounted() as root:
            return {each.name for each in (root / folder).iterdir()}

    def sizes(self, folder: str) -> dict[str, int]:
        with self.mounted() as root:
            files = [each for each in (root / folder).iterdir() if each.is_file()]
            return {each.name: each.stat().st_size for each in files}

    def get(self, path: str, target: Path) -> None:
        with self.mounted() as root:
            try:
                shutil.copyfile(root / path, target)
            except OSError as error:
                raise ClientError(str(error)) from error

    def put(self, source: Path, folder: str) -> None:
        with self.mounted() as root:
            shutil.copyfile(source, root / folder / source.name)

    def mkdir(self, path: str) -> None:
        with self.mounted() as root:
            (root / path).mkdir()

    def rename(self, path: str, name: str) -> None:
        with self.mounted() as root:
            (root / path).rename((root / path).with_name(name))

    def move(self, path: str, folder: str) -> None:
        with self.mounted() as root:
            shutil.move(root / path, root / folder / split(path)[1])

    def delete(self, path: str) -> None:
        with self.mounted() as root:
            target = root / path
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink()


class Jmtpfs(FileSystem):
    """libmtp under FUSE."""

    name = "jmtpfs"
    abilities = frozenset(
        {"file system", "rename", "move", "get empty", "put empty", "emoji", "sizes"}
    )

    def detect(self) -> str:
        output = run("jmtpfs", "-l")
        if "0x0104, 0x1d6b" not in output:  # the names come from a table of libmtp's
            raise ClientError(output)
        return super().detect()


class GoMtpfs(FileSystem):
    """An implementation of its own.

    It renames in place only, sends no empty file, and garbles emoji.
    """

    name = "go-mtpfs"
    abilities = frozenset({"file system", "rename", "get empty", "sizes"})

    def _start(self, point: Path) -> None:
        log = point.with_suffix(".log")
        run("sh", "-c", 'go-mtpfs "$1" >"$2" 2>&1 &', "sh", point, log)
        deadline = time.monotonic() + _PATIENCE
        while not point.is_mount():
            if time.monotonic() > deadline or not _serving(point):
                raise ClientError(log.read_text())
            time.sleep(0.02)


class AftMount(FileSystem):
    """android-file-transfer as a file system; it changes files in place. It garbles emoji."""

    name = "aft-mtp-mount"
    abilities = frozenset(
        {"file system", "rename", "move", "get empty", "put empty", "sizes", "edit"}
    )


def _wait_for_end(point: Path) -> None:
    """Wait until the program that had the device at `point` has let go of it."""
    deadline = time.monotonic() + _PATIENCE
    while _serving(point):
        if time.monotonic() > deadline:
            raise ClientError(f"what was mounted at {point} does not end")
        time.sleep(0.02)


def _serving(point: Path) -> bool:
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if bytes(point) in command.read_bytes().split(b"\0"):
                return True
    return False
