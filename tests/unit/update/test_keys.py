# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys in files, and which of them are trusted."""

from base64 import b64encode
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.update import keys
from appliance.update.keys import PublicKey
from tests.unit.update.helpers import KEY, SECRET

RAW = b64encode(KEY.raw).decode()


def test_a_key_is_read_as_it_was_written(tmp_path: Path) -> None:
    keys.write_public(tmp_path / "a.pub", KEY)
    assert keys.read_public(tmp_path / "a.pub") == KEY
    assert (tmp_path / "a.pub").stat().st_mode & 0o777 == 0o644
    assert keys.parse_secret(keys.secret_line(SECRET)) == SECRET


def test_a_secret_key_does_not_show_itself() -> None:
    assert b64encode(SECRET.raw).decode() not in f"{SECRET} {SECRET!r}"
    assert repr(SECRET.raw) not in f"{SECRET} {SECRET!r}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no key"),
        (b"ssh-ed25519 AAAA", "is no key"),
        (b"mtp-appliance-public-key", "is no key"),
        (b"mtp-appliance-public-key !!!! me", "damaged"),
        (f"mtp-appliance-public-key {RAW[:-4]} me".encode(), "damaged"),
        (f"mtp-appliance-public-key {RAW} a\nmtp-appliance-public-key {RAW} b".encode(), "no key"),
        (f"mtp-appliance-secret-key {RAW} me".encode(), "secret key"),
        ("mtp-appliance-public-key ü".encode(), "ascii"),
        (b"\0" * 5000, "is no key"),
    ],
)
def test_what_is_no_public_key(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.pub").write_bytes(content)
    with pytest.raises(ApplianceError, match=words):
        keys.read_public(tmp_path / "a.pub")
    assert keys.trusted([tmp_path]) == ()


def test_a_secret_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_text(keys.secret_line(SECRET))
    path.chmod(0o640)
    with pytest.raises(ApplianceError, match="others may read"):
        keys.read_secret(path)
    path.chmod(0o600)
    assert keys.read_secret(path) == SECRET


def test_trusted_keys_are_those_that_nobody_else_can_have_written(tmp_path: Path) -> None:
    image, owner = tmp_path / "image", tmp_path / "owner"
    other = PublicKey(bytes(32), "other")
    keys.write_public(image / "release.pub", KEY)
    keys.write_public(owner / "the same.pub", KEY)
    keys.write_public(owner / "other.pub", other)
    (owner / "broken.pub").write_text("?")
    (owner / "note.txt").write_text(keys.public_line(PublicKey(bytes(31) + b"1")))
    folders = [image, owner, tmp_path / "none"]
    assert keys.trusted(folders) == (KEY, other)
    (owner / "other.pub").chmod(0o666)
    assert keys.trusted(folders) == (KEY,)
    (owner / "other.pub").chmod(0o644)
    owner.chmod(0o777)
    assert keys.trusted(folders) == (KEY,)
