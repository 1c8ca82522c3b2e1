# SPDX-License-Identifier: GPL-3.0-or-later
"""What an initiator can rely on when the responder is started again, killed or not."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.wire import Reader, encode_string
from appliance.transports.ptpip_listen import Address
from tests.clients.once import USB_CLIENTS, make
from tests.clients.served import free_port, serve, wait_for_device, wait_until_gone
from tests.fakes.ptpip_client import TcpClient
from tests.protocol.initiator import Initiator


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    (folder / "file.txt").write_bytes(b"content")
    return folder


@contextmanager
def _initiator(share: Path, *, killed: bool = False) -> Iterator[Initiator]:
    port = free_port()
    road = ("--listen", f"127.0.0.1:{port}", "--state-dir", share.parent / "state")
    with (
        serve(f"Card={share}", *road, share=share, killed=killed),
        ExitStack() as clients,
    ):
        yield Initiator(TcpClient(Address("127.0.0.1", port), clients)).open()


def _friendly_name(pc: Initiator) -> str:
    return Reader(pc.data(Op.GET_DEVICE_PROP_VALUE, 0xD402)).string()


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
def test_name_and_unique_ids_are_kept(share: Path, killed: bool) -> None:
    with _initiator(share, killed=killed) as pc:
        pc.ask(Op.SET_DEVICE_PROP_VALUE, 0xD402, data=encode_string("Büro 🗄"))
        identity = pc.data(Op.GET_OBJECT_PROP_VALUE, pc.names()["file.txt"], 0xDC41)
    with _initiator(share) as pc:
        assert _friendly_name(pc) == "Büro 🗄"
        assert pc.data(Op.GET_OBJECT_PROP_VALUE, pc.names()["file.txt"], 0xDC41) == identity


def test_nothing_of_an_upload_remains_when_the_responder_is_killed(share: Path) -> None:
    with _initiator(share, killed=True) as pc:
        assert pc.announce("file.txt", 100).ok
        assert pc.announce("new.txt", 100).ok
        assert list(share.glob(".mtp-appliance/*/*"))
    with _initiator(share) as pc:
        assert set(pc.names()) == {"file.txt"}
        assert list(share.glob(".mtp-appliance/*/*")) == []
        assert (share / "file.txt").read_bytes() == b"content"
    assert [each.name for each in share.iterdir()] == ["file.txt"]


@pytest.mark.guest
@pytest.mark.parametrize("name", USB_CLIENTS)
def test_a_client_goes_on_with_a_responder_that_was_killed(share: Path, name: str) -> None:
    client = make(name)
    road = ("--usb", "--state-dir", share.parent / "state")
    with serve(f"Card={share}", *road, share=share, killed=True):
        wait_for_device()
        assert client.names("") == {"file.txt"}
    wait_until_gone()
    with serve(f"Card={share}", *road, share=share):
        wait_for_device()
        client.get("file.txt", share.parent / "got.txt")
        assert (share.parent / "got.txt").read_bytes() == b"content"
