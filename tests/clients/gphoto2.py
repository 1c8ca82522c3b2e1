# SPDX-License-Identifier: GPL-3.0-or-later
"""gphoto2, over USB or PTP/IP."""

import re
from pathlib import Path

from tests.clients.driver import run, split

_FILE = re.compile(r"^#\d+\s+(.*?)\s+(?:rd|r-|-d|--)\s+(\d+) KB", re.MULTILINE)
_FOLDER = re.compile(r"^ - (.*)$", re.MULTILINE)


class Gphoto2:
    """Sizes are shown in KB only, so none is told. Renaming and moving it does not know."""

    abilities: frozenset[str] = frozenset()

    def __init__(self, port: str | None = None) -> None:
        self.name = "gphoto2"
        self._options: tuple[str, ...] = ("--quiet",)
        if port is not None:
            self._options += ("--port", port, "--camera", "PTP/IP Camera")

    def _run(self, *argv: str, cwd: Path | None = None) -> str:
        return run("gphoto2", *self._options, *argv, cwd=cwd)

    @staticmethod
    def _folder(path: str) -> tuple[str, str]:
        return "--folder", "/store_00010001/" + path if path else "/store_00010001"

    def detect(self) -> str:
        return self._run("--summary")

    def list(self, folder: str) -> dict[str, int | None]:
        files = self._run(*self._folder(folder), "--no-recurse", "--list-files")
        folders = self._run(*self._folder(folder), "--no-recurse", "--list-folders")
        names = [match[1] for match in _FILE.finditer(files)] + _FOLDER.findall(folders)
        return dict.fromkeys(names)

    def get(self, path: str, target: Path) -> None:
        folder, name = split(path)
        options = ("--get-file", name, "--filename", str(target), "--force-overwrite")
        self._run(*self._folder(folder), *options)

    def put(self, source: Path, folder: str) -> None:
        # A source that is a path makes gphoto2 take the whole path for the name.
        self._run(*self._folder(folder), "--upload-file", f"./{source.name}", cwd=source.parent)

    def mkdir(self, path: str) -> None:
        folder, name = split(path)
        self._run(*self._folder(folder), "--mkdir", name)

    def rename(self, path: str, name: str) -> None:
        raise AssertionError("gphoto2 cannot rename")

    def move(self, path: str, folder: str) -> None:
        raise AssertionError("gphoto2 cannot move")

    def delete(self, path: str) -> None:
        folder, name = split(path)
        is_file = name in {match[1] for match in _FILE.finditer(self._files(folder))}
        self._run(*self._folder(folder), "--delete-file" if is_file else "--rmdir", name)

    def _files(self, folder: str) -> str:
        return self._run(*self._folder(folder), "--no-recurse", "--list-files")
