# SPDX-License-Identifier: GPL-3.0-or-later
"""A client is killed in the middle of a transfer: the next one works at once, nothing is torn."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clients.conftest import Station
from tests.clients.driver import ClientError
from tests.clients.victims import kill, start, written

_DOWNLOAD = 300 << 20
_UPLOAD = 48 << 20
_SOME = 1 << 20
_PATIENCE = 600.0
#: Uploads under way in the share: a folder for each process that serves it.
_STAGED = ".mtp-appliance/[0-9]*-*/*"


def _kill_when(process: subprocess.Popen[bytes], under_way: Callable[[], bool]) -> None:
    """Kill the client and all that it started, once the transfer is seen to be under way."""
    deadline = time.monotonic() + _PATIENCE
    while not (seen := under_way()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert seen or process.poll() is None, "the client ended before the transfer began"
    assert seen, "the transfer did not begin"
    assert process.poll() is None, "the client was done before it could be killed"
    kill(process)


def _downloaded(station: Station) -> Callable[[], int]:
    """Give what tells how much is read for a client: by the responder, or else what it writes."""
    served = station.served
    if served.process is None:
        return written
    before = served.bytes_read()
    return lambda: served.bytes_read() - before


def _arrived(share: Path) -> int:
    """Bytes of uploads under way: kept back by the responder, or in place where a client edits."""
    total = 0
    for each in (*share.glob(_STAGED), share / "up.bin"):
        with suppress(FileNotFoundError):
            total += each.stat().st_size
    return total


def _wait_until_nothing_is_staged(share: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while list(share.glob(_STAGED)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(share.glob(_STAGED)) == []


def _works(station: Station, share: Path, tmp_path: Path) -> None:
    (share / "small.txt").write_bytes(b"still here")
    station.client.get("small.txt", tmp_path / "small.txt")
    assert (tmp_path / "small.txt").read_bytes() == b"still here"
    (tmp_path / "next.txt").write_bytes(b"next")
    station.client.put(tmp_path / "next.txt", "")
    assert (share / "next.txt").read_bytes() == b"next"


def _reach(station: Station, target: Path) -> None:
    """Start the next client, twice if need be.

    What the controller holds ready for a client that was killed goes to the first read of the next
    one, before any program can take it back. Most clients shrug; android-file-transfer's take it
    for an answer that makes no sense, and end. The one after finds everything in order.
    """
    try:
        station.client.get("small.txt", target)
    except ClientError:
        station.client.get("small.txt", target)


def test_killed_while_it_downloads(station: Station, share: Path, tmp_path: Path) -> None:
    with (share / "big.bin").open("wb") as file:
        file.truncate(_DOWNLOAD)
    downloaded = _downloaded(station)
    process = start(station.name, "get", "big.bin", tmp_path / "got.bin")
    _kill_when(process, lambda: downloaded() > 4 * _SOME)
    (share / "small.txt").write_bytes(b"small")
    _reach(station, tmp_path / "reached.txt")
    _works(station, share, tmp_path)


@pytest.mark.parametrize(
    "existing",
    [
        pytest.param(False, id="new file"),
        pytest.param(True, id="over a file", marks=pytest.mark.needs("replace")),
    ],
)
def test_killed_while_it_uploads(
    station: Station, share: Path, tmp_path: Path, existing: bool
) -> None:
    if existing:  # nothing is deleted before it uploads, so the old file has to stay as it was
        (share / "up.bin").write_bytes(b"old")
    with (tmp_path / "up.bin").open("wb") as file:
        file.truncate(_UPLOAD)
    process = start(station.name, "put", tmp_path / "up.bin", "")
    _kill_when(process, lambda: _arrived(share) > _SOME)
    if "edit" in station.client.abilities:  # each piece is answered, the one under way too
        (share / "small.txt").write_bytes(b"small")
        _reach(station, tmp_path / "reached.txt")
    _works(station, share, tmp_path)
    _wait_until_nothing_is_staged(share)
    if existing:
        assert (share / "up.bin").read_bytes() == b"old"
    elif "edit" in station.client.abilities:
        assert _SOME < (share / "up.bin").stat().st_size < _UPLOAD
    else:
        assert not (share / "up.bin").exists() or (share / "up.bin").stat().st_size == 0
