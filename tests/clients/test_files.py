# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does with files, done by every client; compared byte for byte on the device."""

import random
from pathlib import Path

import pytest

from tests.clients.driver import ClientError, Driver
from tests.clients.served import HOST

#: Around a packet, around a header in front of it, around the buffers of clients and responder.
SIZES = [0, 1, 11, 499, 500, 501, 511, 512, 513, 1011, 1012, 1013, 16372, 65524, 65536, 1000003]

NAMES = [
    "plain.txt",
    "mit Leerzeichen und Ümläut.txt",
    "日本語のファイル.txt",
    "русский файл.txt",
    "العربية.txt",
    "combining e\u0301.txt",
    "a..b..c",
    "no-extension",
    "semi;colon & 'quote' #1.txt",
    "n" * 200 + ".txt",
]


def content(size: int) -> bytes:
    """Bytes that differ everywhere and are the same each time."""
    return random.Random(size).randbytes(size)


def test_the_device_is_detected_by_its_names(client: Driver, share: Path) -> None:
    said = client.detect()
    assert "MTP Appliance" in said or said == "Card"


@pytest.mark.needs("get empty")
def test_download_of_an_empty_file(client: Driver, share: Path, tmp_path: Path) -> None:
    (share / "empty.bin").touch()
    client.get("empty.bin", tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == b""


@pytest.mark.parametrize("size", SIZES[1:])
def test_download(client: Driver, share: Path, tmp_path: Path, size: int) -> None:
    (share / "file.bin").write_bytes(content(size))
    client.get("file.bin", tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == content(size)


@pytest.mark.needs("put empty")
def test_upload_of_an_empty_file(client: Driver, share: Path, tmp_path: Path) -> None:
    (tmp_path / "up.bin").touch()
    client.put(tmp_path / "up.bin", "")
    assert (share / "up.bin").read_bytes() == b""


@pytest.mark.parametrize("size", SIZES[1:])
def test_upload(client: Driver, share: Path, tmp_path: Path, size: int) -> None:
    (tmp_path / "up.bin").write_bytes(content(size))
    client.put(tmp_path / "up.bin", "")
    assert (share / "up.bin").read_bytes() == content(size)
    assert names_in(share) == {"up.bin"}


def names_in(share: Path) -> set[str]:
    """What lies in the share, but for the responder's own workplace."""
    return {each.name for each in share.iterdir()} - {".mtp-appliance"}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_both_ways(client: Driver, share: Path, tmp_path: Path, name: str) -> None:
    _go_both_ways(client, share, tmp_path, name)


@pytest.mark.needs("emoji")
def test_a_name_with_emoji_both_ways(client: Driver, share: Path, tmp_path: Path) -> None:
    _go_both_ways(client, share, tmp_path, "emoji 😀🎉.txt")


def _go_both_ways(client: Driver, share: Path, tmp_path: Path, name: str) -> None:
    (share / name).write_bytes(b"down")
    assert client.names("") == {name}
    (tmp_path / name).write_bytes(b"upward")
    (share / name).unlink()
    client.put(tmp_path / name, "")
    assert (share / name).read_bytes() == b"upward"


@pytest.mark.needs("sizes")
def test_sizes_are_told(client: Driver, share: Path) -> None:
    expected = {f"file {size}": size for size in (*SIZES, (1 << 32) - 2)}
    for name, size in expected.items():
        with (share / name).open("wb") as file:
            file.truncate(size)
    assert client.sizes("") == expected


def test_folders_are_made_and_entered(client: Driver, share: Path, tmp_path: Path) -> None:
    client.mkdir("one")
    client.mkdir("one/two")
    assert (share / "one" / "two").is_dir()
    (tmp_path / "deep.txt").write_bytes(b"deep")
    client.put(tmp_path / "deep.txt", "one/two")
    assert (share / "one/two/deep.txt").read_bytes() == b"deep"
    assert client.names("one") == {"two"}
    assert client.names("one/two") == {"deep.txt"}
    client.get("one/two/deep.txt", tmp_path / "back.txt")
    assert (tmp_path / "back.txt").read_bytes() == b"deep"


def test_deleting(client: Driver, share: Path) -> None:
    (share / "stays.txt").write_bytes(b"1")
    (share / "goes.txt").write_bytes(b"2")
    (share / "folder").mkdir()
    client.delete("goes.txt")
    client.delete("folder")
    assert names_in(share) == {"stays.txt"}


@pytest.mark.needs("rename")
def test_renaming(client: Driver, share: Path) -> None:
    (share / "folder").mkdir()
    (share / "folder" / "old.txt").write_bytes(b"same")
    client.rename("folder/old.txt", "neu für alle.txt")
    client.rename("folder", "Ordner")
    assert (share / "Ordner" / "neu für alle.txt").read_bytes() == b"same"
    assert not (share / "folder").exists()


@pytest.mark.needs("move")
def test_moving(client: Driver, share: Path) -> None:
    (share / "target").mkdir()
    (share / "file.txt").write_bytes(b"moved")
    client.move("file.txt", "target")
    assert (share / "target" / "file.txt").read_bytes() == b"moved"
    assert not (share / "file.txt").exists()


def test_a_change_on_the_device_is_seen_at_the_next_look(client: Driver, share: Path) -> None:
    (share / "first.txt").write_bytes(b"1")
    assert client.names("") == {"first.txt"}
    (share / "second.txt").write_bytes(b"2")
    (share / "first.txt").unlink()
    assert client.names("") == {"second.txt"}


def test_what_is_no_file_or_folder_is_not_shown(client: Driver, share: Path) -> None:
    (share / "file.txt").write_bytes(b"1")
    (share / "link.txt").symlink_to("file.txt")
    (share / "dangling").symlink_to("nowhere")
    assert client.names("") == {"file.txt"}


def test_thousands_of_files_in_one_folder(client: Driver, share: Path) -> None:
    """Hundreds for clients that are slow of themselves: they ask for each file several times.

    And where the share is another machine's, for it takes that long to make them.
    """
    many = 2000 if "crowd" in client.abilities and HOST not in share.parents else 500
    names = {f"photo {number:04}.jpg" for number in range(many)}
    (share / "many").mkdir()
    for name in names:
        (share / "many" / name).touch()
    assert client.names("many") == names


def test_a_missing_file_is_an_error_and_nothing_is_lost(
    client: Driver, share: Path, tmp_path: Path
) -> None:
    (share / "there.txt").write_bytes(b"1")
    with pytest.raises(ClientError):
        client.get("not there.txt", tmp_path / "got")
    client.get("there.txt", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"1"
