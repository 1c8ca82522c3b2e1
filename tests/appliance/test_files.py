# SPDX-License-Identifier: GPL-3.0-or-later
"""Files through the sandbox: what the PC reads and writes is what lies in the share."""

from pathlib import Path

import pytest

from tests.clients.mtp_tools import MtpTools
from tests.usb.mtp import pattern

pytestmark = pytest.mark.guest("appliance")


@pytest.fixture
def libmtp() -> MtpTools:
    return MtpTools()


def test_read(libmtp: MtpTools, share: Path, tmp_path: Path) -> None:
    (share / "on the device.bin").write_bytes(pattern(3_000_000))
    libmtp.get("on the device.bin", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == pattern(3_000_000)


def test_write(libmtp: MtpTools, share: Path, tmp_path: Path) -> None:
    source = tmp_path / "from the PC.bin"
    source.write_bytes(pattern(3_000_000))
    libmtp.put(source, "")
    assert (share / source.name).read_bytes() == pattern(3_000_000)
    assert (share / source.name).owner() == "mtp-appliance"


def test_folders_and_deletion(libmtp: MtpTools, share: Path, tmp_path: Path) -> None:
    source = tmp_path / "inside.bin"
    source.write_bytes(b"inside")
    libmtp.mkdir("Folder")
    libmtp.put(source, "Folder")
    assert (share / "Folder/inside.bin").read_bytes() == b"inside"
    libmtp.delete("Folder/inside.bin")
    libmtp.delete("Folder")
    assert not (share / "Folder").exists()


def test_thumbnails_are_made(libmtp: MtpTools, share: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (640, 480), (200, 30, 30)).save(share / "picture.jpg")
    libmtp.thumbnail("picture.jpg", tmp_path / "small.jpg")
    with image.open(tmp_path / "small.jpg") as small:
        assert max(small.size) == 160
