# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles: a good one is taken, every other one is refused, and the reason is said."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import ApplianceError
from appliance.update import bundle, manifest, signature
from appliance.update.archive import pack
from appliance.update.bundle import HEADER_SIZE
from appliance.update.keys import PublicKey
from tests.unit.update.helpers import KEY, OTHER_SECRET, PROGRAM, SECRET, make_bundle, manifest_of

GOOD = make_bundle()
MANIFEST_END = HEADER_SIZE + struct.unpack_from("<I", GOOD, 8)[0]
REASON = r"cut short|altered or damaged|not trusted here|later format|no update|not signed"


def shortly(value: object) -> str:
    """Name a case by its words, for what is in a bundle is long."""
    return value if isinstance(value, str) else "data"


def refusal(data: bytes, keys: tuple[PublicKey, ...] = (KEY,)) -> str:
    with pytest.raises(ApplianceError) as caught:
        bundle.decode(data, keys)
    assert caught.value.hint
    return caught.value.message


def test_a_good_bundle() -> None:
    found = bundle.decode(GOOD, (PublicKey(bytes(32)), KEY))
    payload = pack(PROGRAM)
    assert found.manifest == manifest_of(PROGRAM, payload)
    assert (found.payload, found.key) == (payload, KEY)


def test_the_same_input_gives_the_same_bytes() -> None:
    assert make_bundle(dict(reversed(list(PROGRAM.items())))) == GOOD


def test_cut_short_at_each_byte_of_header_and_manifest() -> None:
    for length in range(1, MANIFEST_END + 1):
        assert "cut short" in refusal(GOOD[:length]), length


def test_cut_short_in_the_payload() -> None:
    for length in range(MANIFEST_END, len(GOOD), 97):
        assert "cut short" in refusal(GOOD[:length])


def test_altered_at_each_byte() -> None:
    """No byte can be another one; in the payload each hundredth is tried."""
    for at in [*range(MANIFEST_END), *range(MANIFEST_END, len(GOOD), 101), len(GOOD) - 1]:
        for bit in (1, 0x80):
            data = bytearray(GOOD)
            data[at] ^= bit
            words = refusal(bytes(data))
            assert any(each in words for each in REASON.split("|")), (at, words)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no update"),
        (b"PK\3\4" + bytes(500), "no update"),
        (bytes(500), "no update"),
        (b"MTPUPD2\n" + GOOD[8:], "later format"),
        (GOOD + b"\0", "altered"),
        (GOOD[:20] + bytes(64) + GOOD[84:], "not signed"),
        (make_bundle(secret=OTHER_SECRET), "not trusted here"),
        # somebody else's signature under the name of a key that is trusted
        (GOOD[:20] + make_bundle(secret=OTHER_SECRET)[20:], "altered"),
        (GOOD[:8] + struct.pack("<I", 0) + GOOD[12:], "altered"),
        (GOOD[:8] + struct.pack("<I", 0xFFFFFFFF) + GOOD[12:], "altered"),
    ],
    ids=shortly,
)
def test_bad_bundles(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_without_a_key_nothing_is_taken() -> None:
    assert "no key" in refusal(GOOD, ())


def test_the_manifest_of_one_bundle_does_not_go_with_the_payload_of_another() -> None:
    other = make_bundle({**PROGRAM, "webui/static/style.css": b"body {!}\n"})
    assert "altered" in refusal(GOOD[:MANIFEST_END] + other[MANIFEST_END:])


def signed(text: bytes) -> bytes:
    """A bundle of another manifest, signed as it should be."""
    head = struct.pack("<8sI8s", bundle.MAGIC, len(text), KEY.id)
    return head + signature.sign(SECRET.raw, head + text) + text + pack(PROGRAM)


def changed(**values: Any) -> bytes:
    told = json.loads(GOOD[HEADER_SIZE:MANIFEST_END]) | values
    return json.dumps({key: value for key, value in told.items() if value is not None}).encode()


BAD_VALUES: dict[str, tuple[object, ...]] = {
    "version": (None, 3, "", "../..", "1.0/x", "1.0-1", "a", "1.0\n"),
    "base": (None, "1", True, 0, -1, 1 << 20, 1.5),
    "size": (None, 0, -1, 1 << 40, "1"),
    "files": (None, 0, 1 << 20, []),
    "unpacked": (None, 0, 1 << 40, {}),
    "sha256": (None, "", "0" * 63, "g" * 64, "A" * 64),
    "machines": (None, "armv6l", [1], [""], ["\n"], ["a"] * 99),
    "boards": (None, {}, [None], ["x" * 101]),
    "date": (None, "\n", "x" * 101),
    "notes": (None, [], "x" * 20_000),
}


@pytest.mark.parametrize(
    "text",
    [
        *(b"{", b"[]", b"null", b"\xff", b"[" * 60_000),
        *(changed(**{key: value}) for key, values in BAD_VALUES.items() for value in values),
    ],
    ids=shortly,
)
def test_bad_manifests(text: bytes) -> None:
    assert "not understood" in refusal(signed(text))


@pytest.mark.parametrize("number", [0, 2, "1", None])
def test_another_format(number: object) -> None:
    assert "later format" in refusal(signed(changed(format=number)))


def test_what_a_later_program_says_more_is_no_harm() -> None:
    assert bundle.decode(signed(changed(colour="red")), (KEY,)).manifest.version == "9.1.0"


def test_a_manifest_is_read_as_it_was_written() -> None:
    told = manifest_of(
        PROGRAM, b"x", machines=("armv6l",), boards=("Raspberry Pi Zero",), notes="ü"
    )
    assert manifest.decode(manifest.encode(told)) == told


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.mtp-update"
    path.write_bytes(GOOD)
    assert bundle.read(path, (KEY,)).manifest.version == "9.1.0"


def make_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def make_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(bundle.MAX_SIZE + 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "No such file"),
        (Path.mkdir, "no file"),
        (os.mkfifo, "no file"),
        (make_link, "symbolic links"),
        (make_large, "too large"),
    ],
)
def test_what_is_no_file_or_too_large(make: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mtp-update"
    (tmp_path / "elsewhere").write_bytes(GOOD)
    make(path)
    with pytest.raises(ApplianceError, match=words):
        bundle.read(path, (KEY,))
