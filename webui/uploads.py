# SPDX-License-Identifier: GPL-3.0-or-later
"""Where uploaded files lie while a request is read: on the page's own disk, not in memory."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO

#: Bytes up to which a file is kept in memory.
_SMALL = 64 << 10


def directory(state: Path) -> Path:
    """Get the directory for uploads, which nobody else can look into."""
    path = state / "uploads"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def clear(state: Path) -> None:
    """Remove what was uploaded before."""
    for each in directory(state).iterdir():
        with suppress(OSError):
            each.unlink()


def stream_maker(state: Path) -> Callable[..., IO[bytes]]:
    """Make what decides where a file of a form goes, as Werkzeug asks for it."""

    def make(
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        del content_type, filename, content_length
        if total_content_length is not None and total_content_length <= _SMALL:
            return BytesIO()
        return tempfile.TemporaryFile("w+b", dir=directory(state))

    return make
