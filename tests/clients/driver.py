# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test asks of any client, in words that all of them have.

Paths are relative to the first storage, with "/" between components, "" for its root.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol


class ClientError(AssertionError):
    """A client said no, or could not be started."""


class Driver(Protocol):
    """A client program."""

    name: str
    #: What it can do besides listing, getting, putting, making folders and deleting.
    abilities: frozenset[str]

    def detect(self) -> str:
        """Find the device; what the client says about it."""
        ...

    def names(self, folder: str) -> set[str]:
        """List a folder."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """List the files in a folder with their sizes in bytes; for who is able to (`sizes`)."""
        ...

    def get(self, path: str, target: Path) -> None:
        """Download a file."""
        ...

    def put(self, source: Path, folder: str) -> None:
        """Upload a file under its own name."""
        ...

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        ...

    def rename(self, path: str, name: str) -> None:
        """Rename a file or folder in its place."""
        ...

    def move(self, path: str, folder: str) -> None:
        """Move a file into a folder."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all in it."""
        ...


class MediaDriver(Driver, Protocol):
    """A client that knows thumbnails (`thumbnails`), or playlists too (`playlists`)."""

    def thumbnail(self, path: str, target: Path) -> None:
        """Download a picture's thumbnail."""
        ...

    def make_playlist(self, name: str, paths: list[str]) -> None:
        """Make a playlist in the root."""
        ...

    def playlists(self) -> dict[str, list[str]]:
        """List the playlists by name, with the names of what they refer to."""
        ...


#: Where the programs come from, for the message where one is missing.
PACKAGES = {
    "gphoto2": "gphoto2",
    "mtp-detect": "mtp-tools",
    "jmtpfs": "jmtpfs",
    "aft-mtp-cli": "android-file-transfer",
    "aft-mtp-mount": "android-file-transfer",
    "fusermount": "fuse3",
    "gio": "libglib2.0-bin",
}


def run(
    *argv: str | Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
    timeout: float = 1200,
) -> str:
    """Run a client program to its end; its output. Fails loudly where it is missing or fails."""
    program = str(argv[0])
    if shutil.which(program) is None:
        raise ClientError(f"{program} is missing: apt install {PACKAGES.get(program, program)}")
    done = subprocess.run(
        [str(each) for each in argv],
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        words = " ".join(str(each) for each in argv)
        raise ClientError(f"{words}: exit status {done.returncode}\n{output}")
    return output


def split(path: str) -> tuple[str, str]:
    """Folder and name of a path."""
    folder, _, name = path.rpartition("/")
    return folder, name
