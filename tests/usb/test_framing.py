# SPDX-License-Identifier: GPL-3.0-or-later
"""Where transfers end: every size at which a packet, or a length field, is just full."""

from pathlib import Path

import pytest

from appliance.mtp.codes import OperationCode as Op
from tests.usb.host import OK, Host
from tests.usb.mtp import announce, find, pattern

pytestmark = pytest.mark.guest

SIZES = (
    0,
    1,
    51,
    52,
    53,
    499,
    500,
    501,
    512,
    1011,
    1012,
    1013,
    1024,
    65524,
    262132,
    262144,
    700001,
)


@pytest.fixture(scope="module", params=["full", "high", "super"])
def usb_speed(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_downloads(host: Host, share: Path) -> None:
    """Each ends by a short packet, and the response follows at once."""
    for size in SIZES:
        (share / f"down-{size}").write_bytes(pattern(size))
    host.open()
    for size in SIZES:
        answer = host.ask(Op.GET_OBJECT, find(host, f"down-{size}"))
        assert (answer.code, answer.length, answer.data) == (OK, 12 + size, pattern(size))


@pytest.mark.parametrize("chunk", [512, 16384])
def test_download_in_small_requests(host: Host, share: Path, chunk: int) -> None:
    (share / "chunks").write_bytes(pattern(100_000))
    host.send_command(Op.GET_OBJECT, find(host, "chunks"))
    assert host.read_transfer(max(chunk, host.packet_size))[12:] == pattern(100_000)
    assert host.response().code == OK


@pytest.mark.parametrize("zero", [True, False], ids=["zlp", "no-zlp"])
@pytest.mark.parametrize("split", [True, False], ids=["split", "joined"])
def test_uploads(host: Host, share: Path, split: bool, zero: bool) -> None:
    for size in SIZES:
        name = f"up-{size}-{split}-{zero}"
        announce(host, name, size)
        answer = host.send(Op.SEND_OBJECT, data=pattern(size), split=split, zero=zero)
        assert answer.code == OK, (size, hex(answer.code))
        assert (share / name).read_bytes() == pattern(size)


def test_zero_length_packets_between_transactions(host: Host) -> None:
    for _ in range(3):
        host.write(b"")
        assert host.ask(Op.GET_STORAGE_IDS).code == OK
