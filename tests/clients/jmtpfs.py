# SPDX-License-Identifier: GPL-3.0-or-later
"""jmtpfs: the device as a file system (libmtp under FUSE)."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.clients.driver import ClientError, run, split


class Jmtpfs:
    """Mounted anew for each call, so that nothing is answered from an earlier one's cache."""

    name = "jmtpfs"
    abilities = frozenset({"rename", "move", "get empty", "put empty", "emoji", "sizes"})

    @contextlib.contextmanager
    def _mounted(self) -> Iterator[Path]:
        point = Path(tempfile.mkdtemp(prefix="jmtpfs-"))
        run("jmtpfs", point)
        try:
            storages = sorted(point.iterdir())
            if not storages:
                raise ClientError("jmtpfs shows no storage")
            yield storages[0]
        finally:
            run("fusermount", "-u", point)
            point.rmdir()

    def detect(self) -> str:
        output = run("jmtpfs", "-l")
        if "0x0104, 0x1d6b" not in output:  # the names come from a table of libmtp's
            raise ClientError(output)
        with self._mounted() as root:
            return root.name

    def names(self, folder: str) -> set[str]:
        with self._mounted() as root:
            return {each.name for each in (root / folder).iterdir()}

    def sizes(self, folder: str) -> dict[str, int]:
        with self._mounted() as root:
            files = [each for each in (root / folder).iterdir() if each.is_file()]
            return {each.name: each.stat().st_size for each in files}

    def get(self, path: str, target: Path) -> None:
        with self._mounted() as root:
            try:
                shutil.copyfile(root / path, target)
            except OSError as error:
                raise ClientError(str(error)) from error

    def put(self, source: Path, folder: str) -> None:
        with self._mounted() as root:
            shutil.copyfile(source, root / folder / source.name)

    def mkdir(self, path: str) -> None:
        with self._mounted() as root:
            (root / path).mkdir()

    def rename(self, path: str, name: str) -> None:
        with self._mounted() as root:
            (root / path).rename((root / path).with_name(name))

    def move(self, path: str, folder: str) -> None:
        with self._mounted() as root:
            (root / path).rename(root / folder / split(path)[1])

    def delete(self, path: str) -> None:
        with self._mounted() as root:
            target = root / path
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink()
