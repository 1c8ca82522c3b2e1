# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients of cameras and music players do besides: thumbnails and playlists."""

import base64
from pathlib import Path

import pytest

from tests.clients.driver import MediaDriver

#: A PNG of 64 by 32 pixels in one colour, made with no library: the guest has none for the tests.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAAAgCAIAAAAt/+nTAAAAQ0lEQVR4nO3PQQ3AIADAQEADYpGIrIngcVnSU9DO"
    "fe74s6UDXjWgNaA1oDWgNaA1oDWgNaA1oDWgNaA1oDWgNaA1oH0lUQGU6DlKMwAAAABJRU5ErkJggg=="
)


@pytest.mark.needs("thumbnails")
def test_a_thumbnail(client: MediaDriver, share: Path, tmp_path: Path) -> None:
    (share / "picture.png").write_bytes(PICTURE)
    client.thumbnail("picture.png", tmp_path / "thumb.jpg")
    thumbnail = (tmp_path / "thumb.jpg").read_bytes()
    assert thumbnail.startswith(b"\xff\xd8\xff")
    assert thumbnail.endswith(b"\xff\xd9")


@pytest.mark.needs("playlists")
def test_a_playlist(client: MediaDriver, share: Path) -> None:
    for name in ("one.mp3", "two.mp3", "three.mp3"):
        (share / name).write_bytes(b"music")
    client.make_playlist("Road trip", ["two.mp3", "one.mp3"])
    expected = {"Road trip": ["two.mp3", "one.mp3"]}
    assert client.playlists() == expected
    client.rename("one.mp3", "first.mp3")
    assert client.playlists() == {"Road trip": ["two.mp3", "first.mp3"]}
    client.delete("two.mp3")
    assert client.playlists() == {"Road trip": ["first.mp3"]}
