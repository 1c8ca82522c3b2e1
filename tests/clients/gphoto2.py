# SPDX-License-Identifier: GPL-3.0-or-later
"""gphoto2, over USB or PTP/IP."""

from pathlib import Path

from tests.clients.driver import run, split


class Gphoto2:
    """It tells no sizes, cannot rename or move, fetches no empty files, and shows `?` for emoji.

    What it uploads over a file replaces that: it deletes nothing before, as other clients do.

    Over USB it gives up an empty file between the command to take it and the data.
    """

    abilities: frozenset[str] = frozenset({"thumbnails", "crowd", "replace"})

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

    def names(self, folder: str) -> set[str]:
        return self._list(folder, "--list-files", "--list-folders")

    def sizes(self, folder: str) -> dict[str, int]:
        raise AssertionError("gphoto2 shows kilobytes only")

    def _list(self, folder: str, *what: str) -> set[str]:
        lines = self._run(*self._folder(folder), "--no-recurse", *what).splitlines()
        return {line.rpartition("/")[2] for line in lines if line.startswith("/")}

    def get(self, path: str, target: Path) -> None:
        folder, name = split(path)
        options = ("--get-file", name, "--filename", str(target), "--force-overwrite")
        # It keeps what has come so far in the folder where it is started.
        self._run(*self._folder(folder), *options, cwd=target.parent)

    def thumbnail(self, path: str, target: Path) -> None:
        folder, name = split(path)
        options = ("--get-thumbnail", name, "--filename", target.name, "--force-overwrite")
        self._run(*self._folder(folder), *options, cwd=target.parent)
        # It calls the file after the picture's format, whatever it is told.
        written = target.with_name(f"thumb_{target.stem}{Path(name).suffix}")
        written.rename(target)

    def make_playlist(self, name: str, paths: list[str]) -> None:
        raise AssertionError("gphoto2 knows no playlists")

    def playlists(self) -> dict[str, list[str]]:
        raise AssertionError("gphoto2 knows no playlists")

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
        is_file = name in self._list(folder, "--list-files")
        self._run(*self._folder(folder), "--delete-file" if is_file else "--rmdir", name)


class Gphoto2PtpIp(Gphoto2):
    """Over TCP it can upload an empty file."""

    abilities = frozenset({"put empty", "thumbnails", "crowd", "replace"})
