# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a payload: plain files in plain directories, and nothing else whatever it is named."""

import lzma
import tarfile
from collections.abc import Sequence

import pytest

from appliance.errors import ApplianceError
from appliance.update.archive import ENTRY, pack, unpack
from tests.unit.update.helpers import PROGRAM, manifest_of, member, tar_of

FIRST = (member(ENTRY), b"1")


def test_files_come_out_as_they_went_in() -> None:
    payload = pack(PROGRAM)
    assert unpack(payload, manifest_of(PROGRAM, payload)) == PROGRAM


def test_directories_may_be_named() -> None:
    payload = tar_of([(member("appliance", tarfile.DIRTYPE), b""), FIRST])
    assert unpack(payload, manifest_of({ENTRY: b"1"}, payload)) == {ENTRY: b"1"}


BAD_NAMES = [
    *(
        "../evil.py",
        "appliance/../../evil.py",
        "/etc/passwd",
        "appliance//x",
        "./x/y",
        "appliance/.",
    ),
    *("appliance/.hidden", "appliance/-rf", "appliance/a b", "appliance/a\nb", "appliance/ü.py"),
    *(
        "appliance/a\\b",
        "keys/../chosen",
        "chosen",
        "evil.py",
        "",
        "a/" * 20 + "x",
        f"a/{'b' * 150}",
    ),
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names(name: str) -> None:
    refuse([FIRST, (member(name), b"2")])


@pytest.mark.parametrize(
    "members",
    [
        [(member("appliance/x", tarfile.SYMTYPE, "/etc/passwd"), b"")],
        [(member("appliance/x", tarfile.LNKTYPE, ENTRY), b"")],
        [(member("appliance/x", tarfile.CHRTYPE), b"")],
        [(member("appliance/x", tarfile.BLKTYPE), b"")],
        [(member("appliance/x", tarfile.FIFOTYPE), b"")],
        [(member("appliance/x", tarfile.CONTTYPE), b"")],
        [(member(ENTRY), b"2")],
        [(member(f"{ENTRY}/x"), b"2")],
        [(member("a/b/c"), b"2"), (member("a/b"), b"2")],
    ],
    ids=lambda members: members[0][0].name,
)
def test_bad_members(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> None:
    refuse([FIRST, *members])


def refuse(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> None:
    payload = tar_of(members)
    files = {str(number): data for number, (_, data) in enumerate(members)}
    with pytest.raises(ApplianceError, match="cannot be unpacked"):
        unpack(payload, manifest_of(files, payload))


@pytest.mark.parametrize(
    "wrong", [{"files": 1}, {"files": 7}, {"unpacked": 10}, {"unpacked": 10**6}]
)
def test_counts_that_are_not_so(wrong: dict[str, int]) -> None:
    payload = pack(PROGRAM)
    with pytest.raises(ApplianceError, match=r"more in it|less in it"):
        unpack(payload, manifest_of(PROGRAM, payload, **wrong))


def test_a_bomb_does_not_go_off() -> None:
    """A gigabyte of zeros, said to be little, is given up after that little."""
    packer = lzma.LZMACompressor()
    payload = packer.compress(bytes(1 << 26)) * 1 + packer.flush()
    with pytest.raises(ApplianceError, match="more in it"):
        unpack(payload, manifest_of(PROGRAM, payload))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no xz at all",
        pack(PROGRAM)[:-1],
        pack(PROGRAM) + b"\0",
        lzma.compress(b"no tar" * 99),
    ],
    ids=lambda payload: f"{len(payload)} bytes",
)
def test_damaged(payload: bytes) -> None:
    with pytest.raises(ApplianceError):
        unpack(payload, manifest_of(PROGRAM, payload or b"x"))


def test_there_has_to_be_a_program() -> None:
    files = {"webui/__init__.py": b""}
    payload = pack(files)
    with pytest.raises(ApplianceError, match="no program"):
        unpack(payload, manifest_of(files, payload))
